// WebNN in the one Chromium here that has a real context (`cargo xtask setup` unpacks it).

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { CHROMIUM_WEBNN, sample, switches } from '../support/browser.mjs';
import { JFK, expect, test, words } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

const golden = (file) => JSON.parse(readFileSync(path.join(import.meta.dirname, '../../tests/golden', file), 'utf8'));
const jfk = () => [...wav.read(sample('jfk')).channels[0]];

test.use({
  launchOptions: {
    executablePath: CHROMIUM_WEBNN,
    args: [...switches(), '--enable-features=WebMachineLearningNeuralNetwork'],
  },
});

test('every device type proves itself, and none is called by a name that it was not given', async ({ rill }) => {
  await rill.open();
  for (const type of ['cpu', 'gpu', 'npu']) {
    const { supported, reason } = await rill.page.evaluate((name) => window.rill.testFeatureSupport(name), `webnn.${type}`);
    expect(supported, reason).toBe(true);
    expect(reason).toContain(`WebNN, device type ${type}`);
  }
});

test('whisper-tiny.en writes the tokens of the reference', async ({ rill }) => {
  await rill.open();
  const { info, results } = await rill.page.evaluate(async (samples) => {
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'webnn' });
    const run = (options) => pipeline.run({ audio: new Float32Array(samples) }, options);
    // The second run finds every cache as the first one left it.
    const results = [await run({ timestamps: false }), await run({ timestamps: true })];
    await pipeline.dispose();
    return { info: pipeline.info, results };
  }, jfk());
  expect(info).toMatchObject({ backend: 'webnn', precision: 'f32' });
  expect(info.adapter).toContain('WebNN, device type');
  const expected = golden('whisper.json').models['whisper-tiny.en'];
  expect(results[0].tokens).toEqual(expected.clips.jfk.greedy_tokens);
  expect(results[1].tokens).toEqual(expected.timestamp_tokens);
  expect(words(results[1].text)).toBe(JFK);
});

test('sentences get the vectors of the reference', async ({ rill }) => {
  await rill.open();
  const sentences = golden('minilm.json').sentences;
  const { backend, embeddings } = await rill.page.evaluate(async (texts) => {
    const pipeline = await window.rill.load('all-MiniLM-L6-v2', { backend: 'webnn' });
    const { embeddings } = await pipeline.run({ texts });
    return { backend: pipeline.info.backend, embeddings };
  }, sentences.map((sentence) => sentence.text));
  expect(backend).toBe('webnn');
  for (const [idx, { text, embedding }] of sentences.entries()) {
    const cosine = embedding.reduce((sum, value, i) => sum + value * embeddings[idx][i], 0);
    expect(Math.abs(cosine - 1), text).toBeLessThan(1e-4);
  }
});
