// window.rill for texts and pictures: the reference's numbers in the browser itself, on its GPU (software here, but its own
// compiler and its own decoding of pictures) and on the processor; streaming, batches, few bits and what is kept of them.

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { sample } from '../support/browser.mjs';
import { model } from '../support/files.mjs';
import { JFK, RillPage, expect, test, words } from '../support/rill.mjs';
import * as wav from '../support/wav.mjs';

const ROOT = path.join(import.meta.dirname, '../..');
const json = (file) => JSON.parse(readFileSync(path.join(ROOT, 'tests/golden', file), 'utf8'));
const base64 = (file) => readFileSync(path.join(ROOT, file)).toString('base64');

const pictures = ['wide', 'tall'].map((name) => base64(`tests/golden/vision/${name}.png`));
const emoji = json('clip-emoji/golden.json');
const drawings = emoji.images.map((name) => base64(`public/models/clip-emoji/${name}`));

/** The largest difference of two lists of numbers. */
const distance = (a, b) => Math.max(...b.map((value, i) => Math.abs(value - a[i])));

const softmax = (logits) => {
  const powers = logits.map(Math.exp);
  const sum = powers.reduce((sum, power) => sum + power);
  return powers.map((power) => power / sum);
};

/** @type {RillPage} */
let rill;

/** Run a program in the page. `file` and `load` are at hand there: bytes to a Blob, and a model by its id or its files. */
const inPage = (program, argument) =>
  rill.page.evaluate(
    async ([program, argument]) => {
      const file = (base64, name = '') =>
        new File([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))], name, { type: name ? '' : 'image/png' });
      const load = (id, files, options) =>
        window.rill.load(id, files ? { files: files.map(({ name, base64 }) => file(base64, name)), ...options } : options);
      return (0, eval)(`(${program})`)({ file, load, ...argument });
    },
    [String(program), argument],
  );

const files = (folder) => model(folder).map(({ name, buffer }) => ({ name, base64: buffer.toString('base64') }));

test.beforeAll(async ({ browser, baseURL }) => {
  const context = await browser.newContext({ baseURL });
  rill = await new RillPage(await context.newPage()).open();
});

test.afterAll(async () => {
  expect(rill.crashes, 'uncaught errors').toEqual([]);
  await rill.page.context().close();
});

