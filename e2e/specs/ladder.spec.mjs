// The panel that says what each backend does here, the figures that chose one, and how to choose another.

import { LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';

const panel = (rill) => {
  const whole = rill.page.locator('details.ladder').filter({ visible: true });
  return {
    whole,
    fold: whole.locator('summary'),
    backend: (name) => whole.getByRole('list', { name: 'Backends' }).getByRole('listitem').filter({ hasText: name }),
    row: (name) => whole.getByRole('row').filter({ has: rill.page.getByRole('rowheader', { name: new RegExp(`^${name}`) }) }),
    use: (name) => whole.getByRole('button', { name: `Use ${name}` }),
  };
};

test('every backend and every feature was tried, and the table says what came of it', async ({ rill }) => {
  await rill.open();
  const { fold, whole, backend, row } = panel(rill);
  await fold.focus();
  await rill.page.keyboard.press('Enter');
  await expect(backend('WebGPU')).toContainText('A test computation');
  await expect(backend('WebGPU')).toContainText('computes on the processor');
  await expect(backend('WebAssembly')).toContainText('Works');
  await expect(whole.getByRole('table', { name: 'Tried in this browser' })).toBeVisible();
  for (const name of ['WebGPU', 'Room for the models', "The GPU's own clock", 'Subgroups', 'SIMD', 'Threads', 'Storage', 'Microphone']) {
    await expect(row(name).first(), name).toContainText(/Yes.*ms|Yes.* s/);
  }
  await expect(row('A real graphics card')).toContainText('No');
  await expect(row('Storage')).toContainText('64 KiB were kept, read back and deleted');
  await expect(row('Threads')).toContainText('Two workers added to one shared memory');
});

test('the figures that chose the backend are shown, remembered, overridden and measured again', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await rill.loadModel();
  const { fold, whole, backend, use } = panel(rill);
  await fold.click();
  for (const name of ['WebGPU', 'WebAssembly']) {
    await expect(backend(name)).toContainText(/30 s of speech with 40 tokens would take about [\d.]+ (ms|s)/);
  }
  await expect(whole).toContainText('the fastest here, measured on a piece of the model');
  await expect(whole).toContainText('Measured at this load');

  // The kept model is loaded by itself, by the figures of the first visit.
  await rill.open();
  await expect(rill.ready).toBeVisible(LOAD);
  await fold.click();
  await expect(whole).toContainText('remembered for this model, browser and device');

  await expect(backend('WebGPU')).toBeVisible();
  const other = (await use('WebGPU').count()) ? 'WebGPU' : 'WebAssembly';
  await use(other).click();
  await expect(backend(other)).toContainText('In use', LOAD);
  await expect(whole).toContainText('chosen by name');
  await expect(rill.page.getByLabel('Runs on')).toHaveValue(other === 'WebGPU' ? 'webgpu' : 'wasm');

  await whole.getByRole('button', { name: 'Let measurement choose' }).click();
  await expect(whole).toContainText('Measured at this load', LOAD);
  await expect(rill.page.getByLabel('Runs on')).toHaveValue('auto');
});

test('programs get the same: figures, reasons, times', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  const backends = await rill.page.evaluate(() => window.rill.backends());
  for (const { features } of backends) {
    for (const { name, reason, probe_ms } of features) {
      expect(reason, name).not.toBe('');
      expect(probe_ms, name).toBeGreaterThanOrEqual(0);
    }
  }
  const { first, second, third } = await rill.page.evaluate(async () => {
    const load = async (options) => {
      const p = await window.rill.load('whisper-tiny.en', options);
      await p.dispose();
      return p.info;
    };
    const [first, second] = [await load(), await load()];
    await window.rill.forgetMeasurements();
    return { first, second, third: await load() };
  });
  expect(first.measured.work).toBe('30 s of speech with 40 tokens');
  expect(first.measured.measurements[0].backend).toBe(first.backend);
  expect([first, second, third].map((info) => info.measured.remembered)).toEqual([false, true, false]);
});
