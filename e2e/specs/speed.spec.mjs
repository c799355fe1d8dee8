// The benchmark, its comparisons, and the monitor.

import { readFileSync } from 'node:fs';
import { expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

/** Two backends on the processor, a small model. */
const MEASURED = { timeout: 150_000 };

const download = async (page, act) => {
  const waiting = page.waitForEvent('download');
  await act();
  const file = await waiting;
  return { name: file.suggestedFilename(), text: readFileSync(await file.path(), 'utf8') };
};

/** A run as others save them. */
const sent = (id, name, ms) => ({
  format: 'rill-benchmark',
  version: 1,
  id,
  created: '2026-11-20T10:00:00.000Z',
  rill: '0.1.0',
  scope: 'short',
  browser: { name, version: '9', agent: name },
  system: 'Plan 9',
  cores: 2,
  cross_origin_isolated: true,
  machine: 'A friend’s',
  roofline: null,
  roofline_note: 'no GPU',
  entries: [
    {
      case: { model: 'whisper-tiny.en', title: 'Whisper tiny', task: 'speech-to-text', backend: 'wasm', precision: 'f32', input: '11 s of speech' },
      outcome: {
        measured: {
          adapter: 'a processor',
          software: true,
          first_load: { total_ms: 900, download_ms: 1, compile_ms: 2, warm_up_ms: 3, fetched_bytes: 4 },
          second_load: { total_ms: 300, download_ms: 1, compile_ms: 2, warm_up_ms: 3, fetched_bytes: 0 },
          first_run_ms: 2 * ms,
          runs: { median: ms, low: 0.98 * ms, high: 1.02 * ms, n: 5 },
          first_token_ms: null,
          tokens_per_s: null,
          audio_s: 11,
          stages: [],
          accuracy: { 'word-error-rate': 0 },
          answer: 'And so',
          memory_bytes: 1e6,
          peak_bytes: 2e6,
        },
      },
    },
  ],
});

const file = (name, value) => ({ name, mimeType: 'application/json', buffer: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)) });

/** The rows of a chart's table: the cells of each. */
const rows = (figure) => figure.locator('tbody tr').evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.textContent)));

