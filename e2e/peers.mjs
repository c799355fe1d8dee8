// How fast Rill is beside the other programs that do the same in a browser: the same weights, inputs, browser and number of
// threads, in one run, warm, turn by turn, so that whatever else the machine does hits all alike.
//
//   node peers.mjs [--task speech,embed,classify,match,generate|all] [--backend wasm,webgpu] [--browsers chromium,firefox]
//                  [--threads 1,2] [--batches 1,8,32] [--runs 5] [--model ID,...] [--contenders rill:f32,transformers.js:q8,...]
//                  [--precisions] [--inputs N] [--clip FILE] [--language en] [--models DIR] [--json FILE]
//                  [--gpu] [--browser-args="--flag --flag"]
//
// `--precisions` sets Rill against itself in all of its precisions: speed, memory, and how near the results stay.
// Everything is timed from what a program has (files of pictures, text, samples) to what it wants. Needs the built page
// (`cargo xtask build`). The peers' packages are installed into the user's cache on the first run, and the file for whisper.cpp
// is made here from Rill's own model. The files for transformers.js come from `--models` or RILL_PEER_MODELS;
// `peers/README.md` says how to make them.

import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { chromium as playwright } from '@playwright/test';
import { PRECISIONS, contenders, filesOf } from './peers/contenders.mjs';
import { ggml } from './peers/ggml.mjs';
import { packages } from './peers/packages.mjs';
import { pictures } from './peers/pictures.mjs';
import { stageLines } from './peers/stages.mjs';
import { TASKS } from './peers/tasks.mjs';
import { DIST, FIREFOX, MODELS, chromium, sample, switches } from './support/browser.mjs';
import { Firefox } from './support/firefox.mjs';
import { serve } from './support/isolated.mjs';
import * as wav from './support/wav.mjs';

const list = (text) => text.split(',').filter(Boolean);

const { values: given } = parseArgs({
  options: {
    task: { type: 'string', default: 'speech' },
    backend: { type: 'string', default: 'wasm' },
    browsers: { type: 'string' },
    threads: { type: 'string' },
    batches: { type: 'string' },
    runs: { type: 'string', default: '5' },
    model: { type: 'string' },
    contenders: { type: 'string' },
    precisions: { type: 'boolean', default: false },
    inputs: { type: 'string', default: 'Infinity' },
    clip: { type: 'string' },
    language: { type: 'string', default: 'en' },
    models: { type: 'string', default: process.env.RILL_PEER_MODELS },
    json: { type: 'string' },
    gpu: { type: 'boolean', default: false },
    'browser-args': { type: 'string', default: '' },
  },
});

const median = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
};

/** Where Rill's form of a model lies: fetched, come with the page, or beside the peers' form of it, as on the hub. */
const folderOf = (model) =>
  [MODELS, path.join(DIST, 'models'), given.models ?? MODELS]
    .map((folder) => path.join(folder, model))
    .find((folder) => existsSync(path.join(folder, 'model.safetensors')));

/** Stops with what is missing and how it has to look. */
function checkFiles(races) {
  // whisper.cpp's files are made of Rill's.
  const ours = races.filter(({ all }) => all.some(({ program }) => program !== 'transformers.js'));
  const models = [...new Set(ours.flatMap(({ models }) => models))];
  const missing = models
    .filter((model) => !folderOf(model))
    .map((model) => `${model}: run \`cargo xtask fetch-models ${model}\`, or put its repository into ${given.models ?? MODELS}`);
  if (ours.length && !existsSync(path.join(DIST, 'index.html'))) missing.push('the built page: run `cargo xtask build`');
  const wanted = races.flatMap(({ task, models, all }) =>
    models.flatMap((model) => all.flatMap((contender) => filesOf(contender, task, model))),
  );
  const absent = [...new Set(wanted)].filter((file) => !given.models || !existsSync(path.join(given.models, file)));
  if (absent.length) {
    missing.push(
      `files of the peers in ${given.models ?? 'a folder that --models or RILL_PEER_MODELS names'}: the same models as ONNX, ` +
        `as the "onnx-community" repositories of the model hub have them (e2e/peers/README.md):\n    ${absent.join('\n    ')}`,
    );
  }
  if (missing.length) throw new Error(`missing:\n- ${missing.join('\n- ')}`);
}

