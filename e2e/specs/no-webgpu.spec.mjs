// A browser without WebGPU: the page says that it computes on the processor, and does.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

test.use({ launchOptions: { executablePath: CHROMIUM, args: switches({ webgpu: 'none' }) } });

test('the page computes on the processor and says so', async ({ rill }) => {
  await rill.open('./#/text');
  await expect(rill.badge).toHaveText('Processor');
  const [webgpu, , wasm] = await rill.page.evaluate(() => window.rill.backends());
  expect([webgpu.available, wasm.available]).toEqual([false, true]);
  expect(webgpu.reason).not.toBe('');

  // Speech would take minutes here; sentences take seconds.
  await rill.compare.click();
  await expect(rill.ranking.first()).toContainText('Refunds', LOAD);
  await expect(rill.badge).toContainText('WebAssembly');

  await rill.page.getByRole('link', { name: 'Speech' }).click();
  await expect(rill.capability).toContainText('No WebGPU here: runs on your processor');
});

test('WebGPU asked for by name is refused with what to do', async ({ rill }) => {
  await rill.open();
  await rill.page.locator('summary', { hasText: 'Settings' }).click();
  await rill.page.getByLabel('Runs on').selectOption('GPU (WebGPU)');
  await rill.load.click();
  await rill.expectAlert('webgpu cannot be used here', 'Choose another backend');
});
