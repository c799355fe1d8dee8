// Recording in Firefox, with a sound server of its own and without one.

import { sample } from '../support/browser.mjs';
import { JFK, TRANSCRIPTION, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { Sound } from '../support/sound.mjs';

test('without a sound output the page says why it cannot record', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.record.click();
  await rill.expectAlert('audio does not start', 'speakers or headphones');
  await expect(rill.record).toHaveAttribute('aria-disabled', 'false');
});

test('what is said into the microphone stands on the page, word for word', async ({ rill }) => {
  const sound = await Sound.start();
  try {
    await rill.open();
    await rill.loadModel();
    await rill.record.click();
    await expect(rill.clock).toContainText('0:01');
    await sound.say(sample('jfk'));
    await rill.stop.click();
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    expect(await rill.text()).toBe(JFK);
  } finally {
    sound.end();
  }
});
