// window.rill, as public/rill.d.ts promises it to programs. The tests share one page and the models loaded in it.

import { sample } from '../support/browser.mjs';
import { JFK, RillPage, TRANSCRIPTION, expect, test, words } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

test.describe.configure({ mode: 'serial' });

/** @type {RillPage} */
let rill;
const inPage = (program, argument) => rill.page.evaluate(program, argument);

/** What a program's error says, as an object that crosses to the test. */
const caught = (program, argument) =>
  inPage(
    `(async () => {
      try { await (${program})(${JSON.stringify(argument)}); return 'it did not fail'; }
      catch (error) { return { name: error.name, message: error.message, hint: error.hint, kind: error.kind }; }
    })()`,
  );

test.beforeAll(async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL });
  rill = await new RillPage(await context.newPage()).open();
});

test.afterAll(async () => {
  expect(rill.crashes, 'uncaught errors').toEqual([]);
  await rill.page.context().close();
});

test('the page tells what models there are and what this browser can do', async () => {
  const models = await inPage(() => window.rill.models());
  expect(models.slice(0, 3).map((model) => model.id)).toEqual(['whisper-tiny.en', 'whisper-base', 'all-MiniLM-L6-v2']);
  const offered = new Set(models.map((model) => model.task));
  for (const task of ['text-to-text', 'image-text', 'image-classification', 'fill-mask']) expect(offered).toContain(task);
  expect(models[0]).toMatchObject({ task: 'speech-to-text', default: true, multilingual: false, licence: 'MIT' });

  const [webgpu, webnn, wasm] = await inPage(() => window.rill.backends());
  expect([webgpu.backend, webnn.backend, wasm.backend]).toEqual(['webgpu', 'webnn', 'wasm']);
  expect(webgpu).toMatchObject({ available: true, software: true });
  expect(webgpu.adapter).not.toBe('');
  expect(webnn.available).toBe(false);
  expect(wasm.available).toBe(true);

  const test = (name) => inPage((name) => window.rill.testFeatureSupport(name), name);
  // The server isolates the page, so memory can be shared.
  for (const name of ['webgpu', 'wasm', 'wasm.simd', 'wasm.threads', 'storage', 'microphone']) {
    const { supported, reason } = await test(name);
    expect(supported, `${name}: ${reason}`).toBe(true);
  }
  expect(await test('webgpu.f16')).toMatchObject({ supported: false });
  expect(await caught('(name) => window.rill.testFeatureSupport(name)', 'teleport')).toMatchObject({ name: 'TypeError' });
});

test('wrong arguments get a TypeError that names what is expected', async () => {
  const load = (id, options) => caught('([id, options]) => window.rill.load(id, options)', [id, options]);
  const cases = [
    [await load(7), 'a string'],
    [await load('whisper huge'), 'whisper-tiny.en, whisper-base'],
    [await load('whisper-tiny.en', { backend: 'cuda' }), '"auto" or "webgpu" or "webnn" or "wasm"'],
    [await load('whisper-tiny.en', { precison: 'f16' }), 'no option `precison`'],
    [await load('whisper-tiny.en', { chunkBytes: -1 }), 'a whole number'],
    [await load('whisper-tiny.en', { onProgress: 'yes' }), 'a function'],
    [await load('whisper-tiny.en', { signal: true }), 'an AbortSignal'],
  ];
  for (const [error, says] of cases) {
    expect(error).toMatchObject({ name: 'TypeError' });
    expect(error.message).toContain(says);
  }
});

test('a backend that cannot run models rejects with what to do', async () => {
  const error = await caught("() => window.rill.load('whisper-tiny.en', { backend: 'webnn' })");
  expect(error).toMatchObject({ name: 'RillError', kind: 'backend' });
  expect(error.hint).toContain('Choose another backend');
});

test('a load that is aborted rejects with an AbortError', async () => {
  const program = `async () => {
    const stop = new AbortController();
    const onProgress = ({ phase }) => phase === 'download' && stop.abort();
    await window.rill.load('whisper-tiny.en', { signal: stop.signal, onProgress });
  }`;
  expect(await caught(program)).toMatchObject({ name: 'AbortError' });
  const again = "() => window.rill.load('whisper-tiny.en', { signal: AbortSignal.abort(new Error('changed my mind')) })";
  expect(await caught(again)).toMatchObject({ message: 'changed my mind' });
});

