// Pictures compared with each other, by a small model from files.

import { model, picture } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

/** A small DINOv2 without its classifier, as those are that only look. */
function eyes() {
  const files = model('vision/dinov2');
  const weights = files.find(({ name }) => name === 'model.safetensors');
  weights.buffer = Buffer.from(weights.buffer.toString('latin1').replaceAll('"classifier.', '"klassifier.'), 'latin1');
  return files;
}

const list = (rill) => rill.page.getByRole('list', { name: 'Pictures, the most alike first' }).getByRole('listitem');

test('pictures are ordered by how much they are like the one that is pressed', async ({ rill }) => {
  await rill.open('./#/pictures/alike');
  await rill.drop(...eyes());
  await expect(rill.ready).toBeVisible(LOAD);
  const twin = { ...picture('house'), name: 'twin.png' };
  await rill.drop(picture('guitar'), picture('house'), picture('red_apple'), twin);
  await expect(rill.work).toContainText(/4 in .* a second/, LOAD);
  await rill.page.getByRole('button', { name: 'Order by likeness to house.png' }).click();
  await expect(list(rill).nth(0)).toContainText('house.png');
  await expect(list(rill).nth(1)).toContainText('twin.png');
  const scores = (await list(rill).locator('.ranking__score').allTextContents()).map(Number);
  expect(scores).toEqual([...scores].sort((a, b) => b - a));
  expect(scores[1]).toBe(1);
  expect(scores[2]).toBeLessThan(1);
});