for (const backend of ['webgpu', 'wasm']) {
  test(`a BERT finds the reference's words and vectors on ${backend}`, async () => {
    const golden = json('bert/bert/golden.json');
    const texts = (items) => items.map(({ text }) => text);
    const [one, all, vectors, hidden, info] = await inPage(
      async ({ load, files, backend, gaps, texts }) => {
        const bert = await load('small-bert', files, { backend });
        const one = await bert.run({ text: gaps[0] }, { topK: 5 });
        const all = await bert.run({ texts: gaps }, { topK: 5 });
        const vectors = await bert.run({ texts }, { output: 'embeddings', batchSize: 2 });
        const { hiddenStates, ids } = await bert.run({ texts }, { output: 'hidden' });
        await bert.dispose();
        const hidden = hiddenStates.map(({ data, shape }, i) => ({ data: [...data], shape, ids: ids[i] }));
        return [one.candidates, all.candidates, vectors, hidden, bert.info];
      },
      { files: files('bert/bert'), backend, gaps: texts(golden.gaps), texts: texts(golden.embeddings) },
    );
    expect(info).toMatchObject({ backend, mask_token: '[MASK]' });
    // One by one or in a batch: sums in another order.
    expect(one.map(({ token }) => token)).toEqual(all[0].map(({ token }) => token));
    expect(distance(one.map(({ score }) => score), all[0].map(({ score }) => score))).toBeLessThan(2e-6);
    for (const [idx, { text, top }] of golden.gaps.entries()) {
      const expected = top.flatMap((gap, mask) => gap.map(([token, score]) => ({ mask, token, score })));
      expect(all[idx].map(({ mask, token }) => [mask, token]), text).toEqual(expected.map(({ mask, token }) => [mask, token]));
      expect(distance(all[idx].map(({ score }) => score), expected.map(({ score }) => score)), text).toBeLessThan(2e-6);
    }
    for (const [idx, { text, vector, hidden: rows, ids }] of golden.embeddings.entries()) {
      expect(distance(vectors.embeddings[idx], vector), text).toBeLessThan(2e-5);
      expect(hidden[idx], text).toMatchObject({ ids, shape: [ids.length, vector.length] });
      // Single values, up to 4; f32 sums in another order.
      expect(distance(hidden[idx].data, rows.flat()), text).toBeLessThan(2e-5);
    }
  });

  test(`a T5 writes the reference's texts on ${backend}, as they grow, by beams and by chance`, async () => {
    const cases = json('t5.json').models['t5-numbers'].slice(0, 3);
    const { info, outputs, steps, beams, short, drawn, stopped, together } = await inPage(
      async ({ load, backend, texts }) => {
        const t5 = await load('t5-numbers', null, { backend });
        const steps = [];
        const { outputs } = await t5.run({ texts }, { streamBufferSize: 4, onToken: (step) => steps.push(step) });
        const beams = await t5.run({ text: texts[0] }, { numBeams: 4 });
        const short = await t5.run({ text: texts[0] }, { maxTokens: 3 });
        const draw = (seed) => t5.run({ text: texts[0] }, { temperature: 5, topK: 50, topP: 0.95, seed, maxTokens: 8 });
        const drawn = [await draw(7), await draw(7), await draw(8)].map(({ tokens }) => tokens);
        const stopped = await t5.run({ text: texts[0] }, { stop: [','] });
        await t5.dispose();
        const several = await load('t5-numbers', null, { backend, batchSize: 3 });
        const together = (await several.run({ texts })).outputs;
        await several.dispose();
        return { info: t5.info, outputs, steps, beams, short, drawn, stopped, together };
      },
      { backend, texts: cases.map(({ text }) => text) },
    );
    expect(info.backend).toBe(backend);
    for (const [idx, { text, greedy, greedy_text }] of cases.entries()) {
      const written = greedy.filter((token) => token > 1); // Neither the start nor the end.
      expect(outputs[idx], text).toEqual({ text: greedy_text, tokens: written, finish: 'end-of-text' });
      const heard = steps.filter(({ index }) => index === idx);
      expect(heard.at(-1).text, text).toBe(greedy_text);
      expect(heard.flatMap(({ new_tokens }) => new_tokens), text).toEqual(written);
      expect(heard.slice(0, -1).every(({ new_tokens }) => new_tokens.length >= 4), 'tokens are told in fours').toBe(true);
    }
    expect(beams.tokens).toEqual(cases[0].beams[4].ids.filter((token) => token > 1));
    expect(short).toMatchObject({ finish: 'max-tokens', tokens: outputs[0].tokens.slice(0, 3) });
    expect(stopped).toMatchObject({ text: outputs[0].text.split(',')[0], finish: 'stop' });
    expect(together, 'three at once').toEqual(outputs);
    expect(drawn[1]).toEqual(drawn[0]);
    expect(drawn[2]).not.toEqual(drawn[0]);
  });

  test(`a ViT names pictures as the reference does on ${backend}`, async () => {
    const golden = json('vision/golden.json').vit;
    const { one, labels, embeddings, told } = await inPage(
      async ({ file, load, files, backend, pictures }) => {
        const vit = await load('small-vit', files, { backend });
        const images = pictures.map((bytes) => file(bytes));
        const one = await vit.run({ image: images[0] }, { topK: 5 });
        const told = [];
        const many = Array.from({ length: 9 }, (_, i) => images[i % 2]);
        const { labels } = await vit.run({ images: many }, { topK: 5, onProgress: ({ done, total }) => told.push([done, total]) });
        const { embeddings } = await vit.run({ images }, { output: 'embeddings' });
        await vit.dispose();
        return { one: one.labels, labels, embeddings, told };
      },
      { files: files('vision/vit'), backend, pictures },
    );
    const names = ['tree', 'river', 'stone', 'cloud', 'sand'];
    expect(labels).toHaveLength(9);
    expect(one.map(({ label }) => label)).toEqual(labels[0].map(({ label }) => label));
    for (const [idx, found] of labels.entries()) {
      const expected = softmax(golden.logits[idx % 2]);
      const scores = names.map((name) => found.find(({ label }) => label === name).score);
      expect(distance(scores, expected), `picture ${idx}`).toBeLessThan(5e-5);
    }
    for (const [idx, expected] of golden.features.entries()) {
      expect(distance(embeddings[idx], expected), `picture ${idx}`).toBeLessThan(5e-5);
    }
    expect(told.at(-1)).toEqual([9, 9]);
  });

  test(`CLIP holds words against pictures as the reference does on ${backend}`, async () => {
    const golden = json('vision/clip-emoji.json');
    const { early, matches, info } = await inPage(
      async ({ file, load, backend, drawings, texts }) => {
        let early;
        const onUsable = (part) => (early ??= part.run({ texts: texts.slice(0, 2) }));
        const clip = await load('clip-emoji', null, { backend, onUsable });
        const matches = await clip.run({ images: drawings.map((bytes) => file(bytes)), texts });
        await clip.dispose();
        return { early: (await early).embeddings, matches, info: clip.info };
      },
      { backend, drawings, texts: emoji.texts },
    );
    expect(info).toMatchObject({ backend, components: ['text', 'pictures'] });
    for (const [idx, expected] of golden.image_embeds.entries()) {
      expect(distance(matches.imageEmbeddings[idx], expected), emoji.images[idx]).toBeLessThan(1e-4);
    }
    for (const [idx, expected] of golden.text_embeds.entries()) {
      expect(distance(matches.textEmbeddings[idx], expected), emoji.texts[idx]).toBeLessThan(1e-4);
    }
    for (const [idx, logits] of golden.logits_per_image.entries()) {
      expect(distance(matches.scores[idx], softmax(logits)), emoji.images[idx]).toBeLessThan(5e-3);
    }
    // The texts' part was of use before the pictures' had come.
    for (const [idx, vector] of early.entries()) expect(distance(vector, matches.textEmbeddings[idx])).toBeLessThan(1e-5);
  });

  test(`weights in few bits come from what was kept of them the next time, on ${backend}`, async () => {
    const asked = [];
    const count = (route) => {
      asked.push(route.request().headers().range ?? 'all');
      return route.continue();
    };
    const visit = () =>
      inPage(
        async ({ file, load, backend, drawings, texts }) => {
          let read = 0;
          const onProgress = ({ components }) => (read = components.reduce((sum, part) => sum + part.total_bytes, 0));
          const clip = await load('clip-emoji', null, { backend, precision: 'int8', onProgress });
          const { scores } = await clip.run({ images: drawings.map((bytes) => file(bytes)), texts });
          await clip.dispose();
          return { scores, precision: clip.info.precision, read };
        },
        { backend, drawings: drawings.slice(0, 2), texts: emoji.texts },
      );
    const first = await visit();
    await rill.page.route('**/models/clip-emoji/model.safetensors', count);
    const second = await visit();
    await rill.page.unroute('**/models/clip-emoji/model.safetensors', count);
    expect(asked, 'requests for weights').toEqual([]);
    expect(second).toMatchObject({ precision: 'int8', scores: first.scores });
    // Of 16 bits a weight, and four more bytes for 32 of them, in the checkpoint; norms and tables stay wider.
    expect(second.read).toBeLessThan(0.6 * readFileSync(path.join(ROOT, 'public/models/clip-emoji/model.safetensors')).length);
  });
}

