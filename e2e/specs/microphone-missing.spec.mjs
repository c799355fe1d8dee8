// A machine without a microphone.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

test.use({ launchOptions: { executablePath: CHROMIUM, args: switches({ microphone: 'none' }) } });

test('a missing microphone is told, and a dropped file is taken', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.record.click();
  await rill.expectAlert('No microphone was found', 'drop a recording');
  await expect(rill.record).toBeVisible();
  await rill.drop(tone(1));
  await expect(rill.status).toContainText('Done', LOAD);
});
