// A WebNN context that goes away in the middle of the work, in the one Chromium here that has a real one. WebGPU is switched off:
// the processor is the next rung.

import { CHROMIUM_WEBNN, sample, switches } from '../support/browser.mjs';
import { expect, test, words } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

test.use({
  launchOptions: {
    executablePath: CHROMIUM_WEBNN,
    args: [...switches({ webgpu: 'none' }), '--enable-features=WebMachineLearningNeuralNetwork'],
  },
});

test('a context that is lost in the middle: the transcription is finished on the next backend', async ({ rill, browser }) => {
  await rill.open();
  const { page } = rill;
  const transcribed = page.evaluate(async (samples) => {
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'webnn' });
    // Three windows, so that the loss comes before the end.
    const audio = new Float32Array(3 * 480_000);
    for (let window = 0; window < 3; window++) audio.set(samples, window * 480_000);
    window.begun = true;
    const { text, backend } = await pipeline.run({ audio });
    return { text, backend };
  }, [...wav.read(sample('jfk')).channels[0]]);
  await page.waitForFunction(() => window.begun);
  await page.waitForTimeout(300);
  await (await browser.newBrowserCDPSession()).send('Browser.crashGpuProcess');
  const { text, backend } = await transcribed;
  expect(backend).toBe('wasm');
  expect(words(text).split('ask not what your country').length - 1, text).toBe(3);
});
