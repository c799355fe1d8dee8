// The built folder on any static host, under any path: everything is found relative to the page.

import { DIST } from '../support/browser.mjs';
import { CLOCK_RUNS, LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { host } from '../support/static.mjs';
import { tone } from '../support/wav.mjs';

test('under a sub-path, without isolation headers, the page loads a model, records and transcribes', async ({ rill }) => {
  const site = await host(DIST, '/a/deep/path/');
  try {
    const missing = [];
    rill.page.on('response', (response) => response.status() === 404 && missing.push(new URL(response.url()).pathname));
    await serve(rill.page, smallWhisper());
    await rill.open(site.url);
    const threads = await rill.page.evaluate(() => window.rill.testFeatureSupport('wasm.threads'));
    expect(threads).toMatchObject({ supported: false, reason: expect.stringContaining('COOP') });

    await rill.loadModel();
    await rill.choose(tone(1));
    await expect(rill.status).toContainText('Done', LOAD);
    await rill.record.click();
    await expect(rill.clock).toContainText(CLOCK_RUNS);
    await rill.stop.click();
    await expect(rill.status).toContainText('Done', LOAD);
    expect(missing.filter((name) => !name.includes('/models/'))).toEqual([]);
  } finally {
    site.end();
  }
});
