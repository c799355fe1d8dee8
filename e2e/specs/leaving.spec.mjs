// The page is left, and comes back out of the browser's memory as it was. Chromium keeps no page there while it is driven, so
// the browser's events for it are made here; `leaving.webkit.spec.mjs` leaves and comes back in earnest.

import { expect, LOAD, test } from '../support/rill.mjs';

/** What the browser says to the page. */
const say = (rill, name) =>
  rill.page.evaluate((name) => {
    window.dispatchEvent(new PageTransitionEvent(name, { persisted: true }));
  }, name);

test('a page that is left lets go of its engine, and has model and text again when it is back', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.query.fill('kept while away');
  await rill.load.click();
  await expect(rill.ready).toBeVisible(LOAD);
  await rill.page.evaluate(() => {
    window.away = window.rill.load('whisper-tiny.en').then(() => 'loaded', (error) => error.name);
  });
  await say(rill, 'pagehide');
  expect(await rill.page.evaluate(() => window.away)).toBe('AbortError');
  await expect(rill.ready).toBeHidden();

  await say(rill, 'pageshow');
  await expect(rill.ready).toBeVisible(LOAD);
  await expect(rill.query).toHaveValue('kept while away');
  await expect(rill.alert).toHaveCount(0);
  await rill.compare.click();
  await expect(rill.ranking).not.toHaveCount(0, LOAD);
});
