// Token ids of a whole folder of clips in Chromium, equal to the reference's. RILL_SPEECH names the folder; without it this is
// a printed skip, since a software adapter takes a minute for each clip.

import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RillPage, expect, test } from '../support/rill.mjs';

const folder = process.env.RILL_SPEECH;
const golden = JSON.parse(await readFile(new URL('../../tests/golden/whisper.json', import.meta.url), 'utf8'));
const LANGUAGES = { 'cv-es': 'es', 'cv-de': 'de' };

for (const [model, { clips }] of Object.entries(golden.models)) {
  test(`${model} writes the reference's tokens for every clip`, async ({ page }) => {
    test.skip(!folder, 'RILL_SPEECH names no folder of clips');
    test.setTimeout(4 * 3600_000);
    await new RillPage(page).open();
    const wrong = [];
    for (const [name, reference] of Object.entries(clips)) {
      const file = join(folder, `${name}.wav`);
      if (!existsSync(file)) continue;
      const isLong = !reference.greedy_tokens;
      const tokens = await page.evaluate(
        async ({ model, wav, options }) => {
          globalThis.loaded ??= await window.rill.load(model);
          const bytes = Uint8Array.from(atob(wav), (c) => c.charCodeAt(0));
          return (await globalThis.loaded.run({ audio: new Blob([bytes], { type: 'audio/wav' }) }, options)).tokens;
        },
        {
          model,
          wav: (await readFile(file)).toString('base64'),
          options: { language: LANGUAGES[name] ?? 'en', timestamps: isLong, temperatures: [0] },
        },
      );
      const expected = isLong ? reference.default.segments.flatMap((segment) => segment.tokens) : reference.greedy_tokens;
      const isSilent = reference.default.text === '' && tokens.length === 0;
      if (!isSilent && JSON.stringify(tokens) !== JSON.stringify(expected)) wrong.push({ name, tokens, expected });
    }
    expect(wrong).toEqual([]);
  });
}
