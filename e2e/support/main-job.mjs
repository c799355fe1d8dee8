// What the page is for, as a test that runs in every browser: a model is loaded, the sample recording becomes text, and it
// is the same text everywhere.

import { sample } from './browser.mjs';
import { LOAD, TRANSCRIPTION } from './rill.mjs';
import { MODEL, SAID, STATUS, expect } from './visitor.mjs';

/** What Whisper tiny writes for the sample, letter for letter. */
const TEXT =
  'And so my fellow Americans ask not what your country can do for you ask what you can do for your country.';

/** Defines the test with a `test` that knows a `visitor`. */
export function mainJob(test) {
  test('a recording becomes the same words in every browser', async ({ visitor, has }) => {
    await visitor.open();

    await test.step('the page knows what this browser has', async () => {
      const { backends, threads } = await visitor.evaluate(async () => ({
        backends: await window.rill.backends(),
        threads: await window.rill.testFeatureSupport('wasm.threads'),
      }));
      const available = backends.filter((report) => report.available).map((report) => report.backend);
      expect(available).toContain('wasm');
      expect(available.includes('webgpu'), backends[0].reason).toBe(has.backend === 'webgpu');
      expect(threads.supported, threads.reason).toBe(has.threads);
      if (has.byHand) await visitor.set('Runs on', has.byHand);
    });

    await test.step('a file is chosen, the model loads by itself, and the words are there', async () => {
      await visitor.choose(sample('jfk'));
      await expect.poll(() => visitor.text(STATUS), TRANSCRIPTION).toContain('Done');
      const said = (await visitor.texts(SAID)).map((part) => part.trim()).join(' ');
      expect(said).toBe(TEXT);
      const names = { webgpu: 'WebGPU', wasm: 'WebAssembly' };
      expect(await visitor.text('.badge__words')).toContain(names[has.backend]);
    });

    await test.step('after a reload the model comes out of the browser, unasked', async () => {
      await visitor.reload();
      await expect.poll(() => visitor.text(MODEL), LOAD).toContain('is ready');
      await expect.poll(() => visitor.text('body')).toContain('Kept in this browser');
    });

    await test.step('sentences are ranked by meaning', async () => {
      await visitor.open('./#/text');
      await visitor.press('Compare');
      await expect.poll(() => visitor.texts('.ranking li'), LOAD).toHaveLength(5);
      expect((await visitor.texts('.ranking li'))[0]).toContain('Refunds are paid');
    });
  });
}
