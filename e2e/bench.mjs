// How fast the built page transcribes in Chromium, through window.rill like any program:
//
//   node bench.mjs [--json FILE] [--model ID] [--clip FILE] [--runs N] [--precision f32|f16] [--gpu]
//                  [--browser-args="--flag --flag"] [--url http://localhost:8080/]
//
// One load over the network and one out of the browser's own store, one warm-up run, then N runs, of which the medians
// are shown. Without `--gpu` Chromium computes on the processor (SwiftShader); with it, on the machine's GPU, and
// `--browser-args` adds what the driver there needs. `--url` is a page that is already served; otherwise this program
// serves dist/ itself.

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { CHROMIUM, sample, switches } from './support/browser.mjs';
import { served } from './support/served.mjs';
import * as wav from './support/wav.mjs';

const { values: given } = parseArgs({
  options: {
    json: { type: 'string' },
    model: { type: 'string', default: 'whisper-tiny.en' },
    clip: { type: 'string' },
    runs: { type: 'string' },
    precision: { type: 'string', default: 'f32' },
    gpu: { type: 'boolean', default: false },
    'browser-args': { type: 'string', default: '' },
    url: { type: 'string' },
  },
});

/** Runs in the page. */
async function measure({ model, precision, samples, runs }) {
  const rill = await window.rill.ready;
  const load = async () => {
    const start = performance.now();
    const pipeline = await rill.load(model, { precision });
    return { pipeline, wall_ms: performance.now() - start };
  };
  const cold = await load();
  await cold.pipeline.dispose();
  const warm = await load();
  const { info } = warm.pipeline;
  const times = [];
  // A run on the processor takes a minute; one is enough to know that.
  const count = runs ?? (info.software ? 1 : 5);
  let text;
  for (let i = -1; i < count; i++) {
    const result = await warm.pipeline.run({ audio: new Float32Array(samples) });
    text = result.text;
    if (i >= 0) times.push(result.timings);
  }
  const loaded = ({ pipeline, wall_ms }) => ({ ...pipeline.info.timings, wall_ms });
  return {
    adapter: info.adapter,
    software: info.software,
    backend: info.backend,
    precision: info.precision,
    memory_bytes: info.memory_bytes,
    dispatches_per_token: info.dispatches_per_token,
    load_from_network: loaded(cold),
    load_from_store: loaded(warm),
    runs: times,
    text,
  };
}

const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
};

function show(result) {
  const ms = (value) => `${value.toFixed(value < 100 ? 1 : 0)} ms`;
  const load = (timings) =>
    `${ms(timings.wall_ms)} (files ${ms(timings.download_ms)}, compile ${ms(timings.compile_ms)}, warm-up ${ms(timings.warm_up_ms)})`;
  const { median: m } = result;
  const rows = [
    ['browser', result.browser],
    ['adapter', `${result.adapter}${result.software ? ' (on the processor)' : ''}, ${result.backend}, ${result.precision}`],
    ['model, clip', `${result.model}, ${result.clip} (${m.audio_s.toFixed(1)} s), median of ${result.runs.length}`],
    ['load, network', load(result.load_from_network)],
    ['load, store', load(result.load_from_store)],
    ['features', ms(m.mel_ms)],
    ['encoder', ms(m.encode_ms)],
    ['decoder', `${ms(m.decode_ms)}, ${m.tokens_per_s.toFixed(1)} tokens/s, ${result.dispatches_per_token} dispatches a token`],
    ['first token', ms(m.first_token_ms)],
    ['total', `${ms(m.total_ms)}, real-time factor ${m.rtf.toFixed(4)}`],
    ['text', result.text],
  ];
  for (const [name, value] of rows) console.log(`${name.padEnd(14)} ${value}`);
}

const server = given.url ? { url: given.url, end: () => {} } : await served();
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: [...switches({ webgpu: given.gpu ? 'hardware' : 'software' }), ...given['browser-args'].split(' ').filter(Boolean)],
});
try {
  const clip = given.clip ?? sample('jfk');
  const { rate, channels } = wav.read(clip);
  const samples = [...(rate === 16_000 ? channels[0] : wav.resample(channels[0], rate, 16_000))];
  const page = await browser.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => window.rill);
  const runs = given.runs && Number(given.runs);
  const measured = await page.evaluate(measure, { model: given.model, precision: given.precision, samples, runs });
  const names = Object.keys(measured.runs[0]);
  const result = {
    browser: `Chromium ${browser.version()}`,
    model: given.model,
    clip: clip.split('/').at(-1),
    ...measured,
    median: Object.fromEntries(names.map((name) => [name, median(measured.runs.map((run) => run[name]))])),
  };
  show(result);
  if (given.json) writeFileSync(given.json, `${JSON.stringify(result, null, 2)}\n`);
} finally {
  await browser.close();
  server.end();
}