/** The browser by name: its version, and how a contender gets a page there that shares nothing with the others'. */
async function launch(name, backend) {
  const webgpu = backend === 'webgpu';
  if (name === 'firefox') {
    const [version] = /[\d.]+/.exec(execFileSync(FIREFOX, ['--version'], { encoding: 'utf8' }));
    return { version, open: () => Firefox.launch({ webgpu }), close: () => {} };
  }
  if (name !== 'chromium') throw new Error(`${name} is no browser here: chromium or firefox`);
  const { launchOptions } = chromium();
  const args = [...switches({ webgpu: !webgpu ? 'none' : given.gpu ? 'hardware' : 'software' }), ...given['browser-args'].split(' ')];
  const browser = await playwright.launch({ ...launchOptions, args: args.filter(Boolean) });
  const open = async () => {
    const context = await browser.newContext();
    const page = await context.newPage();
    return { goto: (url) => page.goto(url), evaluate: page.evaluate.bind(page), close: () => context.close() };
  };
  return { version: browser.version(), open, close: () => browser.close() };
}

/** Runs in the page: fetches the inputs and loads the contender. */
async function load({ module, job }) {
  const { inputsOf } = await import('/peers/inputs.js');
  const inputs = await inputsOf(job.task);
  const start = performance.now();
  window.contender = await (await import(module)).load(job, inputs);
  return { load_ms: performance.now() - start, ...window.contender.about };
}

/** Runs in the page: all inputs once. */
async function run(batch) {
  const start = performance.now();
  const { output, model_ms } = await window.contender.run(batch);
  return { ms: performance.now() - start, output, model_ms };
}

/** A page of its own with a contender that is loaded and has run once, which compiles and warms up. */
async function start(browser, url, { name, program, precision, backend, address, module }, { task, model, threads, batches }) {
  const racer = { result: { contender: name, program, precision, task, model, backend, threads } };
  racer.page = await browser.open();
  try {
    await racer.page.goto(url + address);
    const job = { task, model, backend, precision, threads, language: given.language };
    Object.assign(racer.result, await racer.page.evaluate(load, { module, job }));
    racer.result.first_ms = (await racer.page.evaluate(run, batches[0])).ms;
  } catch (error) {
    await racer.page.close();
    // What one cannot do is told, and keeps nobody else from running.
    return { ...racer, page: undefined, failure: String(error.message ?? error).split('\n')[0].replace('page.evaluate: ', '') };
  }
  return racer;
}

/** A GPU that waited for its turn runs at a lower clock for about so long. */
const RISE_MS = 1000;

/** One batch size: a run of each to warm up, then one turn after the other. On a GPU what is timed follows a second of the same
 * work, which is not: a long run or many short ones. */
async function measure(racers, batch, runs) {
  const times = racers.map(() => ({ run_ms: [], model_ms: [] }));
  for (const { page } of racers) await page.evaluate(run, batch);
  for (let turn = 0; turn < runs; turn++) {
    // Each turn begins with another, so that nobody always follows the same one.
    for (let i = 0; i < racers.length; i++) {
      const at = (turn + i) % racers.length;
      const { page, result } = racers[at];
      const start = performance.now();
      while (result.backend === 'webgpu' && performance.now() - start < RISE_MS) await page.evaluate(run, batch);
      const { ms, output, model_ms } = await page.evaluate(run, batch);
      times[at].run_ms.push(ms);
      if (model_ms !== undefined) times[at].model_ms.push(model_ms);
      times[at].output = output;
    }
  }
  return times;
}

