// How fast Rill is beside the other programs that transcribe in a browser: the same weights, clip, browser and number of
// threads, in one run, warm, turn by turn, so that whatever else the machine does hits all alike.
//
//   node peers.mjs [--json FILE] [--models DIR] [--backend wasm|webgpu] [--browsers chromium,firefox] [--threads 1,2]
//                  [--model whisper-tiny.en,whisper-base] [--clip FILE] [--language en] [--runs 5]
//                  [--contenders rill:f32,transformers.js:q8,...] [--gpu] [--browser-args "--flag --flag"]
//
// Needs the built page (`cargo xtask build`). The peers' packages are installed into the user's cache on the first run, and
// the file for whisper.cpp is made here from Rill's own model. The files for transformers.js come from `--models` or
// RILL_PEER_MODELS; without them it says how they have to look.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium as playwright } from '@playwright/test';
import { contenders, filesOf } from './peers/contenders.mjs';
import { ggml } from './peers/ggml.mjs';
import { packages } from './peers/packages.mjs';
import { DIST, FIREFOX, MODELS, chromium, sample, switches } from './support/browser.mjs';
import { Firefox } from './support/firefox.mjs';
import { serve } from './support/isolated.mjs';
import { words } from './support/rill.mjs';
import * as wav from './support/wav.mjs';

const list = (text) => text.split(',').filter(Boolean);

const { values: given } = parseArgs({
  options: {
    json: { type: 'string' },
    models: { type: 'string', default: process.env.RILL_PEER_MODELS },
    backend: { type: 'string', default: 'wasm' },
    browsers: { type: 'string', default: 'chromium,firefox' },
    threads: { type: 'string', default: `1,${os.availableParallelism()}` },
    model: { type: 'string', default: 'whisper-tiny.en,whisper-base' },
    clip: { type: 'string' },
    language: { type: 'string', default: 'en' },
    runs: { type: 'string', default: '5' },
    contenders: { type: 'string' },
    gpu: { type: 'boolean', default: false },
    'browser-args': { type: 'string', default: '' },
  },
});

const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
};

/** Stops with what is missing and how it has to look. */
function checkFiles(all, models) {
  const missing = [
    ...(existsSync(path.join(DIST, 'index.html')) ? [] : ['the built page: run `cargo xtask build`']),
    ...models
      .filter((model) => !existsSync(path.join(MODELS, model)))
      .map((model) => `${model}: run \`cargo xtask fetch-models ${model}\``),
  ];
  const wanted = models.flatMap((model) => all.flatMap((contender) => filesOf(contender, model)));
  const absent = [...new Set(wanted)].filter((file) => !given.models || !existsSync(path.join(given.models, file)));
  if (absent.length) {
    missing.push(
      `files of the peers in ${given.models ?? 'a folder that --models or RILL_PEER_MODELS names'}: the same models as ONNX, ` +
        `as the "onnx-community" repositories of the model hub have them:\n    ${absent.join('\n    ')}`,
    );
  }
  if (missing.length) throw new Error(`missing:\n- ${missing.join('\n- ')}`);
}

/** The browser by name: its version, and how a contender gets a page there that shares nothing with the others'. */
async function launch(name) {
  const webgpu = given.backend === 'webgpu';
  if (name === 'firefox') {
    const [version] = /[\d.]+/.exec(execFileSync(FIREFOX, ['--version'], { encoding: 'utf8' }));
    return { version, open: () => Firefox.launch({ webgpu }), close: () => {} };
  }
  if (name !== 'chromium') throw new Error(`${name} is no browser here: chromium or firefox`);
  const { launchOptions } = chromium();
  const args = [...switches({ webgpu: given.gpu ? 'hardware' : webgpu ? 'software' : 'none' }), ...given['browser-args'].split(' ')];
  const browser = await playwright.launch({ ...launchOptions, args: args.filter(Boolean) });
  const open = async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    return { goto: (url) => page.goto(url), evaluate: page.evaluate.bind(page), close: () => context.close() };
  };
  return { version: browser.version(), open, close: () => browser.close() };
}

/** Runs in the page: fetches the clip and loads the contender. */
async function load({ module, job }) {
  window.samples = new Float32Array(await (await fetch('/clip')).arrayBuffer());
  const start = performance.now();
  window.transcribe = await (await import(module)).load(job);
  return performance.now() - start;
}

/** Runs in the page: one transcription. A copy, because some take the samples away. */
async function run() {
  const samples = window.samples.slice();
  const start = performance.now();
  const text = await window.transcribe(samples);
  return { ms: performance.now() - start, text: text.trim() };
}

/** Runs in the page. */
async function rillIsThere() {
  while (!window.rill) await new Promise((later) => setTimeout(later, 20));
}

