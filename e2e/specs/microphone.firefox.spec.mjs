// Recording in Firefox from a microphone that a sound server of its own plays speech into.

import { sample } from '../support/browser.mjs';
import { TRANSCRIPTION, expect, test } from '../support/rill.mjs';
import { Sound } from '../support/sound.mjs';

test('what is said into the microphone stands on the page', async ({ rill }) => {
  const sound = await Sound.start();
  try {
    await rill.open();
    await rill.loadModel();
    await rill.record.click();
    await expect(rill.clock).toContainText('0:01');
    await sound.say(sample('jfk'));
    await rill.stop.click();
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    // A sound server on a busy machine drops a syllable here and there, so not every word is asked for.
    expect(await rill.text()).toContain('your country');
    await expect(rill.clock).toContainText(/0:1[1-9]/);
  } finally {
    sound.end();
  }
});
