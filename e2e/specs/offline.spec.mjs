// A model that was loaded once loads again without the network.

import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, serveAsUsual, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

test('after a reload the real model comes out of the browser, not one request is made for it', async ({ rill }) => {
  await rill.open();
  await rill.loadModel();
  await expect(rill.kept).toBeVisible();

  const asked = [];
  await rill.page.route(/\/models\/|huggingface/, (route) => {
    const url = route.request().url();
    // The list of the site's own models comes with the page, which does without it here.
    if (!url.endsWith('/models/index.json')) asked.push(url);
    return route.abort('internetdisconnected');
  });
  await rill.page.reload();
  // What is kept is loaded without being asked for.
  await expect(rill.ready).toBeVisible(LOAD);
  expect(asked).toEqual([]);
});

test('a page that is open works on when the network goes', async ({ rill, context }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.loadModel();
  await context.setOffline(true);
  await rill.choose(tone(1));
  await expect(rill.status).toContainText('Done', LOAD);
});

test('a model that was removed from the browser is downloaded anew', async ({ rill }) => {
  const asked = await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.loadModel();
  await rill.page.getByRole('button', { name: 'Remove whisper-tiny.en from this browser' }).click();
  await expect(rill.kept).toBeHidden();
  asked.length = 0;
  await rill.page.reload();
  await rill.loadModel();
  expect(asked).toContain('model.safetensors');
  await serveAsUsual(rill.page);
});
