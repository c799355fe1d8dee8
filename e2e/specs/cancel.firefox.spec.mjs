// Work that is stopped in the middle, in Firefox with threads.

import { writeFileSync } from 'node:fs';
import { sample } from '../support/browser.mjs';
import { LOAD, TRANSCRIPTION } from '../support/rill.mjs';
import { STATUS, expect, firefoxTest as test } from '../support/visitor.mjs';
import * as wav from '../support/wav.mjs';

const UNDER_WAY = /Listening to the recording|Writing the words/;

test('a transcription that was cancelled can be asked for again, and another one after it', async ({ visitor }, info) => {
  // Long enough that its end does not come before the press.
  const { rate, channels } = wav.read(sample('jfk'));
  const long = Float32Array.from({ length: 20 * channels[0].length }, (_, i) => channels[0][i % channels[0].length]);
  writeFileSync(info.outputPath('long.wav'), wav.write({ rate, channels: [long] }));

  await visitor.open();
  await visitor.choose(info.outputPath('long.wav'));
  await expect.poll(() => visitor.text(STATUS), LOAD).toMatch(UNDER_WAY);
  await visitor.press('Cancel');
  await expect.poll(() => visitor.text(STATUS)).toContain('Stopped');
  await visitor.press('Transcribe again');
  await expect.poll(() => visitor.text(STATUS)).toMatch(UNDER_WAY);
  await visitor.press('Cancel');
  await expect.poll(() => visitor.text(STATUS)).toContain('Stopped');
  await visitor.choose(sample('jfk'));
  await expect.poll(() => visitor.text(STATUS), TRANSCRIPTION).toContain('Done');
});
