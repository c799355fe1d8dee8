// Whatever is under way can be stopped, and the page goes on.

import { statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { MODELS } from '../support/browser.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

const UNDER_WAY = /Listening to the recording|Writing the words/;

test('a download that was cancelled goes on where it was', async ({ rill }) => {
  const pieces = Math.ceil(statSync(path.join(MODELS, 'whisper-tiny.en/model.safetensors')).size / 2 ** 22);
  const ranges = [];
  let delay = 400;
  await rill.page.route('**/models/whisper-tiny.en/model.safetensors', async (route) => {
    ranges.push(route.request().headers().range);
    await pause(delay);
    await route.continue().catch(() => {}); // The page may have stopped asking meanwhile.
  });
  await rill.open();
  await rill.load.click();
  // What the model runs on is measured first.
  await expect(rill.model.locator('.files__file', { hasText: 'model.safetensors' })).toContainText(/\d MB of \d+ MB/, LOAD);
  await rill.cancelLoading.click();
  await expect(rill.load).toBeVisible();
  await expect(rill.alert).toHaveCount(0);
  await expect(rill.page.getByText('Partly kept in this browser')).toBeVisible();

  const before = ranges.length;
  delay = 0;
  await rill.loadModel();
  expect(ranges.length - before, 'requests for the rest').toBeLessThan(pieces);
  expect(ranges[before], 'where it went on').not.toMatch(/^bytes=0-/);
});

test('a transcription that was cancelled can be asked for again', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  // The processor's kernels would be done before the press.
  await rill.runOn('GPU (WebGPU)');
  await rill.loadModel();
  await rill.choose(tone(900));
  await expect(rill.status).toContainText(UNDER_WAY);
  await rill.cancel.click();
  await expect(rill.status).toContainText('Stopped');
  await expect(rill.alert).toHaveCount(0);
  await expect(rill.record).toHaveAttribute('aria-disabled', 'false');

  await rill.again.click();
  await expect(rill.status).toContainText(UNDER_WAY);
  await rill.cancel.click();
  await expect(rill.status).toContainText('Stopped');

  await rill.choose(tone(1));
  await expect(rill.status).toContainText('Done', LOAD);
});

test('a recording waits for its model, and waiting can be cancelled', async ({ rill }) => {
  let isHeld = true;
  await serve(rill.page, smallWhisper(), {
    answer: async (name) => {
      while (name === 'model.safetensors' && isHeld) await pause(50);
    },
  });
  await rill.open();
  await rill.choose(tone(1));
  await expect(rill.status).toContainText('as soon as the model is ready');
  await rill.cancel.click();
  await expect(rill.status).toContainText('Stopped');
  isHeld = false;
  await expect(rill.ready).toBeVisible(LOAD);
  await expect(rill.status).toContainText('Stopped');
});
