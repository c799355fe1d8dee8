// Recordings as the tests need them: read, resampled, made up, written as WAV.

import { readFileSync } from 'node:fs';

/** A 16-bit PCM WAV file: `{rate, channels: [Float32Array]}`. */
export function read(file) {
  const bytes = Buffer.isBuffer(file) ? file : readFileSync(file);
  if (bytes.toString('latin1', 0, 4) !== 'RIFF') throw new Error('not a WAV file');
  let at = 12;
  let format;
  while (at < bytes.length) {
    const [id, length] = [bytes.toString('latin1', at, at + 4), bytes.readUInt32LE(at + 4)];
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (id === 'fmt ') format = { n: body.readUInt16LE(2), rate: body.readUInt32LE(4), bits: body.readUInt16LE(14) };
    if (id === 'data') {
      if (format?.bits !== 16) throw new Error('only 16-bit WAV files are read here');
      const frames = body.length / 2 / format.n;
      const channel = (c) => Float32Array.from({ length: frames }, (_, i) => body.readInt16LE(2 * (i * format.n + c)) / 32768);
      return { rate: format.rate, channels: Array.from({ length: format.n }, (_, c) => channel(c)) };
    }
    at += 8 + length + (length % 2);
  }
  throw new Error('the WAV file has no samples');
}

/** A 16-bit PCM WAV file's bytes. */
export function write({ rate, channels }) {
  const [n, frames] = [channels.length, channels[0].length];
  const bytes = Buffer.alloc(44 + 2 * n * frames);
  bytes.write('RIFF', 0, 'latin1');
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write('WAVEfmt ', 8, 'latin1');
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(n, 22);
  bytes.writeUInt32LE(rate, 24);
  bytes.writeUInt32LE(rate * n * 2, 28);
  bytes.writeUInt16LE(n * 2, 32);
  bytes.writeUInt16LE(16, 34);
  bytes.write('data', 36, 'latin1');
  bytes.writeUInt32LE(2 * n * frames, 40);
  channels.forEach((samples, c) =>
    samples.forEach((sample, i) => {
      const value = Math.round(Math.max(-1, Math.min(1, sample)) * 32767);
      bytes.writeInt16LE(value, 44 + 2 * (i * n + c));
    }),
  );
  return bytes;
}

/** The samples at another rate, by a sinc window of 32 samples. */
export function resample(samples, from, to) {
  const half = 16;
  const sinc = (x) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  return Float32Array.from({ length: Math.floor((samples.length * to) / from) }, (_, i) => {
    const place = (i * from) / to;
    let sum = 0;
    for (let j = Math.max(0, Math.ceil(place - half)); j <= Math.min(samples.length - 1, place + half); j++) {
      sum += samples[j] * sinc(j - place) * (0.5 + 0.5 * Math.cos((Math.PI * (j - place)) / half));
    }
    return sum;
  });
}

/** A tone of 440 Hz, or silence where `volume` is 0, as a file that can be chosen. */
export function tone(seconds, { rate = 16_000, volume = 0.3, name = 'tone.wav' } = {}) {
  const sample = (_, i) => volume * Math.sin((2 * Math.PI * 440 * i) / rate);
  return file(name, { rate, channels: [Float32Array.from({ length: Math.round(seconds * rate) }, sample)] });
}

/** A recording as a file that can be chosen or dropped. */
export const file = (name, recording) => ({ name, mimeType: 'audio/wav', buffer: write(recording) });