test('a model larger than its budget runs in portions, and one that fits no level is refused with figures', async () => {
  const [expected] = json('t5.json').models['t5-numbers'];
  const { whole, parts, said } = await inPage(
    async ({ load, text }) => {
      const run = async (options) => {
        const t5 = await load('t5-numbers', null, { backend: 'wasm', ...options });
        const { tokens } = await t5.run({ text }, { maxTokens: 6 });
        await t5.dispose();
        return { tokens, info: t5.info };
      };
      const said = await run({ memoryBudgetMb: 1 }).catch(({ name, kind, message }) => ({ name, kind, message }));
      return { whole: await run(), parts: await run({ memoryBudgetMb: 20 }), said };
    },
    { text: expected.text },
  );
  expect(whole.info.memory_bytes).toBeGreaterThan(20e6);
  expect(parts.info.memory_level).toBe(3);
  expect(parts.info.memory_bytes).toBeLessThanOrEqual(20e6);
  expect(parts.tokens).toEqual(whole.tokens);
  expect(said).toMatchObject({ name: 'RillError', kind: 'out-of-memory' });
  expect(said.message).toMatch(/\d+(\.\d)? MB/);
});

test('what a precision costs is told beside f32', async () => {
  const quality = await inPage(async ({ load }) => {
    const clip = await load('clip-emoji', null, { backend: 'wasm', precision: 'int8' });
    const quality = await clip.quality();
    await clip.dispose();
    return quality;
  }, {});
  expect(quality).toMatchObject({ precision: 'int8', measure: 'top-one' });
  expect(quality.value).toBeGreaterThanOrEqual(0.9);
  expect(quality.sample_count).toBeGreaterThan(1);
  expect(quality.bytes).toBeLessThan(quality.bytes_reference);
  for (const part of ['ms_reduced', 'ms_reference']) expect(quality[part], part).toBeGreaterThan(0);
});

