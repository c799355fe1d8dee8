// Speech from the microphone becomes text: what the page is for.

import { CLOCK_RUNS, JFK, TRANSCRIPTION, expect, test } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

test('what is said into the microphone stands on the page, word for word', async ({ rill }) => {
  await rill.open();
  await expect(rill.badge).toContainText('Software GPU');
  await expect(rill.capability).toContainText('computes on your processor');
  await rill.loadModel();
  // Which of them it is was measured.
  await expect(rill.badge).toContainText(/WebGPU|WebAssembly/);

  await test.step('while recording, the page shows that it hears', async () => {
    await expect(rill.clock).toContainText('0:00');
    await rill.record.click();
    await expect(rill.stop).toBeVisible();
    await expect(rill.clock).toContainText(CLOCK_RUNS);
    await expect(async () => {
      expect(Number(await rill.level.getAttribute('aria-valuenow'))).toBeGreaterThan(10);
    }).toPass();
    // The clip is 11 s long.
    await expect(rill.clock).toContainText('0:12', { timeout: 30_000 });
  });

  await test.step('after Stop, the words stand there', async () => {
    await rill.stop.click();
    await expect(rill.record).toBeVisible();
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    expect(await rill.text()).toBe(JFK);
    await expect(rill.level).toHaveAttribute('aria-valuenow', '0');
  });

  await test.step('the recording can be saved', async () => {
    const { name, bytes } = await rill.save('Save recording as WAV');
    expect(name).toMatch(/^Recording .*\.wav$/);
    const { rate, channels } = wav.read(bytes);
    expect([rate, channels.length]).toEqual([16_000, 1]);
    expect(channels[0].length / rate).toBeGreaterThan(11.5);
    expect(channels[0].some((sample) => sample > 0.2)).toBe(true);
  });
});