test('the benchmark measures every backend, keeps what it found, and saves it', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open('./#/speed');
  const { page } = rill;
  // In full, a model of each kind is measured.
  await page.getByRole('radio', { name: /^Full/ }).check();
  for (const name of [/^Whisper tiny/, /MiniLM/, /^DeiT/, /^CLIP emoji/, /^T5 numbers/]) {
    await expect(page.getByRole('group', { name: 'Models' }).getByRole('checkbox', { name })).toBeChecked();
  }
  await page.getByRole('radio', { name: /^Short/ }).check();
  await page.getByLabel('Name of this machine, if you like').fill('The test machine');
  await page.getByRole('button', { name: 'Run the benchmark' }).click();
  await expect(page.getByRole('progressbar', { name: 'Progress of the benchmark' })).toBeVisible();
  const found = page.getByRole('region', { name: 'What was found' });
  await expect(page.getByRole('button', { name: 'Run the benchmark' })).toBeVisible(MEASURED);
  const table = found.getByRole('table', { name: /^Chromium / });
  const { name, text } = await download(page, () => found.getByRole('button', { name: 'Save as JSON' }).click());
  expect(name).toBe('rill-benchmark.json');
  const run = JSON.parse(text);
  expect(run.machine).toBe('The test machine');
  expect(run.browser.name).toBe('Chromium');
  expect(run.roofline.software).toBe(true);
  expect(run.entries.map((entry) => [entry.case.backend, entry.case.precision])).toEqual([['webgpu', 'f32'], ['wasm', 'f32']]);
  for (const { case: what, outcome } of run.entries) {
    expect(outcome.measured, `${what.backend}: ${JSON.stringify(outcome)}`).toBeTruthy();
    expect(outcome.measured.runs.median).toBeGreaterThan(0);
    expect(outcome.measured.second_load.fetched_bytes).toBe(0);
    // The small model writes nothing that was said.
    expect(outcome.measured.accuracy['word-error-rate']).toBeGreaterThan(50);
  }
  await expect(table.getByRole('row')).toHaveCount(3);
  await expect(found.getByText(/answers of .* are wrong/).first()).toBeVisible();

  // The chart's own table holds the stored numbers.
  const chart = found.locator('figure').first();
  await chart.getByText('Numbers as a table').click();
  await expect(chart.locator('tbody tr')).toHaveCount(2);
  const shown = (await rows(chart)).map((cells) => Number(cells.find((cell) => /^[\d.,]+$/.test(cell)).replaceAll(',', '')));
  run.entries.forEach(({ outcome }, i) => expect(shown[i]).toBeCloseTo(outcome.measured.runs.median, 1));

  // The kernels by themselves: right and fast on both backends, in the charts and in the table as they are stored.
  expect(run.kernels.map(({ kernel, backend }) => `${kernel} ${backend}`)).toEqual(
    ['wide-product', 'vocabulary', 'encoder-attention'].flatMap((kernel) => [`${kernel} webgpu`, `${kernel} wasm`]),
  );
  for (const { kernel, backend, outcome } of run.kernels) {
    expect(outcome.measured, `${kernel} on ${backend}: ${JSON.stringify(outcome)}`).toBeTruthy();
    expect(outcome.measured.us.median).toBeGreaterThan(0);
    expect(outcome.measured.share !== null).toBe(backend === 'webgpu');
  }
  const rate = ({ kernel, outcome: { measured } }) => (kernel === 'vocabulary' ? measured.bytes : measured.flops) / measured.us.median / 1e3;
  const kernels = found.getByRole('table', { name: /^Kernels in Chromium / });
  await expect(kernels.locator('tbody tr')).toHaveCount(run.kernels.length);
  const speeds = await kernels.locator('tbody td:nth-of-type(4)').evaluateAll((cells) => cells.map((cell) => cell.title));
  run.kernels.forEach((entry, i) => expect(parseFloat(speeds[i])).toBeCloseTo(rate(entry), 6));
  for (const [title, counted] of [['Kernels: products and sums a second', (name) => name !== 'vocabulary'], ['Kernels: bytes a second', (name) => name === 'vocabulary']]) {
    const bars = found.locator('figure').filter({ hasText: title });
    await bars.getByText('Numbers as a table').click();
    const stored = run.kernels.filter(({ kernel }) => counted(kernel));
    await expect(bars.locator('tbody tr')).toHaveCount(stored.length);
    const told = (await rows(bars)).map((cells) => Number(cells[2].replaceAll(',', '')));
    stored.forEach((entry, i) => expect(Math.abs(told[i] / rate(entry) - 1)).toBeLessThan(1e-3));
  }
  await expect(found.getByText(/^Of the kernels by themselves, the fastest is .* GFLOP\/s/)).toBeVisible();
  await expect(found.getByText(/^Kernels by themselves are .* as fast on .* as on /)).toBeVisible();

  // It is there again after a visit elsewhere, and can be thrown away.
  await page.goto('about:blank');
  await rill.open('./#/speed/compare');
  const kept = page.getByRole('list', { name: 'Runs of the benchmark' }).getByRole('listitem');
  await expect(kept).toHaveCount(1);
  await expect(kept).toContainText('The test machine');
  await kept.getByRole('button', { name: /^Remove Chromium/ }).click();
  await expect(kept).toHaveCount(0);
});

