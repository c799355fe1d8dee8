// Leaving the page in the middle of a load and coming back, in WebKitGTK: what the page had open must not keep a later one
// from the models in the browser.

import { LOAD } from '../support/rill.mjs';
import { MODEL, expect, webkitTest as test } from '../support/visitor.mjs';

/** Milliseconds after which the page is left; from the first on a load is under way, at the last it may be done. */
const AFTER = [100, 400, 700, 900, 1_000, 1_100, 1_200, 1_300];

test('a load that was under way when the page was left keeps no later page from loading', async ({ visitor }) => {
  await visitor.open();
  await visitor.press('Load now');
  await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
  for (const ms of AFTER) {
    await visitor.goto('about:blank');
    await visitor.goto('./');
    await visitor.evaluate((ms) => new Promise((resolve) => setTimeout(resolve, ms)), ms);
  }
  await visitor.goto('about:blank');
  await visitor.open();
  await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
});
