// Recordings that Firefox's own decoder must judge.

import { writeFileSync } from 'node:fs';
import { DIST } from '../support/browser.mjs';
import { serve } from '../support/isolated.mjs';
import { LOAD } from '../support/rill.mjs';
import { smallWhisper } from '../support/server.mjs';
import { STATUS, expect, firefoxTest } from '../support/visitor.mjs';
import { tone } from '../support/wav.mjs';

const test = firefoxTest.extend({
  /** The page beside a small Whisper. */
  baseURL: async ({}, use) => {
    const files = smallWhisper();
    const server = await serve({ '/': DIST }, (address) => files[address.split('/models/whisper-tiny.en/')[1]]);
    await use(`${server.url}/`);
    server.end();
  },
  /** Chooses a file of that name and these bytes. */
  choose: async ({ visitor }, use, info) => {
    await use(({ name, buffer }) => {
      writeFileSync(info.outputPath(name), buffer);
      return visitor.choose(info.outputPath(name));
    });
  },
});

test('a file that holds no recording is refused by name, and good ones of every rate are taken after it', async ({ visitor, choose }) => {
  await visitor.open();
  await choose({ name: 'empty.wav', buffer: Buffer.alloc(0) });
  await expect.poll(() => visitor.texts('[role=alert]')).toContainEqual(expect.stringMatching(/empty\.wav.*The file is empty/s));
  await choose({ name: 'noise.mp3', buffer: Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 71) % 256)) });
  const refused = expect.stringMatching(/noise\.mp3.*cannot read the file as a recording/s);
  await expect.poll(() => visitor.texts('[role=alert]')).toContainEqual(refused);
  for (const [seconds, rate] of [[1, 44_100], [2, 48_000], [3, 96_000]]) {
    await choose(tone(seconds, { rate, name: `${rate}.wav` }));
    await expect.poll(() => visitor.text('.level__clock'), LOAD).toContain(`0:0${seconds}`);
    await expect.poll(() => visitor.text(STATUS), LOAD).toContain('Done');
  }
});
