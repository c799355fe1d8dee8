// Pictures and words, with the model that ships with the page and its own drawings.

import { picture, text } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

const labels = (rill) => rill.page.getByLabel('Labels, one a line');
const first = (card) => card.locator('.bars__words').first();

test('labels are held against a picture, and follow what is typed', async ({ rill }) => {
  await rill.open('./#/match');
  await rill.page.getByRole('button', { name: 'Try the picture of a dog' }).click();
  await expect(first(rill.cards)).toHaveText('dog face', LOAD);
  await expect(rill.cards.locator('.bars__bar')).toHaveCount(5);
  const scores = (await rill.bars(rill.cards)).map(([, score]) => Number.parseFloat(score));
  expect(scores[0]).toBeGreaterThan(50);

  await labels(rill).fill('umbrella\nwolf\ncat face');
  await expect(rill.cards.locator('.bars__bar')).toHaveCount(3, LOAD);
  await expect(first(rill.cards)).not.toHaveText('umbrella');

  // All names are read once, which can be stopped and goes on where it stopped.
  await rill.page.getByRole('combobox', { name: 'Compare with' }).selectOption('names');
  await expect(rill.page.locator('.work-status__position').filter({ visible: true })).toContainText(/of 1,\d+ pictures and texts/);
  await rill.page.keyboard.press('Escape');
  await expect(rill.work).toContainText('Stopped');
  await rill.page.getByRole('button', { name: 'Compare', exact: true }).click();
  await expect(rill.cards.locator('.bars__bar')).toHaveCount(5, LOAD);
  await expect(first(rill.cards)).toHaveText('dog face', LOAD);
});

test('dropped and pasted pictures are searched by words; what is no picture is refused by name', async ({ rill }) => {
  await rill.open('./#/match/search');
  const broken = { ...picture('house'), name: 'broken.png', buffer: picture('house').buffer.subarray(0, 60) };
  await rill.drop(picture('guitar'), text('notes.txt', 'no picture'), picture('house'), broken);
  await rill.paste(picture('red_apple'));
  const found = rill.page.getByRole('list', { name: 'Pictures, the best first' }).getByRole('listitem');
  await expect(found).toHaveCount(3, LOAD);

  await rill.page.getByLabel('What are you looking for?').fill('red apple');
  await rill.page.keyboard.press('Enter');
  await expect(found.first()).toContainText('red_apple.png', LOAD);
  await expect(found.first().locator('.ranking__score')).toBeVisible();
  await rill.page.getByLabel('What are you looking for?').fill('guitar');
  await rill.page.keyboard.press('Enter');
  await expect(found.first()).toContainText('guitar.png');

  await found.first().getByRole('button', { name: 'Remove guitar.png' }).click();
  await expect(found).toHaveCount(2);
  await rill.page.getByRole('button', { name: 'Remove all' }).click();
  await expect(found).toHaveCount(0);
});

test('files that are no pictures are named with the reason, and the others go on', async ({ rill }) => {
  await rill.open('./#/match');
  const broken = { ...picture('house'), name: 'broken.png', buffer: picture('house').buffer.subarray(0, 60) };
  const empty = { ...picture('house'), name: 'empty.png', buffer: Buffer.alloc(0) };
  await rill.drop(text('notes.txt', 'no picture'), broken, empty, picture('house'));
  const refused = rill.page.getByRole('list', { name: 'Files that were not taken' }).getByRole('listitem');
  await expect(refused).toHaveText([
    'notes.txt: it is no picture (text/plain).',
    'broken.png: this browser cannot read it as a picture.',
    'empty.png: the file is empty.',
  ]);
  await expect(first(rill.cards)).toHaveText('house', LOAD);
});

test('a single label gets the number that the model gives it, and no certainty', async ({ rill }) => {
  await rill.open('./#/match');
  await labels(rill).fill('dog face\n\n dog face ');
  await rill.page.getByRole('button', { name: 'Try the picture of a dog' }).click();
  await expect(rill.cards.locator('.bars__bar')).toHaveCount(1, LOAD);
  await expect(rill.page.getByText('One label has nothing to compete with')).toBeVisible();
  const [[label, score]] = await rill.bars(rill.cards);
  expect(label).toBe('dog face');
  expect(score).toMatch(/^0\.\d\d$/);

  // A program that does the arithmetic finds the same.
  const cosine = await rill.page.evaluate(async () => {
    const model = await window.rill.load('clip-emoji', { backend: 'wasm' });
    const image = await (await fetch('models/clip-emoji/images/dog_face.png')).blob();
    const { imageEmbeddings, textEmbeddings } = await model.run({ images: [image], texts: ['dog face'] });
    return imageEmbeddings[0].reduce((sum, value, i) => sum + value * textEmbeddings[0][i], 0);
  });
  expect(Number(score)).toBeCloseTo(cosine, 1);

  await labels(rill).fill('dog face\nhouse');
  await expect(rill.cards.locator('.bars__bar')).toHaveCount(2, LOAD);
  expect((await rill.bars(rill.cards))[0][1]).toMatch(/%$/);
});
