// What goes wrong is said clearly, with what to do, and the page goes on.

import { readFileSync } from 'node:fs';
import { sample } from '../support/browser.mjs';
import { CLOCK_RUNS, LOAD, TRANSCRIPTION, expect, test } from '../support/rill.mjs';
import { serve, serveAsUsual, smallWhisper } from '../support/server.mjs';
import * as wav from '../support/wav.mjs';

const GOOD = smallWhisper();
const named = (name, buffer) => ({ name, mimeType: 'audio/wav', buffer });

test('a network that fails for a moment while the engine comes costs nothing', async ({ rill }) => {
  for (const part of ['worker.js', 'worker_bg.wasm']) {
    const asked = [];
    const once = (route) => (asked.push(route.request().url()) === 1 ? route.abort() : route.continue());
    await rill.page.route(`**/${part}*`, once);
    await rill.open();
    expect(asked.length, part).toBe(2);
    await rill.page.unroute(`**/${part}*`, once);
    await rill.page.goto('about:blank');
  }
});

test.describe('recordings', () => {
  test('a file that holds no usable recording is refused by name, and a good one is taken after it', async ({ rill }) => {
    await serve(rill.page, GOOD);
    await rill.open();
    await rill.choose(named('empty.wav', Buffer.alloc(0)));
    await rill.expectAlert('empty.wav', 'The file is empty.');
    await rill.choose(named('noise.mp3', Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 71) % 256))));
    await rill.expectAlert('noise.mp3', 'cannot read the file as a recording');
    await rill.choose(named('cut.wav', readFileSync(sample('jfk')).subarray(0, 30)));
    await rill.expectAlert('cut.wav', 'cannot read the file as a recording');
    await rill.choose(wav.tone(0.1, { name: 'click.wav' }));
    await rill.expectAlert('click.wav', 'only 0.10 s long');

    for (const rate of [44_100, 48_000, 96_000]) {
      await rill.choose(wav.tone(1, { rate, name: `${rate}.wav` }));
      await expect(rill.status).toContainText('Done', LOAD);
      await expect(rill.clock).toContainText(CLOCK_RUNS);
    }
  });

  test('silence is no speech', async ({ rill }) => {
    await rill.open();
    await rill.choose(wav.tone(3, { volume: 0, name: 'silence.wav' }));
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    await expect(rill.transcript).toContainText('No speech was found');
    expect(await rill.text()).toBe('');
  });
});

test.describe('models', () => {
  const cases = {
    'weights that end too early': {
      files: { ...GOOD, 'model.safetensors': GOOD['model.safetensors'].subarray(0, 2_000_000) },
      says: ['`model.safetensors` is damaged', 'Load it again'],
    },
    'a header that is none': {
      files: { ...GOOD, 'model.safetensors': Buffer.concat([GOOD['model.safetensors'].subarray(0, 8), Buffer.alloc(2_000_000, '?')]) },
      says: ['`model.safetensors` is damaged', 'Load it again'],
    },
    'another model’s weights': {
      files: smallWhisper({ config: { d_model: 64 } }),
      says: ['has shape', 'expected', 'The files do not belong together'],
    },
    'weights that lack a tensor': {
      files: smallWhisper({
        change: ({ 'model.encoder.layers.0.fc1.weight': _, ...others }) => others,
      }),
      says: ['has no tensor `model.encoder.layers.0.fc1.weight`', 'The files do not belong together'],
    },
    'a configuration that is none': {
      files: { ...GOOD, 'config.json': Buffer.from('not found') },
      says: ['`config.json` is damaged', 'Load it again'],
    },
    'another file than its hash promises': {
      files: {
        ...GOOD,
        'rill.json': Buffer.from(
          JSON.stringify({
            files: Object.entries(GOOD).map(([name, body]) => ({
              name,
              size: body.length,
              ...(name === 'model.safetensors' && { sha256: '0'.repeat(64) }),
            })),
          }),
        ),
      },
      says: ['`model.safetensors` is damaged', 'SHA-256', 'Load it again'],
    },
  };
  for (const [name, { files, says }] of Object.entries(cases)) {
    test(`${name}: the page says so, and loads the right files afterwards`, async ({ rill }) => {
      await serve(rill.page, files);
      await rill.open();
      await rill.load.click();
      const alert = await rill.expectAlert(...says);
      await expect(rill.model).toContainText('could not be loaded');

      await serveAsUsual(rill.page);
      await serve(rill.page, GOOD);
      // Nothing of the damaged model was kept, so that the same button is enough.
      await alert.getByRole('button', { name: 'Load again' }).click();
      await expect(rill.ready).toBeVisible(LOAD);
      await expect(rill.alert).toHaveCount(0);
    });
  }

  test('a server that fails in the middle: what was received is kept, the recording too', async ({ rill }) => {
    let pieces = 0;
    let isBroken = true;
    const asked = await serve(rill.page, GOOD, {
      answer: (name) => {
        if (name !== 'model.safetensors' || !isBroken) return undefined;
        pieces += 1;
        return pieces > 1 ? { status: 500, body: 'no' } : undefined;
      },
    });
    await rill.open();
    await rill.page.locator('summary', { hasText: 'Settings' }).click();
    await rill.page.getByLabel('Download in pieces of').selectOption('1 MiB');

    // Recording starts the load; the load fails while the recording goes on, and once more after it.
    await rill.record.click();
    await rill.expectAlert('model.safetensors', '500', 'what was received is kept');
    await expect(rill.stop).toBeVisible();
    await rill.stop.click();
    await expect(rill.status).toContainText('as soon as the model is ready');
    const alert = await rill.expectAlert('model.safetensors', '500');
    const { bytes } = await rill.save('Save recording as WAV');
    expect(wav.read(bytes).channels[0].length).toBeGreaterThan(16_000);

    isBroken = false;
    asked.length = 0;
    await alert.getByRole('button', { name: 'Load again' }).click();
    await expect(rill.ready).toBeVisible(LOAD);
    expect(asked.filter((name) => name === 'model.safetensors'), 'the three pieces that were missing').toHaveLength(3);
    await rill.again.click();
    await expect(rill.status).toContainText('Done', LOAD);
  });

  test('a full storage is told, and the model runs all the same', async ({ rill, context, baseURL }) => {
    await serve(rill.page, GOOD);
    await rill.open();
    const browser = await context.newCDPSession(rill.page);
    await browser.send('Storage.overrideQuotaForOrigin', { origin: new URL(baseURL).origin, quotaSize: 200_000 });
    await rill.load.click();
    await rill.expectAlert('storage refused', 'cannot be kept for the next visit');
    await expect(rill.ready).toBeVisible(LOAD);
    await rill.choose(wav.tone(1));
    await expect(rill.status).toContainText('Done', LOAD);
  });

  test('a GPU process that crashes costs neither the recording nor its text', async ({ rill, browser }) => {
    await serve(rill.page, GOOD);
    await rill.open();
    await rill.runOn('GPU (WebGPU)');
    await rill.loadModel();
    await rill.choose(wav.tone(300));
    await expect(rill.status).toContainText(/Listening|Writing/);
    await (await browser.newBrowserCDPSession()).send('Browser.crashGpuProcess');
    await rill.expectAlert('WebGPU failed in the middle of the work', 'Nothing is lost');
    await expect(rill.status).toContainText('Done', TRANSCRIPTION);
    await expect(rill.record).toHaveAttribute('aria-disabled', 'false');
    expect((await rill.save('Save recording as WAV')).bytes.length).toBeGreaterThan(300 * 32_000);
  });
});
