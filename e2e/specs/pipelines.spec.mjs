// Shader pipelines: listed with their times, made before a load, and what the compiler says of them.

import { expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

/** Everything is compiled on the processor here. */
const MADE = { timeout: 120_000 };

/** Load the small model on the GPU and dispose of it. */
const loadOnce = (page) =>
  page.evaluate(async () => {
    const pipeline = await window.rill.load('whisper-tiny.en', { backend: 'webgpu' });
    await pipeline.dispose();
  });

/** Another visit, in a tab whose model is not kept, so that nothing is loaded by itself. */
const comeAgain = async (rill) => {
  await rill.page.goto('about:blank');
  await rill.open('./#/sentences');
};

const list = (page, options) => page.evaluate((options) => window.rill.pipelines(options), options);

const ofModels = ({ pipelines }) => pipelines.filter(({ models }) => models.length > 0);

test('pipelines are listed, made on the next visit before a load, and forgotten', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  expect(ofModels(await list(rill.page))).toEqual([]);
  await loadOnce(rill.page);
  const first = ofModels(await list(rill.page));
  expect(first.length).toBeGreaterThan(10);
  for (const { op, models, cold_ms, warm_ms, made } of first) {
    expect(models, op).toEqual(['whisper-tiny.en']);
    expect(cold_ms, op).toBeCloseTo(made.ms, 6);
    expect(warm_ms, op).toBeNull();
  }
  expect(first.some(({ essential }) => essential)).toBe(true);

  await comeAgain(rill);
  const kept = ofModels(await list(rill.page));
  expect(kept).toHaveLength(first.length);
  expect(kept.every(({ cold_ms, made }) => cold_ms !== null && made === null)).toBe(true);
  const heard = await rill.page.evaluate(async () => {
    const heard = [];
    await window.rill.precompile({ which: 'all', onProgress: (progress) => heard.push(progress) });
    return heard;
  });
  expect(heard.at(-1)).toEqual({ done: first.length, total: first.length });
  const orders = (manifest) => ofModels(manifest).map(({ made }) => made?.order);
  const made = await list(rill.page);
  expect(orders(made).every((order) => order > 0)).toBe(true);
  expect(ofModels(made).every(({ warm_ms }) => warm_ms !== null)).toBe(true);
  await loadOnce(rill.page);
  // None was made anew.
  expect(orders(await list(rill.page))).toEqual(orders(made));

  expect(ofModels(await list(rill.page, { forget: true }))).toEqual([]);
  const wrong = await rill.page.evaluate(() => window.rill.precompile({ what: 'all' }).catch((error) => error.message));
  expect(wrong).toBe('precompile: there is no option `what`; the options are which, onProgress, signal');
});

test('the panel lists pipelines, makes them, and the choice to do so when the page opens is kept', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await loadOnce(rill.page);
  await comeAgain(rill);
  const panel = rill.page.locator('details.ladder').filter({ visible: true });
  await panel.locator('summary').click();
  await expect(panel.getByRole('heading', { name: 'Shader pipelines' })).toBeVisible();
  await panel.getByRole('button', { name: 'List the pipelines' }).click();
  const table = panel.getByRole('table', { name: /^Pipelines of / });
  await expect(table).toBeVisible();
  const linear = table.getByRole('row').filter({ has: rill.page.getByRole('rowheader', { name: /^linear / }) }).first();
  await expect(linear.getByRole('cell').nth(2)).toHaveText(/^[\d.,]+ (µs|ms|s)$/);
  await expect(linear.getByRole('cell').nth(3)).toHaveText('none yet');
  await panel.getByRole('combobox', { name: 'Which' }).selectOption('linear');
  await panel.getByRole('button', { name: 'Compile now' }).click();
  await expect(linear.getByRole('cell').nth(3)).toHaveText(/^[\d.,]+ (µs|ms|s)$/, MADE);
  await rill.page.setViewportSize({ width: 360, height: 800 });
  expect(await rill.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);

  await panel.getByLabel("Log the shader compiler's messages").check();
  await expect.poll(async () => (await list(rill.page)).logging).toBe(true);
  await panel.getByLabel('Compile the kernels of models used here before when the page opens').check();
  await comeAgain(rill);
  const essential = async () => ofModels(await list(rill.page)).filter(({ essential }) => essential);
  await expect.poll(async () => (await essential()).every(({ made }) => made !== null), MADE).toBe(true);
  const report = JSON.parse(await rill.page.evaluate(() => window.rill.exportDebugReport({ format: 'json' })));
  expect(report.pipelines.pipelines.length).toBeGreaterThan(10);
  expect(report.pipelines.messages).toEqual([]);
});
