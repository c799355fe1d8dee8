// The page's own benchmark in each browser of this machine, one after the other, as one file that the page's "Compare" opens:
//
//   node bench-browsers.mjs [--browsers chromium,firefox,webkit] [--scope short|full] [--models ID,...] [--machine WORDS]
//                           [--gpu] [--browser-args="--flag --flag"] [--json FILE]
//
// Without `--gpu` Chromium computes WebGPU on the processor (SwiftShader), as Firefox does on a machine without a GPU (lavapipe).
// What one browser cannot do is told, and keeps the others from nothing.

import { writeFileSync } from 'node:fs';
import os from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { chromium } from '@playwright/test';
import { CHROMIUM, switches } from './support/browser.mjs';
import { Firefox } from './support/firefox.mjs';
import { served } from './support/served.mjs';
import { WebKit } from './support/webkit.mjs';

const cpus = os.cpus();

const { values: given } = parseArgs({
  options: {
    browsers: { type: 'string', default: 'chromium,firefox,webkit' },
    scope: { type: 'string', default: 'short' },
    models: { type: 'string' },
    machine: { type: 'string', default: `${cpus.length} cores of ${cpus[0]?.model.trim() || 'a processor'}` },
    gpu: { type: 'boolean', default: false },
    'browser-args': { type: 'string', default: '' },
    json: { type: 'string' },
  },
});

/** Each opens a browser that nothing is kept in: something with `goto`, `evaluate` and `close`. */
const BROWSERS = {
  async chromium() {
    const args = [...switches({ webgpu: given.gpu ? 'hardware' : 'software' }), ...given['browser-args'].split(' ').filter(Boolean)];
    const browser = await chromium.launch({ executablePath: CHROMIUM, args });
    const page = await browser.newPage();
    return { goto: (url) => page.goto(url), evaluate: page.evaluate.bind(page), close: () => browser.close() };
  },
  firefox: () => Firefox.launch({ webgpu: true }),
  webkit: () => WebKit.launch({ env: { JSC_useSharedArrayBuffer: '1' } }),
};

/** Runs in the page: begins the benchmark; where it stands is then in `window.bench`. */
async function begin(options) {
  const bench = (window.bench = { at: null });
  const onProgress = (at) => (bench.at = at);
  const rill = window.rill ?? (await new Promise((ok) => addEventListener('rill-ready', ({ detail }) => ok(detail), { once: true })));
  rill.benchmark({ ...options, onProgress }).then(
    (run) => (bench.run = run),
    (error) => (bench.error = String(error.message ?? error)),
  );
}

async function measure(name, url) {
  const browser = await BROWSERS[name]();
  try {
    await browser.goto(url);
    const options = { scope: given.scope, machine: given.machine, ...(given.models && { models: given.models.split(',') }) };
    await browser.evaluate(begin, options);
    for (let said = ''; ; await pause(1_000)) {
      const { at, run, error } = await browser.evaluate(() => window.bench);
      if (error) throw new Error(error);
      if (run) return run;
      const words = at && `${at.done} of ${at.total} ${at.doing}`;
      if (words && words !== said) console.log(`  ${words}`);
      said = words ?? said;
    }
  } finally {
    await browser.close();
  }
}

function show({ browser, entries, kernels }) {
  for (const { case: what, outcome } of entries) {
    const name = `${browser.name} ${browser.version}  ${what.model}, ${what.backend} ${what.precision}`.padEnd(56);
    const measured = outcome.measured;
    const words = measured
      ? `${measured.runs.median.toFixed(1)} ms (${measured.runs.n} runs), first load ${measured.first_load.total_ms.toFixed(0)} ms, ${measured.adapter}`
      : (outcome.failed?.message ?? 'stopped');
    console.log(`${name} ${words}`);
  }
  for (const { kernel, backend, outcome } of kernels) {
    const name = `${browser.name} ${browser.version}  ${kernel}, ${backend}`.padEnd(56);
    const measured = outcome.measured;
    const share = measured?.share == null ? '' : `, ${(100 * measured.share).toFixed(1)} % of the peak`;
    const words = measured ? `${measured.us.median} µs (${measured.shape})${share}` : (outcome.failed?.message ?? 'stopped');
    console.log(`${name} ${words}`);
  }
}

const names = given.browsers.split(',').filter(Boolean);
const unknown = names.find((name) => !BROWSERS[name]);
if (unknown) throw new Error(`${unknown} is no browser here: ${Object.keys(BROWSERS).join(', ')}`);
const server = await served();
const runs = [];
const failures = [];
try {
  for (const name of names) {
    console.log(name);
    try {
      runs.push(await measure(name, server.url));
    } catch (error) {
      failures.push(`${name}: ${error.message ?? error}`);
    }
  }
} finally {
  server.end();
}
runs.forEach(show);
// What was measured is written even where a browser failed.
if (given.json && runs.length) writeFileSync(given.json, `${JSON.stringify(runs)}\n`);
if (failures.length) throw new Error(failures.join('\n'));
