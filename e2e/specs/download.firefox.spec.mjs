// A model on its way into Firefox's storage: stopped, gone on with, and not asked for again.

import { statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { DIST, MODELS } from '../support/browser.mjs';
import { serve } from '../support/isolated.mjs';
import { LOAD } from '../support/rill.mjs';
import { MODEL, expect, firefoxTest } from '../support/visitor.mjs';

const WEIGHTS = 'whisper-tiny.en/model.safetensors';

const test = firefoxTest.extend({
  /** How slowly the weights come, in milliseconds a piece, and how many pieces were asked for. */
  line: async ({}, use) => use({ delay_ms: 400, n_asked: 0 }),
  baseURL: async ({ line }, use) => {
    const server = await serve({ '/': DIST, '/models/': MODELS }, async (address) => {
      if (!address.endsWith(WEIGHTS)) return;
      line.n_asked += 1;
      await pause(line.delay_ms);
    });
    await use(`${server.url}/`);
    server.end();
  },
});

test('a download that was cancelled goes on where it was, and is kept', async ({ visitor, line }) => {
  await visitor.open();
  await visitor.press('Load now');
  const kept = () => visitor.texts('.files__file');
  await expect.poll(kept).toContainEqual(expect.stringMatching(/model\.safetensors.*[1-9]\d* MB of \d+ MB/s));
  await visitor.press('Cancel loading');
  await expect.poll(() => visitor.text('body')).toContain('Partly kept in this browser');
  expect(await visitor.texts('[role=alert]')).toEqual([]);

  Object.assign(line, { delay_ms: 0, n_asked: 0 });
  await visitor.press('Load now');
  await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
  const n_pieces = Math.ceil(statSync(path.join(MODELS, WEIGHTS)).size / 2 ** 22);
  expect(line.n_asked, 'requests for the rest').toBeLessThan(n_pieces);

  line.n_asked = 0;
  await visitor.reload();
  // What is kept is loaded without being asked for.
  await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
  expect(line.n_asked).toBe(0);
});