test('the pieces of a long recording are heard together, each as it would be alone', async () => {
  const jfk = [...wav.read(sample('jfk')).channels[0]];
  const { alone, together } = await inPage(
    async ({ load, jfk }) => {
      const [clip, pause] = [Float32Array.from(jfk), new Float32Array(16000 * 12)];
      const long = new Float32Array(2 * (clip.length + pause.length));
      for (const at of [0, clip.length + pause.length]) long.set(clip, at);
      const run = async (audio, options) => {
        const whisper = await load('whisper-tiny.en', null, { backend: 'wasm', ...options });
        const { text, segments } = await whisper.run({ audio });
        await whisper.dispose();
        return { text, segments };
      };
      return { alone: await run(clip), together: await run(long, { batchSize: 2 }) };
    },
    { jfk },
  );
  expect(words(alone.text)).toBe(JFK);
  expect(words(together.text)).toBe(`${JFK} ${JFK}`);
  // Times are those of the whole recording.
  expect(together.segments.at(-1).end).toBeGreaterThan(30);
  expect(together.segments.at(-1).end).toBeLessThanOrEqual(46);
});

test('a batch can be aborted, and wrong inputs are named', async () => {
  const said = await inPage(
    async ({ file, load, drawings }) => {
      const clip = await load('clip-emoji', null, { backend: 'wasm' });
      const said = [];
      const caught = async (input, options) => {
        try {
          await clip.run(input, options);
          said.push('it did not fail');
        } catch (error) {
          said.push(`${error.name}: ${error.message}`);
        }
      };
      const stop = new AbortController();
      const images = Array.from({ length: 200 }, () => file(drawings[0]));
      await caught({ images }, { signal: stop.signal, onProgress: ({ done }) => done > 0 && stop.abort() });
      await caught({ images: [file(drawings[0]), new Blob(['no picture'])], texts: ['a'] });
      await caught({ images: [file(drawings[0])], texts: [] });
      await caught({ image: 'dog.png' });
      await clip.dispose();
      return said;
    },
    { drawings },
  );
  expect(said[0]).toMatch(/^AbortError/);
  expect(said[1]).toMatch(/^RillError.*picture/);
  expect(said[2]).toMatch(/^TypeError/);
  expect(said[3]).toMatch(/^TypeError/);
});
