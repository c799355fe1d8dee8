// A recording from a file becomes text, and the text becomes files.

import { sample } from '../support/browser.mjs';
import { JFK, TRANSCRIPTION, expect, test, words } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

/** The clip in stereo at 44.1 kHz, all of it in the left channel. */
function stereo() {
  const { rate, channels } = wav.read(sample('jfk'));
  const left = wav.resample(channels[0], rate, 44_100);
  return wav.file('speech.stereo.wav', { rate: 44_100, channels: [left, new Float32Array(left.length)] });
}

test('a dropped stereo file is resampled and written down, and its text can be copied and saved', async ({ rill, context }) => {
  await context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await rill.open();
  // The first use loads the model by itself.
  await rill.drop(stereo());
  await expect(rill.status).toContainText('Done', TRANSCRIPTION);
  expect(await rill.text()).toBe(JFK);
  await expect(rill.clock).toContainText('0:11');

  await rill.copy.click();
  await expect(rill.copy).toHaveText('Copied');
  expect(words(await rill.page.evaluate(() => navigator.clipboard.readText()))).toBe(JFK);

  const saved = async (kind) => {
    const { name, bytes } = await rill.save(`Save as ${kind.toUpperCase()}`);
    expect(name).toBe(`speech.stereo.${kind}`);
    return bytes.toString();
  };
  expect(words(await saved('txt'))).toBe(JFK);
  expect(await saved('srt')).toMatch(/^1\n00:00:00,\d{3} --> 00:00:\d\d,\d{3}\n\S.*\n\n/);
  expect(await saved('vtt')).toMatch(/^WEBVTT\n\n00:00:00\.\d{3} --> 00:00:\d\d\.\d{3}\n\S.*\n\n/);

  const { text, segments, timings, adapter, language, backend } = JSON.parse(await saved('json'));
  expect(words(text)).toBe(JFK);
  expect(words(segments.map((segment) => segment.text).join(''))).toBe(JFK);
  expect(language).toBe('en');
  expect(['webgpu', 'webnn', 'wasm']).toContain(backend);
  expect(adapter).not.toBe('');
  expect(timings.audio_s).toBeCloseTo(11, 1);
});

test('a chosen file that is no recording leaves the one before it in place', async ({ rill }) => {
  await rill.open();
  await rill.choose({ name: 'notes.wav', mimeType: 'audio/wav', buffer: Buffer.from('Milk, bread, tea.') });
  await rill.expectAlert('notes.wav', 'cannot read the file as a recording', 'Choose a WAV');
  await expect(rill.record).toBeEnabled();
});
