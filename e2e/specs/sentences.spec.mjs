// The tab that ranks sentences by meaning.

import { LOAD, expect, test } from '../support/rill.mjs';

test('sentences are ranked by meaning, the nearest first', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.query.fill('Where can I see animals from Africa?');
  await rill.sentences.fill('The train to the coast leaves at nine.\n\nLions and giraffes live in our zoo.\nBread is made of flour.');
  await rill.compare.click();
  await expect(rill.ranking).toHaveCount(3, LOAD);
  await expect(rill.ranking.first()).toContainText('Lions and giraffes');
  const scores = (await rill.ranking.locator('.ranking__score').allTextContents()).map(Number);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  expect(scores[0]).toBeGreaterThan(scores[1] + 0.1);
  await expect(rill.page.getByText(/^3 sentences compared in/)).toBeVisible();

  // The model is there now: another question is answered at once.
  await rill.query.fill('How do I bake?');
  await rill.compare.click();
  await expect(rill.ranking.first()).toContainText('Bread');
});

test('ranking many sentences tells how far it is and can be stopped; what was read is ranked', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.query.fill('a pet that rests');
  const lines = Array.from({ length: 2000 }, (_, i) => `Shelf ${i} holds jar number ${i * 7}.`);
  // Pasted at once: typing thousands of lines takes the browser longer than reading them takes the model.
  await rill.sentences.evaluate((field, text) => {
    field.value = text;
    field.dispatchEvent(new Event('input', { bubbles: true }));
  }, lines.join('\n'));
  await rill.compare.click();
  await expect(rill.position).toHaveText(/^[1-9]\d* of 2,001 texts$/, LOAD);
  await expect.poll(async () => Number.parseInt((await rill.position.textContent()).replace(',', ''), 10), LOAD).toBeGreaterThan(64);
  await rill.stopWork.click();
  await expect(rill.work).toContainText('Stopped');
  await expect(rill.ranking).not.toHaveCount(0);
  expect(await rill.ranking.count()).toBeLessThan(2000);
  await expect(rill.compare).toHaveAttribute('aria-disabled', 'false');
});

test('without a question there is nothing to compare', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.query.fill('  ');
  await expect(rill.compare).toHaveAttribute('aria-disabled', 'true');
  await rill.query.press('Enter');
  await expect(rill.page.getByRole('button', { name: 'Cancel loading' })).toBeHidden();
});

test('tabs and their views are addresses: links, reload and the back button work', async ({ rill }) => {
  // The address that this tab once had still leads to it.
  await rill.open('./#/text');
  const heading = rill.page.getByRole('heading', { level: 1 });
  await expect(heading).toHaveText('Which sentence means the same?');
  await rill.page.getByRole('link', { name: 'Search a text' }).click();
  await expect(heading).toHaveText('Search a text by meaning');
  await rill.page.getByRole('link', { name: 'Speech' }).click();
  await expect(heading).toHaveText('Speech to text');
  await rill.page.goBack();
  await expect(rill.page.getByRole('link', { name: 'Sentences', exact: true })).toHaveAttribute('aria-current', 'page');
  await expect(rill.page.getByRole('link', { name: 'Search a text' })).toHaveAttribute('aria-current', 'page');
  await rill.page.reload();
  await expect(heading).toHaveText('Search a text by meaning');
  await expect(rill.page).toHaveTitle('Search a text · Rill');
});