test('speech becomes text, token by token', async () => {
  const samples = [...wav.read(sample('jfk')).channels[0]];
  const { phases, files, info, result, steps, report } = await inPage(async (samples) => {
    const phases = new Set();
    let files;
    const onProgress = (progress) => {
      phases.add(progress.phase);
      files = progress.files;
    };
    window.speech = await window.rill.load('whisper-tiny.en', { backend: 'webgpu', onProgress });
    const steps = [];
    const onToken = (step) => steps.push(step);
    const result = await window.speech.run({ audio: new Float32Array(samples) }, { onToken, language: 'en' });
    return { phases: [...phases], files, info: window.speech.info, result, steps, report: window.speech.report() };
  }, samples);

  expect(phases).toEqual(['prepare', 'download', 'verify', 'warmup']);
  const weights = files.find((file) => file.name === 'model.safetensors');
  expect(weights.received_bytes).toBe(weights.total_bytes);
  expect(info).toMatchObject({ backend: 'webgpu', precision: 'f32', software: true, languages: ['en'] });
  expect(info.dispatches_per_token).toBeGreaterThan(0);

  expect(words(result.text)).toBe(JFK);
  expect(result).toMatchObject({ language: 'en', backend: 'webgpu', adapter: info.adapter });
  expect(words(result.segments.map((segment) => segment.text).join(''))).toBe(JFK);
  expect(result.segments[0].start).toBeLessThan(1);
  expect(result.segments.at(-1).end).toBeGreaterThan(9);

  // The text grew by the tokens that became the result.
  expect(steps.length).toBeGreaterThan(1);
  expect(words(steps.at(-1).text)).toBe(JFK);
  const heard = steps.flatMap((step) => step.new_tokens);
  expect(heard.slice(0, result.tokens.length)).toEqual(result.tokens);

  const { timings } = result;
  expect(timings.audio_s).toBeCloseTo(11, 2);
  for (const part of ['mel_ms', 'encode_ms', 'decode_ms', 'first_token_ms', 'tokens_per_s', 'rtf']) {
    expect(timings[part], part).toBeGreaterThan(0);
  }
  expect(timings.total_ms).toBeGreaterThanOrEqual(timings.mel_ms + timings.encode_ms + timings.decode_ms);
  expect(timings.rtf).toBeCloseTo(timings.total_ms / 1000 / timings.audio_s, 2);
  expect(report).toMatchObject({ runs: 1, last_timings: timings });
});

test('a run can be aborted, refuses what is no recording, and ends with its model', async () => {
  const run = (input, options = '{}') => caught(`() => window.speech.run(${input}, ${options})`);
  // A tone: silence would be done before it can be stopped.
  const audio = 'new Float32Array(16000).map((_, i) => Math.sin(i / 9))';
  const aborted = `{ signal: AbortSignal.timeout(300) }`;
  expect(await run(`{ audio: ${audio} }`, aborted)).toMatchObject({ name: 'TimeoutError' });
  const stopped = await caught(`async () => {
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    await window.speech.run({ audio: ${audio} }, { signal: stop.signal });
  }`);
  expect(stopped).toMatchObject({ name: 'AbortError' });

  expect(await run('{ audio: [0, 0, 0] }')).toMatchObject({ name: 'TypeError' });
  expect(await run('{ texts: ["speech?"] }')).toMatchObject({ name: 'TypeError' });
  expect(await run('{ audio: new Float32Array(16000) }', '{ language: "de" }')).toMatchObject({ name: 'TypeError' });
  expect(await run('{ audio: new Float32Array(1600) }')).toMatchObject({ name: 'RillError', kind: 'input' });
  expect(await run('{ audio: new Float32Array(0) }')).toMatchObject({ name: 'RillError', kind: 'input' });
  expect(await run('{ audio: new Blob(["no sound"]) }')).toMatchObject({ name: 'RillError', kind: 'input' });
  expect(await run('{ audio: new Float32Array(16000).fill(NaN) }')).toMatchObject({ name: 'RillError', kind: 'input' });

  await inPage(() => window.speech.dispose().then(() => window.speech.dispose()));
  expect(await run('{ audio: new Float32Array(16000) }')).toMatchObject({ name: 'RillError', kind: 'input' });
});

test('texts become vectors whose products order them by meaning', async () => {
  const texts = ['How do I get my money back?', 'Refunds are paid within five days.', 'The river rises in the hills.'];
  const { embeddings, one, report } = await inPage(async (texts) => {
    const text = await window.rill.load('all-MiniLM-L6-v2');
    const { embeddings } = await text.run({ texts });
    const one = await text.run({ text: texts[1] });
    const report = text.report();
    await text.dispose();
    return { embeddings, one: one.embeddings, report };
  }, texts);
  expect(embeddings.map((vector) => vector.length)).toEqual([384, 384, 384]);
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  for (const vector of embeddings) expect(dot(vector, vector)).toBeCloseTo(1, 4);
  expect(dot(embeddings[0], embeddings[1])).toBeGreaterThan(dot(embeddings[0], embeddings[2]) + 0.2);
  // A text's vector does not depend on its neighbours.
  expect(dot(one[0], embeddings[1])).toBeCloseTo(1, 4);
  expect(report).toMatchObject({ runs: 2, last_timings: null, pipeline: { dispatches_per_token: 0 } });
});

test('models may come from another folder', async () => {
  await rill.page.route('**/elsewhere/**', (route) =>
    route.fulfill({ status: 404, contentType: 'text/plain', body: 'nothing here' }),
  );
  const error = await caught("() => window.rill.load('whisper-base', { baseUrl: 'elsewhere' })");
  expect(error).toMatchObject({ name: 'RillError', kind: 'network' });
  expect(error.message).toContain('/elsewhere/whisper-base/');
});
