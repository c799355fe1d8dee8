// The report for finding a fault: complete, readable without a network, and silent about what was put in.

import { readFileSync } from 'node:fs';
import { expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

/** Every backend is tried for it. */
const MADE = { timeout: 60_000 };

test('a report opens without a network and tells of the browser, the model and what went wrong', async ({ rill, context }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.loadModel();
  const kind = await rill.page.evaluate(() =>
    window.rill.load('whisper-tiny.en', { baseUrl: 'nowhere/' }).then((it) => it.dispose(), (error) => error.kind));
  expect(kind).toBe('network');

  const panel = rill.page.locator('details.ladder').filter({ visible: true });
  await panel.locator('summary').click();
  const saved = async (name) => {
    const download = rill.page.waitForEvent('download', MADE);
    await panel.getByRole('button', { name, exact: true }).click();
    const file = await download;
    await expect(panel.getByText(`Saved as ${file.suggestedFilename()}`)).toBeVisible();
    return { name: file.suggestedFilename(), path: await file.path() };
  };
  const json = await saved('Save report as JSON');
  expect(json.name).toBe('rill-report.json');
  const report = JSON.parse(readFileSync(json.path, 'utf8'));
  expect(report.browser).toContain('Chrome');
  expect(report.backends.map(({ backend }) => backend)).toEqual(['webgpu', 'webnn', 'wasm']);
  expect(report.features.map(({ name }) => name)).toContain('storage');
  expect(report.models.map(({ info, lost }) => [info.model.id, lost])).toEqual([['whisper-tiny.en', false]]);
  expect(report.failures.map(({ failure }) => failure.kind)).toEqual(['network']);
  expect(report.failures[0].failure.message).toContain('nowhere/');

  const html = await saved('Save report');
  expect(html.name).toBe('rill-report.html');
  // A page of its own, of which nothing is fetched.
  const page = await context.newPage();
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.setContent(readFileSync(html.path, 'utf8'));
  await expect(page.getByRole('heading', { name: 'Loaded models' })).toBeVisible();
  await expect(page.getByRole('heading', { name: 'whisper-tiny.en' })).toBeVisible();
  await expect(page.getByRole('rowheader', { name: 'WebAssembly', exact: true })).toBeVisible();
  const inside = JSON.parse(await page.locator('#report').evaluate((element) => element.textContent));
  expect(inside.models).toEqual(report.models);
  expect(asked).toEqual([]);
  await page.close();
});

test('programs get the same report, and wrong options are named', async ({ rill }) => {
  await rill.open();
  const [json, html] = await rill.page.evaluate(async () => {
    await window.rill.ready;
    return [await window.rill.exportDebugReport({ format: 'json' }), await window.rill.exportDebugReport({ words: true })];
  });
  const report = JSON.parse(json);
  expect(report.failures).toEqual([]);
  expect(report.models).toEqual([]);
  expect(report.memory.engine_bytes).toBeGreaterThan(0);
  expect(html).toMatch(/^<!doctype html>/);
  const message = await rill.page.evaluate(() => window.rill.exportDebugReport({ format: 'pdf' }).catch((error) => error.message));
  expect(message).toBe('exportDebugReport: `format` must be "html" or "json"');
});
