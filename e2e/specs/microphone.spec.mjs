// No microphone, or none allowed: the page says what to do, and files still work.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

const GOOD = smallWhisper();

const cases = {
  denied: ['denied', 'Allow'],
  none: ['microphone', 'drop a recording'],
};

for (const [microphone, says] of Object.entries(cases)) {
  test.describe(`microphone: ${microphone}`, () => {
    test.use({ launchOptions: { executablePath: CHROMIUM, args: switches({ microphone }) } });

    test('recording is refused with a hint, a dropped file is taken', async ({ rill }) => {
      await serve(rill.page, GOOD);
      await rill.open();
      await rill.record.click();
      await rill.expectAlert(...says);
      await expect(rill.record).toBeVisible();
      await rill.drop(tone(1));
      await expect(rill.status).toContainText('Done', LOAD);
    });
  });
}
