// The tab that writes text for text, with the model that ships with the page.

import { text } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

const pieces = (rill) => rill.page.locator('.piece__text');
const field = (rill) => rill.page.getByLabel('Your text');
const write = (rill) => rill.page.getByRole('button', { name: 'Write', exact: true });

test('a number is written in words, told as it grows, and several lines as a batch', async ({ rill }) => {
  await rill.open('./#/write');
  await expect(rill.page.locator('.panel__lead').filter({ visible: true })).toContainText('T5');
  await rill.page.evaluate(() => {
    window.grown = [];
    const note = () => window.grown.push(document.querySelector('.piece__text')?.textContent);
    new MutationObserver(note).observe(document.querySelector('.pieces'), { childList: true, subtree: true, characterData: true });
  });
  await field(rill).fill('number to English: 1984');
  await write(rill).click();
  await expect(pieces(rill)).toHaveText(['one thousand, nine hundred and eighty-four'], LOAD);
  await expect(rill.work).toContainText(/Written in .* tokens/);
  const grown = await rill.page.evaluate(() => window.grown.filter(Boolean));
  expect(new Set(grown).size, 'different texts on the way').toBeGreaterThan(3);

  await field(rill).fill('number to English: 7\n\nnumber to German: 7\nnumber to French: 7');
  await expect(rill.page.getByText('3 lines, 3 texts')).toBeVisible();
  await field(rill).press('Control+Enter');
  await expect(pieces(rill)).toHaveText(['seven', 'sieben', 'sept'], LOAD);
});

test('Escape stops the writing; what is finished stays', async ({ rill }) => {
  await rill.open('./#/write');
  await field(rill).fill(Array.from({ length: 300 }, (_, i) => `number to German: ${777_777 + i}`).join('\n'));
  await write(rill).click();
  await expect(pieces(rill).first()).toHaveText(/\w/, LOAD);
  await rill.page.keyboard.press('Escape');
  await expect(rill.work).toContainText('Stopped');
  await expect(pieces(rill).first()).toHaveText(/\w/);
  await expect(write(rill)).toHaveAttribute('aria-disabled', 'false');
});

test('options that contradict each other are said before anything is asked', async ({ rill }) => {
  await rill.open('./#/write');
  await rill.page.locator('summary', { hasText: 'How it writes' }).click();
  await rill.page.getByLabel('Beams').fill('4');
  await rill.page.getByLabel('Temperature').fill('0.7');
  await rill.page.getByLabel('Temperature').blur();
  await expect(rill.page.locator('.panel__wrong')).toContainText('set the temperature to 0, or the beams to 1');
  await expect(write(rill)).toHaveAttribute('aria-disabled', 'true');
  await rill.page.getByLabel('Temperature').fill('5');
  await rill.page.getByLabel('Temperature').blur();
  await expect(rill.page.getByText('From 0 to 2.')).toBeVisible();
  await rill.page.getByLabel('Temperature').fill('0');
  await rill.page.getByLabel('Temperature').blur();
  await field(rill).fill('number to English: 12');
  await write(rill).click();
  await expect(pieces(rill)).toHaveText(['twelve'], LOAD);
});

test('a dropped file gives a text for each of its lines, and says how many are done', async ({ rill }) => {
  await rill.open('./#/write');
  const lines = Array.from({ length: 60 }, (_, i) => `number to English: ${i + 1}`);
  await rill.drop(text('numbers.txt', lines.join('\n')));
  await expect(rill.page.getByText('60 lines, 60 texts')).toBeVisible();
  await write(rill).click();
  await expect(rill.position).toHaveText(/^[1-9]\d* of 60 texts$/, LOAD);
  await expect(pieces(rill)).toHaveCount(60);
  await expect(pieces(rill).last()).toHaveText('sixty', LOAD);
});