/** Where the time of those goes that can tell, which is Rill on a GPU, after all that is compared was timed. */
async function traced(racers) {
  const traces = [];
  for (const racer of racers) {
    try {
      const trace = await racer.page.evaluate(() => window.contender.trace?.());
      if (trace) traces.push({ ...racer.result, roofline: trace.roofline, stages: trace.stages });
    } catch (error) {
      racer.failure = `has no trace: ${error.message}`;
    }
  }
  return traces;
}

/** One model with so many threads: every contender in a context of its own. */
async function race(browser, url, all, { task, model, threads, batches, runs }) {
  const { agreement, count, unit } = TASKS[task];
  const racers = [];
  const results = [];
  const traces = [];
  try {
    for (const contender of all) racers.push(await start(browser, url, contender, { task, model, threads, batches }));
    const able = racers.filter(({ page }) => page);
    for (const batch of batches) {
      const times = await measure(able, batch, runs);
      able.forEach(({ result }, i) => {
        const { run_ms, model_ms, output } = times[i];
        const median_ms = median(run_ms);
        const row = { ...result, batch, run_ms, median_ms, per_s: count(output, inputs(task)) / (median_ms / 1000), unit };
        if (model_ms.length) row.model_ms = median(model_ms);
        // Beside Rill, or where it could not run beside the first that could.
        row.times_first = median_ms / median(times[0].run_ms);
        row.agreement = agreement(output, times[0].output);
        if (task === 'speech' || task === 'generate') row.output = output;
        results.push(row);
      });
    }
    if (task === 'speech' && able.some(({ result }) => result.backend === 'webgpu')) traces.push(...(await traced(able)));
  } finally {
    for (const { page } of racers) await page?.close();
  }
  const failures = racers.filter(({ failure }) => failure).map(({ result, failure }) => ({ ...result, failure }));
  return { results, failures, traces };
}

function show(results, failures) {
  const number = (value) => value.toFixed(Math.max(0, 2 - Math.floor(Math.log10(value))));
  const columns = {
    '': (row) => row.contender,
    batch: (row) => `${row.batch}`,
    median: (row) => `${number(row.median_ms)} ms`,
    'from-to': (row) => `${number(Math.min(...row.run_ms))}-${number(Math.max(...row.run_ms))}`,
    'model alone': (row) => (row.model_ms ? `${number(row.model_ms)} ms` : ''),
    [`${results[0]?.unit}/s`]: (row) => number(row.per_s),
    [`${results[0]?.contender}'s time`]: (row) => `${row.times_first.toFixed(2)}x`,
    memory: (row) => (row.memory_bytes ? `${(row.memory_bytes / 1e6).toFixed(1)} MB` : ''),
    result: (row) => row.agreement.words,
  };
  const body = results.map((row) => Object.values(columns).map((cell) => cell(row)));
  const table = [Object.keys(columns), ...body];
  // What nobody has needs no column.
  const used = table[0].map((_, column) => body.some((row) => row[column]));
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  if (body.length) {
    for (const row of table) {
      console.log(`  ${row.map((cell, i) => cell.padEnd(widths[i])).filter((_, i) => used[i]).join('  ')}`.trimEnd());
    }
  }
  for (const row of results.filter(({ agreement }) => agreement.same === 'no')) console.log(`  ${row.contender}: ${row.output}`);
  for (const { contender, failure } of failures) console.log(`  ${contender} did not run: ${failure}`);
}

const inputs = (task) => ({ ...TASKS[task].inputs(Number(given.inputs)), audio_s });

