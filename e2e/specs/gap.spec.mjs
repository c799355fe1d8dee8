// Words for a gap, with a small model from files: what it fills in means nothing, that it fills is what counts.

import { model } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

test('a gap is put where the cursor is and filled with weighed words', async ({ rill }) => {
  await rill.open('./#/sentences/gap');
  await rill.drop(...model('bert/bert'));
  await expect(rill.ready).toBeVisible(LOAD);

  const field = rill.page.getByLabel('Sentence with a gap');
  await field.fill('the cat ');
  await expect(rill.page.getByText('There is no gap in it yet.')).toBeVisible();
  const fill = rill.page.getByRole('button', { name: 'Fill the gap' });
  await expect(fill).toHaveAttribute('aria-disabled', 'true');
  await rill.page.getByRole('button', { name: 'Insert a gap' }).click();
  await expect(field).toHaveValue('the cat ___');
  await fill.click();
  const words = rill.page.getByRole('list', { name: 'Words for the gap' });
  await expect(words.getByRole('listitem')).toHaveCount(8, LOAD);
  const scores = (await rill.bars(words)).map(([, score]) => Number.parseFloat(score));
  expect(scores).toEqual([...scores].sort((a, b) => b - a));

  await field.fill('the ___ sat on the ___');
  await field.press('Control+Enter');
  await expect(rill.page.getByRole('list', { name: 'Words for gap 2' }).getByRole('listitem')).toHaveCount(8, LOAD);
});

test('waiting for the model that fills a gap can be stopped', async ({ rill }) => {
  // The model never arrives.
  await rill.page.route('**/models/**', (route) => route.abort());
  await rill.page.route('**/models/distilbert*/**', () => {});
  await rill.open('./#/sentences/gap');
  await rill.page.getByRole('button', { name: 'Fill the gap' }).click();
  await expect(rill.work).toContainText('Waiting for the model');
  await rill.stopWork.click();
  await expect(rill.work).toContainText('Stopped');
  await expect(rill.page.getByRole('button', { name: 'Fill the gap' })).toHaveAttribute('aria-disabled', 'false');
});
