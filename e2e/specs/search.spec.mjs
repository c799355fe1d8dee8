// A long text, searched by meaning.

import { picture, text } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

const question = (rill) => rill.page.getByLabel('What are you looking for?');
const found = (rill) => rill.page.getByRole('list', { name: 'Passages found' }).getByRole('listitem');

const HOUSE_RULES = `# House rules

Quiet hours begin at ten in the evening. Music is played with headphones after that.

Bicycles stand in the cellar, not in the hall. The key for the cellar hangs beside the letter boxes.

Bottles and jars belong in the grey bin. It is emptied on the first Monday of each month.`;

test('a pasted text is read once, and each question finds its passage in its place', async ({ rill }) => {
  await rill.open('./#/sentences/search');
  await rill.page.getByRole('textbox', { name: 'Text', exact: true }).fill(HOUSE_RULES);
  await question(rill).fill('Where do I throw away glass?');
  await rill.page.keyboard.press('Enter');
  await expect(found(rill).first().locator('mark')).toHaveText('Bottles and jars belong in the grey bin.', LOAD);
  await expect(found(rill).first()).toContainText('It is emptied on the first Monday');
  await expect(rill.page.getByText('7 passages are read')).toBeVisible();
  await expect(rill.work).toContainText(/7 passages searched in/);

  await question(rill).fill('noise at night');
  await rill.page.getByRole('button', { name: 'Search', exact: true }).click();
  await expect(found(rill).first().locator('mark')).toHaveText(/Quiet hours|Music is played/);

  await rill.page.getByRole('combobox', { name: 'Find' }).selectOption('paragraphs');
  await rill.page.getByRole('button', { name: 'Search', exact: true }).click();
  await expect(rill.work).toContainText(/4 passages searched in/, LOAD);
});

test('a dropped file takes the place of the field; what is no text is refused; reading can be stopped and goes on', async ({ rill }) => {
  await rill.open('./#/sentences/search');
  await question(rill).fill('');
  await rill.drop(picture('house'));
  await rill.expectAlert('house.png', 'no text');

  const long = Array.from({ length: 3000 }, (_, i) => `Shelf ${i} holds jar number ${i * 7}.`).join(' ');
  await rill.drop(text('cellar.txt', `${long} The cat sleeps on the stove.`));
  await expect(rill.page.getByText('cellar.txt')).toBeVisible();
  await question(rill).fill('a pet that rests');
  await rill.page.getByRole('button', { name: 'Search', exact: true }).click();
  await expect(rill.page.locator('.work-status__position').filter({ visible: true })).toContainText('of 3,001 passages', LOAD);
  await rill.page.keyboard.press('Escape');
  await expect(rill.work).toContainText('Stopped');
  await expect(found(rill)).toHaveCount(0);

  await rill.drop(text('short.md', 'The cat sleeps on the stove.\n\nThe stove is made of iron.'));
  await expect(found(rill).first().locator('mark')).toHaveText('The cat sleeps on the stove.', LOAD);
});