const tasks = given.task === 'all' ? Object.keys(TASKS) : list(given.task);
const unknown = tasks.find((task) => !TASKS[task]);
if (unknown) throw new Error(`${unknown} is no task here: ${Object.keys(TASKS).join(', ')} or all`);
const chosen = given.precisions ? PRECISIONS : given.contenders && list(given.contenders);
const numbers = (text, usual) => (text ? list(text).map(Number) : usual);
const cores = os.availableParallelism();
const races = list(given.backend).flatMap((backend) =>
  tasks.map((task) => ({
    task,
    backend,
    all: contenders(task, backend, chosen),
    models: given.model ? list(given.model) : TASKS[task].models,
    batches: TASKS[task].batches.length > 1 || tasks.length === 1 ? numbers(given.batches, TASKS[task].batches) : TASKS[task].batches,
    // A GPU's work does not depend on threads.
    threads: numbers(given.threads, backend === 'webgpu' ? [cores] : [1, cores]),
  })),
);
checkFiles(races);
const modules = races.some(({ all }) => all.some(({ program }) => program !== 'rill')) ? packages() : '';

const clip = tasks.includes('speech') ? (given.clip ?? sample('jfk')) : undefined;
const samples = (() => {
  if (!clip) return new Float32Array();
  const { rate, channels } = wav.read(clip);
  return rate === 16_000 ? channels[0] : wav.resample(channels[0], rate, 16_000);
})();
const audio_s = samples.length / 16_000;
const made = new Map([['/clip', Buffer.from(Float32Array.from(samples).buffer)]]);
for (const task of tasks) made.set(`/inputs/${task}`, Buffer.from(JSON.stringify(inputs(task))));
pictures().forEach(({ png }, i) => made.set(`/pictures/${i}.png`, png));
const folders = {
  '/rill/': DIST,
  '/peers/': path.join(import.meta.dirname, 'peers'),
  '/packages/': modules,
  '/onnx/': given.models ?? '',
};
for (const model of races.flatMap(({ models }) => models)) folders[`/rill/models/${model}/`] = folderOf(model) ?? '';
const server = await serve(folders, (address) => {
  const [, model, precision] = /^\/ggml\/([^/]+)\/([^/]+)$/.exec(address) ?? [];
  if (model && !made.has(address)) made.set(address, ggml(folderOf(model), precision));
  return made.get(address);
});

const report = {
  date: new Date().toISOString(),
  processor: `${os.cpus()[0]?.model ?? 'unknown'}, ${cores} cores`,
  ...(clip && { clip: path.basename(clip), audio_s }),
  results: [],
  traces: [],
  failures: [],
};
try {
  console.log(`${report.processor}; median of ${given.runs} after one to warm up; from a program's input to its result`);
  if (clip) console.log(`clip: ${report.clip}, ${audio_s.toFixed(1)} s`);
  for (const { task, backend, all, models, batches, threads: threadCounts } of races) {
    for (const name of list(given.browsers ?? (task === 'speech' ? 'chromium,firefox' : 'chromium'))) {
      const browser = await launch(name, backend);
      try {
        const version = `${name} ${browser.version}`;
        for (const model of models) {
          for (const threads of threadCounts) {
            const asked = { task, model, threads, batches, runs: Number(given.runs) };
            const { results, failures, traces } = await race(browser, server.url, all, asked);
            const adapter = results.find((row) => row.adapter)?.adapter;
            const on = backend === 'webgpu' ? `webgpu on ${adapter}` : `wasm, ${threads} thread${threads === 1 ? '' : 's'}`;
            console.log(`\n${task}: ${model}, ${version}, ${on}`);
            show(results, failures);
            for (const trace of traces) {
              console.log(`\n  where the time of ${trace.contender} goes:`);
              stageLines(trace).forEach((line) => console.log(`  ${line}`));
            }
            report.results.push(...results.map((result) => ({ browser: version, ...result })));
            report.traces.push(...traces.map((trace) => ({ browser: version, ...trace })));
            report.failures.push(...failures.map((failure) => ({ browser: version, ...failure })));
            // Written after each race: a long measurement that is stopped leaves what it has.
            if (given.json) writeFileSync(given.json, `${JSON.stringify(report, null, 2)}\n`);
          }
        }
      } finally {
        await browser.close();
      }
    }
  }
} finally {
  server.end();
}
