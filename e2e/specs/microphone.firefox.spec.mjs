// Recording in Firefox from a microphone that a sound server of its own plays speech into.

import { sample } from '../support/browser.mjs';
import { CLOCK_RUNS, LOAD, TRANSCRIPTION, words } from '../support/rill.mjs';
import { SOUND, Sound } from '../support/sound.mjs';
import { MODEL, SAID, STATUS, expect, firefoxTest as test } from '../support/visitor.mjs';

test.use({ firefoxSwitches: { env: SOUND } });

test('what is said into the microphone stands on the page', async ({ visitor }) => {
  const sound = await Sound.start();
  try {
    await visitor.open();
    await visitor.press('Load now');
    await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
    await visitor.press('Record');
    await expect.poll(() => visitor.text('.level__clock')).toMatch(CLOCK_RUNS);
    await sound.say(sample('jfk'));
    await visitor.press('Stop');
    await expect.poll(() => visitor.text(STATUS), TRANSCRIPTION).toContain('Done');
    // A sound server on a busy machine drops a syllable here and there, so not every word is asked for.
    expect(words((await visitor.texts(SAID)).join(' '))).toContain('your country');
    expect(await visitor.text('.level__clock')).toMatch(/0:1[1-9]/);
  } finally {
    sound.end();
  }
});
