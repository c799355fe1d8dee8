// Pictures named, with a small classifier from files: its names mean nothing, that each picture gets its own is what counts.

import { writeFileSync } from 'node:fs';
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

test('a picture can be taken from the first one that the camera gives, and not before', async ({ rill }) => {
  await rill.page.addInitScript(() => {
    // A camera that is open and shows nothing until it is told to.
    const track = new MediaStreamTrackGenerator({ kind: 'video' });
    navigator.mediaDevices.getUserMedia = async () => new MediaStream([track]);
    window.showPicture = () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 48 });
      canvas.getContext('2d').fillRect(0, 0, 64, 48);
      return track.writable.getWriter().write(new VideoFrame(canvas, { timestamp: 0 }));
    };
  });
  await rill.open('./#/pictures');
  await rill.drop(...model('vision/vit'));
  await rill.page.getByRole('button', { name: 'Take a picture' }).click();
  const dialog = rill.page.getByRole('dialog', { name: 'Take a picture' });
  await expect(dialog.getByRole('status')).toHaveText("Waiting for the camera's first picture.");
  const take = dialog.getByRole('button', { name: 'Take it' });
  await expect(take).toHaveAttribute('aria-disabled', 'true');
  await rill.page.evaluate(() => window.showPicture());
  await expect(take).toHaveAttribute('aria-disabled', 'false');
  await take.click();
  await expect(dialog).toBeHidden();
  await expect(rill.cards).toHaveText(/From the camera/, LOAD);
});

test('looking at many pictures tells how far it is, can be stopped, and goes on where it was', async ({ rill }) => {
  await rill.open('./#/pictures');
  await rill.drop(...model('vision/vit'));
  await expect(rill.ready).toBeVisible(LOAD);
  const n = 300;
  await rill.stopAt('.card .bars__bar');
  await rill.drop(...Array.from({ length: n }, (_, i) => ({ ...picture('dog_face'), name: `dog ${i}.png` })));
  expect(await rill.stopped()).toMatch(/^[1-9]\d* of 300 pictures$/);
  await expect(rill.work).toContainText('Stopped');
  const named = () => rill.cards.filter({ has: rill.page.locator('.bars__bar') }).count();
  const before = await named();
  expect(before).toBeGreaterThan(0);
  expect(before).toBeLessThan(n);

  await rill.goOn.click();
  await expect(rill.work).toContainText(new RegExp(`^${n - before} in .* a second`), LOAD);
  expect(await named()).toBe(n);
});

test('a picture that cannot be read any more is named, and the others are looked at', async ({ rill }, info) => {
  // The model that is asked for first never comes.
  await rill.page.route('https://huggingface.co/**', () => {});
  await rill.open('./#/pictures');
  const paths = ['guitar', 'house', 'red_apple'].map((name) => {
    writeFileSync(info.outputPath(`${name}.png`), picture(name).buffer);
    return info.outputPath(`${name}.png`);
  });
  await rill.page.locator('.tray input[type=file]').setInputFiles(paths);
  await expect(rill.cards).toHaveCount(3);
  // What the browser was given is no longer what lies there.
  writeFileSync(paths[1], 'something else');
  await rill.drop(...model('vision/vit'));
  await expect(rill.work).toContainText('1 could not be read', LOAD);
  rill.outside.length = 0;
  await expect(rill.cards.nth(1)).toContainText('`house.png` could not be decoded');
  for (const i of [0, 2]) await expect(rill.cards.nth(i).locator('.bars__bar')).not.toHaveCount(0);
  await expect(rill.alert).toHaveCount(0);

  // It is not met again.
  await rill.drop(picture('automobile'));
  await expect(rill.cards.nth(3).locator('.bars__bar')).not.toHaveCount(0, LOAD);
  await expect(rill.work).toContainText('Done in');
});

test('a picture that would not fit into memory is refused before it is decoded', async ({ rill }) => {
  await rill.open('./#/pictures');
  await rill.drop({ name: 'huge.svg', mimeType: 'image/svg+xml', buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>') });
  await expect(rill.page.getByText('huge.svg: it has 20000 by 20000 pixels')).toBeVisible();
});
