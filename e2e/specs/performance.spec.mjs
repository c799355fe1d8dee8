// What the GPU can do, and where a model's time goes: on the page and for programs.

import { expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

/** Everything is computed on the processor here, and each step of the model several times. */
const MEASURED = { timeout: 120_000 };

test('what this GPU can do is measured when it is asked for, and programs get the same figures', async ({ rill }) => {
  await rill.open();
  const panel = rill.page.locator('details.ladder').filter({ visible: true });
  await panel.locator('summary').click();
  await expect(panel.getByRole('heading', { name: 'This GPU, measured' })).toBeVisible();
  await panel.getByRole('button', { name: 'Measure', exact: true }).click();
  const table = panel.getByRole('table', { name: /, in [\d.]+ m?s$/ });
  await expect(table).toBeVisible(MEASURED);
  await expect(table).toContainText('software that computes on the processor');
  const header = (name) => rill.page.getByRole('rowheader', { name: new RegExp(`^${name}`) });
  const value = (name) => table.getByRole('row').filter({ has: header(name) }).getByRole('cell');
  await expect(value('Copying memory')).toHaveText(/^[\d.,]+ GB\/s$/);
  await expect(value('Arithmetic in f32')).toHaveText(/^[\d.,]+ TFLOP\/s$/);
  for (const name of ['A dispatch', 'A submit']) await expect(value(name)).toHaveText(/^[\d.,]+ (µs|ms)$/);
  await expect(value('Reading back')).toHaveText(/^[\d.,]+ m?s$/);

  const roofline = await rill.page.evaluate(() => window.rill.roofline());
  const digits = (value) => Number(value.toPrecision(3));
  const shown = Number((await value('Copying memory').innerText()).replace(/[^\d.]/g, ''));
  expect(shown).toBeCloseTo(digits(roofline.copy_gb_per_s), 1);
  expect(['timestamps', 'wall-clock']).toContain(roofline.timed_by);
  for (const figure of ['copy_gb_per_s', 'f32_tflops', 'dispatch_us', 'encode_us', 'submit_us', 'readback_ms']) {
    expect(roofline[figure], figure).toBeGreaterThan(0);
  }
});

test('the stages of a loaded model are timed beside the peaks, and each opens into its ops', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.runOn('GPU (WebGPU)');
  await rill.loadModel();
  await rill.model.getByText('How it runs').click();
  await rill.model.getByText('Where the time goes').click();
  await rill.model.getByRole('button', { name: 'Measure the stages' }).click();
  const table = rill.model.getByRole('table', { name: 'Stages of the model' });
  await expect(table).toBeVisible(MEASURED);
  for (const name of ['mel', 'encoder', 'prompt 4', 'step']) {
    const row = table.getByRole('row').filter({ has: rill.page.getByRole('button', { name, exact: true }) });
    await expect(row.getByRole('cell').first(), name).toHaveText(/^[\d.,]+ (µs|ms|s)$/);
    await expect(row.getByRole('cell').last(), name).toHaveText(/^[\d.]+ % of (memory|arithmetic)$/);
  }
  const op = table.getByRole('row').filter({ has: rill.page.getByRole('rowheader', { name: /^linear/ }) });
  await expect(op.first()).toBeHidden();
  const step = table.getByRole('button', { name: 'step', exact: true });
  await step.focus();
  await rill.page.keyboard.press('Enter');
  await expect(step).toHaveAttribute('aria-expanded', 'true');
  await expect(op.filter({ visible: true }).first()).toBeVisible();
  await expect(rill.model.getByText(/^Timed on .* Its peaks: /)).toBeVisible();
  // The table scrolls in its box, the page does not.
  await rill.page.setViewportSize({ width: 360, height: 800 });
  expect(await rill.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
});

test('a trace tells programs of every dispatch, and elsewhere than on a GPU why there is none', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  const { trace, shares, refusal } = await rill.page.evaluate(async () => {
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'webgpu' });
    const shares = [];
    const trace = await pipeline.trace({ onProgress: (share) => shares.push(share) });
    await pipeline.dispose();
    const other = await window.rill.load('whisper-tiny.en', { backend: 'wasm' });
    const refusal = await other.trace().then(() => 'none', (error) => error.message);
    await other.dispose();
    return { trace, shares, refusal };
  }, undefined);
  expect(trace.model).toBe('whisper-tiny.en');
  expect(shares.at(-1)).toBe(1);
  expect(trace.stages.map(({ name }) => name)).toEqual(['mel', 'encoder', 'prompt 4', 'step']);
  for (const stage of trace.stages) {
    expect(stage.dispatches).toHaveLength(stage.n_dispatches);
    expect(stage.bytes).toBe(stage.dispatches.reduce((sum, { bytes }) => sum + bytes, 0));
    expect(stage.whole_us).toBeGreaterThan(0);
    expect(stage.rate.gb_per_s).toBeCloseTo(stage.bytes / stage.whole_us / 1e3, 5);
  }
  expect(refusal).toMatch(/runs on (WASM|the processor)/);
});

test('kernels are tuned when it is asked for, kept, shown, and forgotten', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  const tuning = () => rill.page.evaluate(() => window.rill.tuning());
  expect((await tuning()).kernels).toEqual([]);
  const phases = await rill.page.evaluate(async () => {
    const phases = new Set();
    const onProgress = ({ phase }) => phases.add(phase);
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'webgpu', tune: true, onProgress });
    await pipeline.dispose();
    return [...phases];
  });
  expect(phases).toContain('tune');
  const { adapter, kernels } = await tuning();
  expect(adapter).not.toBe('');
  expect(kernels.map(({ class: name }) => name.split(' ')[0])).toEqual(expect.arrayContaining(['attention', 'conv1d', 'linear']));
  for (const { class: name, versions, chosen } of kernels) {
    expect(versions.length, name).toBeGreaterThan(1);
    expect(versions[chosen].us, name).toBeLessThanOrEqual(versions[0].us);
  }

  await rill.open();
  const panel = rill.page.locator('details.ladder').filter({ visible: true });
  await panel.locator('summary').click();
  await panel.getByRole('button', { name: 'Show what was found' }).click();
  const table = panel.getByRole('table', { name: /^Kernels tuned on / });
  await expect(table.getByRole('row')).toHaveCount(kernels.length + 1);
  await rill.page.setViewportSize({ width: 360, height: 800 });
  expect(await rill.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
  await panel.getByRole('button', { name: 'Forget it' }).click();
  await expect(panel.getByText('Nothing was tried on this GPU yet.')).toBeVisible();
  expect((await tuning()).kernels).toEqual([]);
});
