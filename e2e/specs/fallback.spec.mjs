// Each step down the ladder, forced: what is missing from the start, and what goes away in the middle of the work.

import { LOAD, TRANSCRIPTION, expect, test } from '../support/rill.mjs';
import * as forcing from '../support/forcing.mjs';
import { serve } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

const MODEL = forcing.talkative();
/** What the talkative model hears in a first window, and in a later one, where the words before it take up some room. */
const HEARD = 'a a a a a a a';
const LATER = 'a a a a a a';

/** Load the model and run a second of sound through `window.rill`. */
const loadAndRun = (rill, options) =>
  rill.page.evaluate(async (options) => {
    const p = await window.rill.load('whisper-tiny.en', options);
    const samples = new Float32Array(16000).map((_, i) => Math.sin(i / 9) / 2);
    const { text, backend } = await p.run({ audio: samples });
    const { info } = p;
    await p.dispose();
    return { text, backend, info };
  }, options);

/** What a load is refused with. */
const refusal = (rill, options) =>
  rill.page.evaluate(
    (options) => window.rill.load('whisper-tiny.en', options).then(() => null, ({ kind, message }) => ({ kind, message })),
    options,
  );

const feature = (rill, name) => rill.page.evaluate((name) => window.rill.testFeatureSupport(name), name);

async function open(rill, ...programs) {
  await serve(rill.page, MODEL);
  await forcing.force(rill.page, ...programs);
  await rill.open();
}

/** Asked for by name: the measurement may well prefer the processor to software that plays the GPU. */
const WEBGPU = 'GPU (WebGPU)';

test.describe('from the start', () => {
  test('no adapter: the processor does it, and the reason is said', async ({ rill }) => {
    await open(rill, forcing.noAdapter);
    const { text, backend, info } = await loadAndRun(rill, {});
    expect([text, backend]).toEqual([HEARD, 'wasm']);
    expect(info.reason).toContain('webgpu cannot be used here: no adapter');
    expect(await refusal(rill, { backend: 'webgpu' })).toMatchObject({ kind: 'backend' });
  });

  test('an adapter that is there only when asked for again is taken', async ({ rill }) => {
    await open(rill, forcing.lateAdapter);
    expect(await loadAndRun(rill, { backend: 'webgpu' })).toMatchObject({ text: HEARD, backend: 'webgpu' });
  });

  test('no f16: 32 bits are given and said, or with fallbacks off it is an error', async ({ rill }) => {
    await open(rill, [forcing.without, ['shader-f16']]);
    expect(await feature(rill, 'webgpu.f16')).toMatchObject({ supported: false });
    const asked = { backend: 'webgpu', precision: 'f16' };
    const { text, info } = await loadAndRun(rill, asked);
    expect([text, info.backend, info.precision]).toEqual([HEARD, 'webgpu', 'f32']);
    expect(info.reason).toContain('in 32 bits, since the adapter has no shader-f16');

    await rill.page.evaluate(() => window.rill.enableFeatureFallbacks(false));
    expect(await refusal(rill, asked)).toMatchObject({ kind: 'backend' });
    expect((await loadAndRun(rill, { backend: 'webgpu' })).text).toBe(HEARD);
  });

  test('no subgroups: that is found out, and everything runs', async ({ rill }) => {
    await open(rill, [forcing.without, ['subgroups']]);
    expect(await feature(rill, 'webgpu.subgroups')).toMatchObject({ supported: false, reason: 'the adapter has no subgroups' });
    expect((await loadAndRun(rill, { backend: 'webgpu' })).text).toBe(HEARD);
  });

  test('limits at the specification’s minimum are enough', async ({ rill }) => {
    await open(rill, forcing.smallestLimits);
    const { supported, reason } = await feature(rill, 'webgpu.limits');
    expect(supported, reason).toBe(true);
    expect(reason).toContain('a buffer may have 256 MiB, a binding 128 MiB, a workgroup 256 invocations and 16 KiB');
    expect(await loadAndRun(rill, { backend: 'webgpu' })).toMatchObject({ text: HEARD, backend: 'webgpu' });
  });

  test('memory refused while loading: the next backend takes the model, and the page says so', async ({ rill }) => {
    // The token table alone is larger, in 8 bits and streamed too; the pieces that are measured are smaller.
    await open(rill, [forcing.memoryRefusedAbove, 1_500_000]);
    await loadAndRun(rill, {});
    // What was remembered is made to speak for WebGPU, which then has no room.
    await rill.page.evaluate(async () => {
      const done = (request) => new Promise((ok, no) => ([request.onsuccess, request.onerror] = [() => ok(request.result), no]));
      const facts = (await done(indexedDB.open('rill-facts'))).transaction('facts', 'readwrite').objectStore('facts');
      for (const key of await done(facts.getAllKeys())) {
        const figures = JSON.parse(await done(facts.get(key)));
        for (const figure of figures) figure.estimate_ms = figure.backend === 'webgpu' ? 1 : 1000;
        await done(facts.put(JSON.stringify(figures), key));
      }
    });
    // The kept model is loaded by itself.
    await rill.open();
    await expect(rill.ready).toBeVisible(LOAD);
    await rill.expectAlert('WebGPU could not take the model', 'the GPU has no memory left', 'Nothing is lost');
    await expect(rill.badge).not.toContainText('WebGPU');

    const asked = await refusal(rill, { backend: 'webgpu' });
    expect(asked).toMatchObject({ kind: 'out-of-memory' });
    expect(asked.message).toContain('the GPU has no memory left');
  });
});