test('files of others are compared, wrong ones are refused by name, and a link holds the comparison', async ({ rill, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await rill.open('./#/speed/compare');
  const { page } = rill;
  await rill.drop(
    file('a.json', sent('a', 'Netscape', 500)),
    file('b.json', [sent('b', 'Mosaic', 1600)]),
    file('c.json', '{"format": "other"}'),
    file('d.json', 'hello'),
  );
  await rill.expectAlert('c.json holds no benchmark', 'no benchmark of Rill');
  await rill.expectAlert('d.json holds no benchmark', 'no JSON');
  const list = page.getByRole('list', { name: 'Runs of the benchmark' }).getByRole('listitem');
  await expect(list).toHaveCount(2);
  const words = page.getByRole('list', { name: 'What was found' });
  const sentence = 'Whisper tiny, 11 s of speech: Netscape 9 · WebAssembly takes 0.50 s, 22× real time; Mosaic 9 · WebAssembly 3.2× as long.';
  await expect(words).toContainText(sentence);
  const chart = page.locator('figure').filter({ hasText: 'Time from input to answer' }).first();
  await chart.getByText('Numbers as a table').click();
  await expect(chart.locator('tbody tr')).toHaveCount(2);
  expect((await rows(chart)).map((cells) => cells.join(' | ')).join('\n')).toMatch(/Netscape 9.*500[\s\S]*Mosaic 9.*1,?600/);
  await page.getByRole('combobox', { name: 'Figure' }).selectOption('First load of a visit');
  await expect(page.locator('figure figcaption').first()).toHaveText('First load of a visit');

  const csv = await download(page, () => page.locator('figure').first().getByRole('button', { name: /CSV/ }).click());
  expect(csv.text).toContain('900');
  const svg = await download(page, () => page.locator('figure').first().getByRole('button', { name: /SVG/ }).click());
  expect(svg.text).toMatch(/^<svg/);
  await download(page, () => page.locator('figure').first().getByRole('button', { name: /PNG/ }).click());

  // A chart is read by keys, too.
  const drawing = page.locator('figure').first().locator('[tabindex="0"]').first();
  await drawing.focus();
  await page.keyboard.press('ArrowRight');
  await expect(page.locator('figure').first()).toContainText(/Netscape|Mosaic/);

  await page.getByRole('button', { name: 'Copy a link' }).click();
  await expect(page.getByText(/the result is in it/)).toBeVisible();
  const link = await page.evaluate(() => navigator.clipboard.readText());
  const other = await context.newPage();
  await other.goto(link);
  await expect(other.getByRole('list', { name: 'What was found' })).toContainText(sentence);
  await other.goto(link.slice(0, link.length - 60));
  await other.reload();
  await expect(other.getByText(/The link holds no benchmark/).first()).toBeVisible();
  await other.close();
  await page.setViewportSize({ width: 360, height: 800 });
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
});

/** A kernel that took so long. */
const kernel = (backend, us) => ({
  kernel: 'wide-product',
  backend,
  outcome: {
    measured: {
      adapter: 'an adapter',
      shape: '256 × 384 × 1536',
      weights: 'f16',
      us: { median: us, low: us, high: us, n: 1 },
      flops: 3e8,
      bytes: 3e6,
      share: backend === 'webgpu' ? 0.25 : null,
      timed_by: 'wall-clock',
    },
  },
});

test('kernels are compared where runs have some, and one that was wrong has no bar', async ({ rill }) => {
  await rill.open('./#/speed/compare');
  const { page } = rill;
  const wrong = { kernel: 'log-mel', backend: 'webgpu', outcome: { failed: { message: 'an impossible result' } } };
  const kernels = [kernel('webgpu', 100), kernel('wasm', 1000), wrong];
  await rill.drop(file('a.json', { ...sent('a', 'Netscape', 500), kernels }), file('b.json', sent('b', 'Mosaic', 1600)));
  const words = page.getByRole('list', { name: 'What was found' });
  await expect(words).toContainText('on Netscape 9 · WebGPU with 3,000 GFLOP/s, 25.0 % of its measured peak.');
  await expect(words).toContainText('Netscape 9: a kernel by itself is 10× as fast on WebGPU as on WebAssembly.');
  await expect(words).toContainText('One entry was not measured');
  const chart = page.locator('figure').filter({ hasText: 'Kernels: products and sums a second' });
  await chart.getByText('Numbers as a table').click();
  await expect(chart.locator('tbody tr')).toHaveCount(2);
  expect((await rows(chart)).map((cells) => cells[2])).toEqual(['3,000', '300']);
  await expect(page.locator('figure').filter({ hasText: 'Kernels: bytes a second' })).toHaveCount(0);
  await page.getByText('All figures').click();
  const table = page.getByRole('table', { name: /^Kernels in Netscape 9/ });
  await expect(table.getByRole('row')).toHaveCount(4);
  await expect(table.getByRole('row', { name: /Log-mel features on WebGPU/ })).toContainText('an impossible result');
  await expect(page.getByRole('table', { name: /^Kernels in Mosaic/ })).toHaveCount(0);
});

test('the example that ships with the page is a comparison of three browsers', async ({ rill }) => {
  await rill.open('./#/speed/compare');
  await rill.page.getByRole('button', { name: 'Show an example' }).click();
  const list = rill.page.getByRole('list', { name: 'Runs of the benchmark' }).getByRole('listitem');
  await expect(list).toHaveCount(3);
  for (const name of ['Chromium', 'Firefox', 'WebKitGTK']) await expect(list.filter({ hasText: name })).toHaveCount(1);
  await expect(rill.page.getByRole('list', { name: 'What was found' })).toContainText('as long');
});

test('the monitor tells of loads and runs, in the page and to programs, and costs little', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open('./#/speed/monitor');
  const { page } = rill;
  await page.getByRole('button', { name: 'Start watching' }).click();
  await page.evaluate(async () => {
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'wasm' });
    await pipeline.run({ audio: new Float32Array(16_000) }, { temperatures: [0] });
    await pipeline.run({ audio: new Float32Array(100) }).catch(() => {});
    await new Promise((ok) => setTimeout(ok, 2500));
    await pipeline.dispose();
  });
  await page.getByRole('button', { name: 'Stop watching' }).click();
  const report = await page.evaluate(() => window.rill.monitor.report());
  expect(report.is_on).toBe(false);
  expect(report.loads.map(({ model, backend, failed }) => [model, backend, failed])).toEqual([['whisper-tiny.en', 'wasm', null]]);
  const phases = report.loads[0].phases;
  expect(phases.map(({ phase }) => phase)).toEqual(expect.arrayContaining(['download', 'warmup']));
  expect(phases.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThanOrEqual(report.loads[0].total_ms + 0.5);
  expect(report.runs).toHaveLength(1);
  expect(report.runs[0].total_ms).toBeGreaterThan(0);
  expect(report.memory.length).toBeGreaterThan(1);
  expect(report.peak_backend_bytes).toBeGreaterThan(0);
  expect(report.cost_share).toBeLessThan(0.02);
  await expect(page.getByRole('table', { name: 'Runs while the monitor was on' }).getByRole('row')).toHaveCount(2);
  await expect(page.locator('figure').filter({ hasText: 'Memory' })).toBeVisible();

  const stopped = await page.evaluate(async () => {
    await window.rill.monitor.start();
    return window.rill.monitor.stop();
  });
  expect(stopped.loads).toEqual([]);
});

