// What stands between the page and its models: other files than the server's, slow ones, broken ones.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { MODELS } from './browser.mjs';
import { weights } from './small-whisper.mjs';

const TINY = 'whisper-tiny.en';

/**
 * The files of a Whisper that loads in a second and hears nothing, to be served as whisper-tiny.en: its architecture
 * and tokenizer, small random weights, and no list of hashes.
 */
export function smallWhisper({ config: changes = {}, change = (tensors) => tensors } = {}) {
  const read = (name) => readFileSync(path.join(MODELS, TINY, name));
  const generation = read('generation_config.json');
  const small = {
    ...JSON.parse(read('config.json')),
    d_model: 32,
    encoder_layers: 1,
    encoder_attention_heads: 2,
    encoder_ffn_dim: 64,
    decoder_layers: 1,
    decoder_attention_heads: 2,
    decoder_ffn_dim: 64,
    max_target_positions: 64,
  };
  return {
    'config.json': Buffer.from(JSON.stringify({ ...small, ...changes })),
    'tokenizer.json': read('tokenizer.json'),
    'generation_config.json': generation,
    'model.safetensors': weights({ ...small, timestamp_begin: JSON.parse(generation).no_timestamps_token_id + 1 }, change),
  };
}

/**
 * Serve these files in place of a model's own; every other name is missing. `answer(name, body)` may give another
 * answer for one (`{status, body}`), or do something first. Returns the names asked for, in order.
 */
export async function serve(page, files, { model = TINY, answer = () => undefined } = {}) {
  const asked = [];
  await page.route(`**/models/${model}/**`, async (route) => {
    const name = new URL(route.request().url()).pathname.split(`/models/${model}/`)[1];
    asked.push(name);
    const whole = files[name];
    const other = await answer(name, whole);
    if (other) return route.fulfill({ contentType: 'application/octet-stream', ...other });
    if (!whole) return route.fulfill({ status: 404, contentType: 'text/plain', body: 'There is no such file.' });
    const range = /bytes=(\d+)-(\d+)/.exec(route.request().headers().range ?? '');
    const [begin, end] = range ? [Number(range[1]), Math.min(Number(range[2]) + 1, whole.length)] : [0, whole.length];
    return route.fulfill({
      status: range ? 206 : 200,
      contentType: 'application/octet-stream',
      headers: range ? { 'content-range': `bytes ${begin}-${end - 1}/${whole.length}` } : {},
      body: whole.subarray(begin, end),
    });
  });
  return asked;
}

/** Stop standing in between. */
export const serveAsUsual = (page, model = TINY) => page.unroute(`**/models/${model}/**`);
