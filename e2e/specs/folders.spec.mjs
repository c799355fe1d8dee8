// Folders that are dropped: of a model, with what lies in the folders inside it, and of pictures.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { golden, picture, text } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

const MODEL = golden('bert/sentence-cls');

/** The cosine of the reference's vectors of two texts. */
function cosine(query, sentence) {
  const { embeddings } = JSON.parse(readFileSync(path.join(MODEL, 'golden.json')));
  const [a, b] = [query, sentence].map((text) => embeddings.find((each) => each.text === text).vector);
  const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);
  return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
}

const texts = JSON.parse(readFileSync(path.join(MODEL, 'golden.json'))).embeddings.map(({ text }) => text);
const [query, ...sentences] = texts.filter((text) => !text.includes('\n') && text.trim() === text && text.length < 80);

test('the folder of a model is loaded with the way of pooling that lies inside it, and its vectors compare by their angle', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.dropFromDisk(MODEL);
  await expect(rill.ready).toContainText('sentence-cls', LOAD);

  await rill.query.fill(query);
  await rill.sentences.fill(sentences.join('\n'));
  await rill.compare.click();
  await expect(rill.ranking).toHaveCount(sentences.length, LOAD);
  for (const sentence of sentences) {
    const score = rill.ranking.filter({ hasText: sentence }).locator('.ranking__score');
    const shown = Number((await score.getAttribute('title')).replace('cosine ', ''));
    expect(shown, sentence).toBeCloseTo(cosine(query, sentence), 3);
  }

  // Its name is none of the hub's: on the next visit it is not taken for one.
  await rill.page.reload();
  await expect(rill.page.getByRole('radio', { name: /sentence-cls/ })).toHaveCount(0);
});

test('a program gives files with their paths', async ({ rill }) => {
  await rill.open('./#/sentences');
  const names = ['config.json', 'tokenizer.json', 'model.safetensors', 'modules.json', '1_Pooling/config.json'];
  const files = names.map((name) => [name, readFileSync(path.join(MODEL, name)).toString('base64')]);
  const [a, b] = await rill.page.evaluate(
    async ([files, texts]) => {
      const blob = (base64) => new Blob([Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0))]);
      const byPath = Object.fromEntries(files.map(([name, base64]) => [`mine/${name}`, blob(base64)]));
      const model = await window.rill.load('mine', { files: byPath, backend: 'wasm' });
      return (await model.run({ texts })).embeddings;
    },
    [files, [query, sentences[0]]],
  );
  const { embeddings } = JSON.parse(readFileSync(path.join(MODEL, 'golden.json')));
  const expected = embeddings.find(({ text }) => text === query).vector;
  a.forEach((value, i) => expect(value).toBeCloseTo(expected[i], 3));
  expect(b).toHaveLength(a.length);
});

test('every picture of a folder is taken, also from folders inside it', async ({ rill }, info) => {
  const folder = info.outputPath('album');
  mkdirSync(path.join(folder, 'inside'), { recursive: true });
  const put = (name, buffer) => writeFileSync(path.join(folder, name), buffer);
  put('guitar.png', picture('guitar').buffer);
  put('inside/house.png', picture('house').buffer);
  put('.DS_Store', Buffer.from('of the system'));
  put('notes.txt', text('notes.txt', 'no picture').buffer);

  await rill.open('./#/match/search');
  await rill.dropFromDisk(folder);
  const found = rill.page.getByRole('list', { name: 'Pictures, the best first' }).getByRole('listitem');
  await expect(found).toHaveText([/guitar/, /house/], LOAD);
  await expect(rill.page.getByRole('list', { name: 'Files that were not taken' }).getByRole('listitem')).toHaveText([
    'notes.txt: it is no picture (text/plain).',
  ]);
});