test.describe('in the middle of the work', () => {
  test('device.destroy(): the transcription is finished on the next backend, no word lost or said twice', async ({ rill }) => {
    await open(rill, forcing.destroyable);
    await rill.runOn(WEBGPU);
    await rill.loadModel();
    await rill.choose(tone(100));
    await expect(rill.segments).toHaveCount(1, TRANSCRIPTION);
    await forcing.now(rill.page, 'destroy');
    await rill.expectAlert('WebGPU failed in the middle of the work', 'goes on from the last finished window', 'Nothing is lost');
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    expect(await rill.segments.allTextContents()).toEqual([HEARD, LATER, LATER, LATER]);
    await expect(rill.badge).not.toContainText('WebGPU');
    await rill.model.getByText('How it runs').click();
    await expect(rill.model).toContainText('taken over from WebGPU, since the GPU was lost');

    // What comes next finds the model where it is.
    await rill.again.click();
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    await expect(rill.segments).toHaveCount(4);
  });

  test('device.destroy() while recording: the recording goes on and its text comes', async ({ rill }) => {
    await open(rill, forcing.destroyable);
    await rill.runOn(WEBGPU);
    await rill.loadModel();
    await rill.record.click();
    await expect(rill.clock).toContainText('0:02');
    await forcing.now(rill.page, 'destroy');
    await rill.expectAlert('WebGPU failed in the middle of the work');
    await expect(rill.clock).toContainText('0:05', TRANSCRIPTION);
    await rill.stop.click();
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    expect(await rill.text()).toBe(HEARD);
  });

  test('a GPU that no longer answers is given up after the watchdog’s time', async ({ rill }) => {
    await open(rill, forcing.stallable);
    await rill.runOn(WEBGPU);
    await rill.loadModel();
    await rill.choose(tone(70));
    await expect(rill.segments).toHaveCount(1, TRANSCRIPTION);
    await forcing.now(rill.page, 'stall');
    await rill.expectAlert('the GPU did not finish its work within 150 s', 'Nothing is lost');
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    await expect(rill.segments).toHaveCount(3);
  });

  test('with fallbacks off it is an error that says what to do, and the next load tries WebGPU again', async ({ rill }) => {
    await open(rill, forcing.destroyable);
    await rill.runOn(WEBGPU);
    await rill.page.getByLabel('If a backend fails, go on with the next').uncheck();
    await rill.loadModel();
    await rill.choose(tone(100));
    await expect(rill.segments).toHaveCount(1, TRANSCRIPTION);
    await forcing.now(rill.page, 'destroy');
    const alert = await rill.expectAlert('The GPU went away', 'Load the model again');
    await expect(rill.segments, 'what was written stays').not.toHaveCount(0);
    await alert.getByRole('button', { name: 'Load again' }).click();
    await expect(rill.ready).toBeVisible(LOAD);
    await expect(rill.badge).toContainText('WebGPU');
  });
});