test('the monitor tells what the GPU did in ordinary runs, graph by graph, on the page’s clock', async ({ rill }) => {
  await rill.open('./#/speed/monitor');
  const { page } = rill;
  await page.getByRole('button', { name: 'Start watching' }).click();
  const tokens = await page.evaluate(async () => {
    const t5 = await window.rill.load('t5-numbers', { backend: 'webgpu' });
    const { outputs } = await t5.run({ texts: ['number to English: 1984', 'number to German: 777777'] });
    await t5.dispose();
    return outputs.flatMap((output) => output.tokens);
  });
  await page.getByRole('button', { name: 'Stop watching' }).click();
  // It is off already; this waits until the GPU's last times are here.
  const report = await page.evaluate(() => window.rill.monitor.stop());
  const { gpu } = report;
  expect(['timestamps', 'wall-clock']).toContain(gpu.timed_by);
  expect(gpu.n_dropped).toBe(0);
  const of = (name) => gpu.totals.filter(({ graph }) => graph.split(' + ').includes(name));
  const sum = (values) => values.reduce((all, one) => all + one, 0);
  expect(gpu.totals.some(({ graph }) => graph.startsWith('encode '))).toBe(true);
  expect(sum(of('step').map(({ n_runs }) => n_runs))).toBeGreaterThanOrEqual(tokens.length);
  expect(sum(gpu.totals.map(({ total_ms }) => total_ms))).toBeCloseTo(sum(gpu.spans.map(({ us }) => us)) / 1e3, 3);
  // All of it while it was watched, and some of it in the run.
  const within = (span) => span.after_s >= 0 && span.after_s + span.us / 1e6 <= report.seconds + (gpu.uncertainty_us ?? 0) / 1e6;
  expect(gpu.spans.filter((span) => !within(span))).toEqual([]);
  expect(report.runs[0].gpu_busy).toBeGreaterThan(0);
  expect(report.runs[0].gpu_busy).toBeLessThanOrEqual(1);
  expect(gpu.decode_waiting).toBeGreaterThanOrEqual(0);
  expect(gpu.decode_waiting).toBeLessThan(1);
  expect(report.cost_share).toBeLessThan(0.02);

  const table = page.getByRole('table', { name: 'Graphs on the GPU while the monitor was on' });
  await expect(table.locator('tbody tr')).toHaveCount(gpu.totals.length);
  // The page looks for news twice a second.
  const shown = () => table.locator('tbody tr').evaluateAll((rows) => rows.map((row) => [row.cells[0].textContent, row.cells[1].textContent]));
  await expect.poll(shown).toEqual(gpu.totals.map(({ graph, n_runs }) => [graph, n_runs.toLocaleString('en')]));
  const chart = page.locator('figure').filter({ hasText: 'Graphs on the GPU' });
  await chart.getByText('Numbers as a table').click();
  await expect(chart.locator('tbody tr')).toHaveCount(gpu.spans.length);
  const lengths = (await rows(chart)).map((cells) => Number(cells[3].replaceAll(',', '')));
  gpu.spans.forEach(({ us }, i) => expect(lengths[i]).toBeCloseTo(us / 1e3, 1));
  await expect(page.getByText('While tokens were written, the GPU waited')).toBeVisible();
});

test('programs run the benchmark, stop it, and wrong options are named', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  const aborted = await rill.page.evaluate(() => {
    const stop = new AbortController();
    const onProgress = ({ done }) => done > 0 && stop.abort();
    return window.rill.benchmark({ onProgress, signal: stop.signal }).catch((error) => error.name);
  });
  expect(aborted).toBe('AbortError');
  const wrong = await rill.page.evaluate(() => window.rill.benchmark({ models: ['none'] }).catch((error) => error.message));
  expect(wrong).toContain('there is no model `none`');
});
