// The numbers inside a loaded model beside the definitions of its ops: on the page and for programs.

import { expect, test } from '../support/rill.mjs';

/** Definitions are computed on the processor, one after the other. */
const CHECKED = { timeout: 60_000 };

test('chosen nodes of a stage are checked against their definitions, and the table fits a phone', async ({ rill }) => {
  await rill.open('./#/write');
  await rill.loadModel();
  await rill.model.getByText('How it runs').click();
  await rill.model.getByText('Numbers inside the model').click();
  const nodes = rill.model.getByRole('group', { name: 'Nodes to check' });
  await expect(nodes.getByRole('checkbox').first()).toBeChecked();
  await rill.model.getByLabel('Stage').selectOption('step');
  await rill.model.getByRole('button', { name: 'No node' }).click();
  await expect(nodes.getByRole('checkbox').first()).not.toBeChecked();
  const check = rill.model.getByRole('button', { name: 'Check the numbers' });
  await expect(check).toHaveAttribute('aria-disabled', 'true');
  const labels = await nodes.locator('label').allInnerTexts();
  const linear = labels.find((label) => /^\d+ linear/.test(label.trim()));
  await nodes.getByRole('checkbox').first().check();
  await nodes.getByRole('checkbox', { name: linear.trim(), exact: true }).check();
  await check.click();

  const table = rill.model.getByRole('table', { name: 'Numbers of step' });
  await expect(table).toBeVisible(CHECKED);
  await expect(rill.model.getByText(/^All tensors of step that were checked \(2\) are what their definitions say/)).toBeVisible();
  const row = table.getByRole('row').filter({ has: rill.page.getByRole('rowheader', { name: /^\d+ linear$/ }) });
  const cells = await row.getByRole('cell').allInnerTexts();
  expect(cells[0]).toBe('as defined');
  // Least, greatest and mean of both sides are numbers, and no element is NaN or infinite.
  for (const cell of cells.slice(4, 10)) expect(Number(cell), cells.join(' | ')).not.toBeNaN();
  expect(cells.slice(10, 14)).toEqual(['0', '0', '0', '0']);
  const report = JSON.parse(await rill.page.evaluate(() => window.rill.exportDebugReport({ format: 'json' })));
  expect(report.models.map(({ inspection }) => [inspection.graph, inspection.checks.length])).toEqual([['step', 2]]);
  await rill.page.setViewportSize({ width: 360, height: 800 });
  expect(await rill.page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
});

test('programs get the numbers of nodes, are told how far it is, and hear by name what is not there', async ({ rill }) => {
  await rill.open();
  const found = await rill.page.evaluate(async () => {
    const found = {};
    for (const backend of ['webgpu', 'wasm']) {
      const pipeline = await window.rill.load('t5-numbers', { backend });
      await pipeline.run({ text: 'number to English: 7' });
      const graphs = await pipeline.nodes();
      const shares = [];
      const onProgress = (share) => shares.push(share);
      const inspection = await pipeline.inspect({ graph: 'step', nodes: [0, 1], onProgress });
      const refused = (options) => pipeline.inspect(options).then(() => 'none', (error) => error.message);
      const refusals = [await refused({ graph: 'decoder' }), await refused({}), await refused({ graph: 'step', nodes: [1e6] })];
      const { text } = await pipeline.run({ text: 'number to English: 8' });
      await pipeline.dispose();
      found[backend] = { graphs, shares, inspection, refusals, text };
    }
    return found;
  });
  for (const [backend, { graphs, shares, inspection, refusals, text }] of Object.entries(found)) {
    const step = graphs.find(({ graph }) => graph === 'step');
    expect(inspection.model, backend).toBe('t5-numbers');
    expect(new Set(inspection.checks.map(({ node }) => node)), backend).toEqual(new Set([0, 1]));
    for (const check of inspection.checks) {
      expect(check.op, backend).toBe(step.nodes[check.node].op);
      expect([check.n_unlike, check.device.n_nan, check.definition.n_nan], backend).toEqual([0, 0, 0]);
      expect(check.difference.relative, backend).toBeLessThan(1e-4);
    }
    expect(shares, backend).toEqual([0.5, 1]);
    expect(refusals[0], backend).toMatch(/no graph `decoder`; it has encode 32, .*step/);
    expect(refusals[1], backend).toContain('`graph` must be the name of a graph');
    expect(refusals[2], backend).toContain('no node 1000000');
    expect(text, backend).toBe('eight');
  }
});
