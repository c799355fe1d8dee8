// Pictures named, with a small classifier from files: its names mean nothing, that each picture gets its own is what counts.

import { chromium } from '../support/browser.mjs';
import { model, picture, text } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

test.use({ ...chromium({ webgpu: 'none', camera: true }) });

test('pictures from everywhere are named, one or many at once', async ({ rill }) => {
  await rill.open('./#/pictures');
  await rill.drop(...model('vision/vit'));
  await expect(rill.ready).toBeVisible(LOAD);

  await rill.drop(picture('guitar'), text('notes.txt', 'no picture'));
  await expect(rill.cards.locator('.bars__bar')).not.toHaveCount(0, LOAD);
  await expect(rill.page.getByText('it is no picture (text/plain)')).toBeVisible();
  await rill.paste(picture('house'));
  await rill.page.getByRole('button', { name: 'Try the picture of an apple' }).click();
  await rill.page.locator('.tray input[type=file]').setInputFiles(picture('automobile'));
  await expect(rill.cards).toHaveCount(4);
  for (const card of await rill.cards.all()) await expect(card.locator('.bars__bar')).not.toHaveCount(0, LOAD);

  await rill.page.getByRole('button', { name: 'Remove all' }).click();
  await rill.drop(...Array.from({ length: 60 }, (_, i) => ({ ...picture('dog_face'), name: `dog ${i}.png` })));
  await expect(rill.work).toContainText(/60 in .* a second/, LOAD);
  await expect(rill.cards).toHaveCount(60);
});

test('the camera takes a picture, and is off afterwards', async ({ rill }) => {
  await rill.open('./#/pictures');
  await rill.drop(...model('vision/vit'));
  await rill.page.getByRole('button', { name: 'Take a picture' }).click();
  const dialog = rill.page.getByRole('dialog', { name: 'Take a picture' });
  const take = dialog.getByRole('button', { name: 'Take it' });
  await expect(take).toHaveAttribute('aria-disabled', 'false');
  await take.click();
  await expect(dialog).toBeHidden();
  await expect(rill.cards).toHaveText(/From the camera/, LOAD);
  expect(await rill.page.evaluate(() => document.querySelector('.camera__preview').srcObject.active)).toBe(false);
});
