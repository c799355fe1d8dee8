// The words that every contender gets: sentences, and prompts for t5-numbers.

const SENTENCES = [
  'The river carries the snow of the mountains to the sea.',
  'Why is the sky blue?',
  'A program that does one thing well is easier to trust than one that promises to do everything.',
  'Bread needs flour, water, salt and time.',
  'The train to the coast leaves at a quarter past seven from platform four.',
  'She tuned the old guitar and played until the rain had stopped.',
  'Our measurements differ by less than three parts in a million, which is about what the instrument can tell.',
  'Please close the window.',
  'The committee will publish its report on renewable energy at the end of next month.',
  'Cats sleep for most of the day.',
  'To change a tyre, loosen the nuts before you lift the car, and tighten them crosswise afterwards.',
  'In 1969 two people walked on the moon while a third waited in orbit.',
  'The museum is free on Sundays, but one has to book a time.',
  'He forgot the password again.',
  'Light from that galaxy set out before there was anyone to see it.',
  'How much does it cost to send a parcel of five kilograms abroad?',
];

/** How many sentences make a text, in turn. */
const LENGTHS = [1, 1, 2, 1, 3, 1, 2, 5];

/** 64 texts of one to five sentences, short and long ones mixed. */
export const texts = Array.from({ length: 64 }, (_, i) => {
  const from = i + Math.floor(i / SENTENCES.length);
  return Array.from({ length: LENGTHS[i % LENGTHS.length] }, (_, j) => SENTENCES[(from + j) % SENTENCES.length]).join(' ');
});

/** What t5-numbers is asked, in all of its tasks that it does well. */
export const prompts = [
  'number to English: 1984',
  'number to German: 777777',
  'number to French: 999999999',
  'number to Spanish: 87654321',
  'number to Polish: 123456789',
  'ordinal in English: 2323',
  'ordinal in Portuguese: 4711',
  'year in Italian: 1789',
  'currency in English: 12.50 USD',
  'currency in French: 1999.99 EUR',
  'translate English to German: four hundred and twelve thousand, three hundred and five',
  'translate Spanish to English: treinta y dos mil setecientos uno',
];
