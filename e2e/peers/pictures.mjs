// The pictures that every contender gets: plain drawings made here and the six that come with clip-emoji, as PNG files,
// each with the name that the model knows it by. The same bytes on every machine.

import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { crc32, deflateSync } from 'node:zlib';

const FOLDER = path.join(import.meta.dirname, '../../public/models/clip-emoji/images');

const SIZE = 256;

const COLOURS = {
  red: [221, 46, 68],
  orange: [244, 144, 12],
  yellow: [253, 203, 88],
  green: [120, 177, 89],
  blue: [85, 172, 238],
  purple: [170, 142, 214],
  brown: [193, 105, 79],
  black: [49, 55, 61],
};

/** Whether a point is inside, -1 to 1 from left to right and from top to bottom. */
const SHAPES = {
  circle: (x, y) => x * x + y * y < 0.75,
  square: (x, y) => Math.max(Math.abs(x), Math.abs(y)) < 0.8,
  diamond: (x, y) => Math.abs(x) + Math.abs(y) < 0.9,
  triangle: (x, y) => y < 0.7 && Math.abs(x) < (y + 0.8) * 0.58,
  // The cubic curve (x² + y² - 1)³ = x² y³, upside down and larger.
  heart: (x, y) => {
    const [u, v] = [1.35 * x, 0.15 - 1.35 * y];
    return (u * u + v * v - 1) ** 3 < u * u * v ** 3;
  },
};

/** 26 drawings and six emoji: `{name, png}`. */
export function pictures() {
  const drawn = ['circle', 'square', 'heart']
    .flatMap((shape) => Object.keys(COLOURS).map((colour) => [`${colour} ${shape}`, colour, shape]))
    .filter(([name]) => name !== 'black square'); // The model knows it by other names.
  drawn.push(['large orange diamond', 'orange', 'diamond'], ['large blue diamond', 'blue', 'diamond']);
  drawn.push(['red triangle pointed up', 'red', 'triangle']);
  const emoji = readdirSync(FOLDER).map((file) => ({
    name: path.parse(file).name.replaceAll('_', ' '),
    png: readFileSync(path.join(FOLDER, file)),
  }));
  // Mixed, so that fewer of them are still of both kinds.
  const all = drawn.map(([name, colour, shape]) => ({ name, png: draw(COLOURS[colour], SHAPES[shape]) }));
  emoji.forEach((picture, i) => all.splice(5 * i, 0, picture));
  return all;
}

/** A shape on paper, lit from the left, with soft edges. */
function draw(colour, inside) {
  const rows = Buffer.alloc(SIZE * (1 + 3 * SIZE));
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      let covered = 0;
      for (const [dx, dy] of [[0.25, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]]) {
        covered += inside((2 * (x + dx)) / SIZE - 1, (2 * (y + dy)) / SIZE - 1) ? 0.25 : 0;
      }
      const light = 1 - (0.05 * x) / SIZE;
      // The first byte of a row says that it is not filtered.
      const at = y * (1 + 3 * SIZE) + 1 + 3 * x;
      colour.forEach((value, c) => rows.writeUInt8(Math.round(light * (covered * value + (1 - covered) * 250)), at + c));
    }
  }
  return png(rows);
}

/** A PNG file of RGB rows, https://www.w3.org/TR/png-3/. */
function png(rows) {
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(SIZE, 0);
  head.writeUInt32BE(SIZE, 4);
  // Eight bits of each colour, the only compression and filters there are, not interlaced.
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}
