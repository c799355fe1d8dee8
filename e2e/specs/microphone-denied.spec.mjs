// The visitor says no to the microphone.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

test.use({ launchOptions: { executablePath: CHROMIUM, args: switches({ microphone: 'denied' }) } });

test('a refused microphone is told with a way to allow it, and a dropped file is taken', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.record.click();
  await rill.expectAlert('The microphone was refused', 'Allow the microphone');
  await expect(rill.record).toBeVisible();
  await rill.drop(tone(1));
  await expect(rill.status).toContainText('Done', LOAD);
});
