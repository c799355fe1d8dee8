// Files that visitors bring: the repository's own small models and pictures.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../..');

/** Where a folder of the golden tests lies. */
export const golden = (folder) => path.join(ROOT, 'tests/golden', folder);

/** A small model of the golden tests, as the files that a visitor drops; `changes` replace some of them. */
export function model(folder, changes = {}) {
  const at = golden(folder);
  const files = readdirSync(at).filter((name) => name !== 'golden.json' && name.includes('.'));
  const read = Object.fromEntries(files.map((name) => [name, readFileSync(path.join(at, name))]));
  return Object.entries({ ...read, ...changes }).map(([name, buffer]) => ({ name, mimeType: '', buffer }));
}

/** A drawing that ships with the page. */
export const picture = (name) => ({
  name: `${name}.png`,
  mimeType: 'image/png',
  buffer: readFileSync(path.join(ROOT, `public/models/clip-emoji/images/${name}.png`)),
});

/** Words as a file. */
export const text = (name, words) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(words) });