/** A page of its own with a contender that is loaded and has run once, which compiles and warms up. */
async function start(browser, address, program, { module, job }) {
  const page = await browser.open();
  try {
    await page.goto(address);
    if (program === 'rill') await page.evaluate(rillIsThere);
    const load_ms = await page.evaluate(load, { module, job });
    return { page, result: { load_ms, first_ms: (await page.evaluate(run)).ms } };
  } catch (error) {
    await page.close();
    throw error;
  }
}

/** One model with so many threads: every contender in a context of its own, one turn after the other. */
async function race(browser, url, all, { model, threads, runs }) {
  const racers = [];
  try {
    for (const contender of all) {
      const { name, program, precision, backend, address, module } = contender;
      const job = { model, backend, precision, threads, language: given.language };
      const racer = await start(browser, url + address, program, { module, job });
      racer.result = { contender: name, program, precision, model, threads, ...racer.result, run_ms: [] };
      racers.push(racer);
    }
    for (let turn = 0; turn < runs; turn++) {
      // Each turn begins with another, so that nobody always follows the same one.
      for (let i = 0; i < racers.length; i++) {
        const { page, result } = racers[(turn + i) % racers.length];
        const { ms, text } = await page.evaluate(run);
        result.run_ms.push(ms);
        result.text = text;
      }
    }
  } finally {
    for (const { page } of racers) await page.close();
  }
  const [first] = racers;
  return racers.map(({ result }) => ({
    ...result,
    median_ms: median(result.run_ms),
    times_rill: median(result.run_ms) / median(first.result.run_ms),
    same_text: result.text === first.result.text ? 'yes' : words(result.text) === words(first.result.text) ? 'but for punctuation' : 'no',
  }));
}

function show(results, audio_s) {
  const s = (ms) => (ms / 1000).toFixed(2);
  const rows = results.map((row) => [
    row.contender,
    `${s(row.median_ms)} s`,
    `${s(Math.min(...row.run_ms))}-${s(Math.max(...row.run_ms))}`,
    (row.median_ms / 1000 / audio_s).toFixed(3),
    `${row.times_rill.toFixed(2)}x`,
    row.same_text,
  ]);
  const table = [['', 'median', 'from-to', 'RTF', "Rill's time", 'same text'], ...rows];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table) console.log(`  ${row.map((cell, i) => cell.padEnd(widths[i])).join('  ')}`.trimEnd());
  for (const row of results.filter((row) => row.same_text === 'no')) console.log(`  ${row.contender}: ${row.text}`);
}

const all = contenders(given.backend, given.contenders && list(given.contenders));
const models = list(given.model);
const threadCounts = list(given.threads).map(Number);
checkFiles(all, models);
const modules = packages();

const clip = given.clip ?? sample('jfk');
const { rate, channels } = wav.read(clip);
const samples = rate === 16_000 ? channels[0] : wav.resample(channels[0], rate, 16_000);
const made = new Map([['/clip', Buffer.from(Float32Array.from(samples).buffer)]]);
const folders = {
  '/rill/': DIST,
  '/rill/models/': MODELS,
  '/peers/': path.join(import.meta.dirname, 'peers'),
  '/packages/': modules,
  '/onnx/': given.models ?? '',
};
const server = await serve(folders, (address) => {
  const [, model, precision] = /^\/ggml\/([^/]+)\/([^/]+)$/.exec(address) ?? [];
  if (model && !made.has(address)) made.set(address, ggml(path.join(MODELS, model), precision));
  return made.get(address);
});

const audio_s = samples.length / 16_000;
const report = {
  date: new Date().toISOString(),
  processor: `${os.cpus()[0]?.model ?? 'unknown'}, ${os.availableParallelism()} cores`,
  backend: given.backend,
  clip: path.basename(clip),
  audio_s,
  results: [],
};
try {
  console.log(`${report.clip}, ${audio_s.toFixed(1)} s, ${given.backend}; ${report.processor}; median of ${given.runs} after one to warm up`);
  for (const name of list(given.browsers)) {
    const browser = await launch(name);
    try {
      const version = `${name} ${browser.version}`;
      for (const model of models) {
        for (const threads of threadCounts) {
          console.log(`\n${version}, ${model}, ${threads} thread${threads === 1 ? '' : 's'}`);
          const results = await race(browser, server.url, all, { model, threads, runs: Number(given.runs) });
          show(results, audio_s);
          report.results.push(...results.map((result) => ({ browser: version, ...result })));
          // Written after each race: a long measurement that is stopped leaves what it has.
          if (given.json) writeFileSync(given.json, `${JSON.stringify(report, null, 2)}\n`);
        }
      }
    } finally {
      await browser.close();
    }
  }
} finally {
  server.end();
}
