// Recording in Firefox on a machine that has a microphone and no sound output: its audio never starts.

import { firefox } from '../support/browser.mjs';
import { expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

test.use({ launchOptions: firefox({ prefs: { 'media.navigator.streams.fake': true } }).launchOptions });

test('without a sound output the page says why it cannot record', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.record.click();
  await rill.expectAlert('audio does not start', 'speakers or headphones');
  await expect(rill.record).toHaveAttribute('aria-disabled', 'false');
});
