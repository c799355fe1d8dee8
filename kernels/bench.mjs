// The kernels' speed in V8, without a browser: `node kernels/bench.mjs [part of a name]`, after a build of the page or of
// target/kernels/dist.
//
// Each case is one step of Whisper tiny.en in a memory of its own, checked against sums in doubles at some places, then run again and
// again in turn with a loop of nothing but multiplications and additions in registers: the most that the processor gives a browser.
// What counts is the best of many short runs, since other programs only ever slow one down.

import { readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';

const SCRATCH_BYTES = 1 << 20;
const STACK_BYTES = 1 << 16;
const STEP_BYTES = 4 * (1 + 12 + 8 * 2);
const ROUNDS = Number(process.env.ROUNDS ?? 12);

if (process.version < 'v22') setFlagsFromString('--experimental-wasm-relaxed-simd'); // Later versions and browsers have it as it is.

const here = new URL('.', import.meta.url);
const source = readFileSync(new URL('src/kernel.rs', here), 'utf8');
const KERNELS = [...source.slice(source.lastIndexOf('kernels! {')).matchAll(/^ {4}(\w+) = \w+,$/gm)].map((m) => m[1]);

// A module that does `n` times 48 multiplications and additions of vectors, twelve of which may be under way at once.
function peakModule(relaxed) {
  const leb = (n) => (n < 128 ? [n] : [(n & 127) | 128, ...leb(n >> 7)]);
  const simd = (op, ...rest) => [0xfd, ...leb(op), ...rest];
  const section = (id, bytes) => [id, ...leb(bytes.length), ...bytes];
  const step = (i) =>
    relaxed
      ? [0x20, 13, 0x20, 14, 0x20, i, ...simd(0x105), 0x21, i]
      : [0x20, 13, 0x20, 14, ...simd(0xe6), 0x20, i, ...simd(0xe4), 0x21, i];
  const steps = Array.from({ length: 48 }, (_, i) => step(1 + (i % 12))).flat();
  const splat = (local) => [0x43, 0, 0, 0x80, 0x3f, ...simd(0x13), 0x21, local];
  const loop = [0x03, 0x40, ...steps, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b];
  const sum = Array.from({ length: 12 }, (_, i) => [0x20, 1 + i, ...(i ? simd(0xe4) : [])]).flat();
  const body = [1, 14, 0x7b, ...splat(13), ...splat(14), ...loop, ...sum, ...simd(0x1f, 0), 0x0b];
  const bytes = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, ...section(1, [1, 0x60, 1, 0x7f, 1, 0x7d]), ...section(3, [1, 0])];
  bytes.push(...section(7, [1, 4, ...Buffer.from('peak'), 0, 0]), ...section(10, [1, ...leb(body.length), ...body]));
  return new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(bytes))).exports.peak;
}

function msOf(f) {
  const start = performance.now();
  f();
  return performance.now() - start;
}

// One thread's multiplications and additions in 1e9 a second.
const PEAK_STEPS = 40_000;
const gflopsOfPeak = (peak) => (PEAK_STEPS * 48 * 8) / msOf(() => peak(PEAK_STEPS)) / 1e6;

const THREAD = `const { workerData: { module, memory, stack, scratch }, parentPort } = require('node:worker_threads');
const words = new Int32Array(memory.buffer);
const team = { sleep: (w, v) => void Atomics.wait(words, w >>> 2, v | 0), wake: (w) => void Atomics.notify(words, w >>> 2) };
const { exports } = new WebAssembly.Instance(module, { env: { memory }, team });
exports.__stack_pointer.value = stack;
parentPort.postMessage('ready');
exports.join(scratch);`;

// A step in a memory with its threads. `operands` are typed arrays, or null where absent; the last is written.
async function prepare(variant, nThreads, { kernel, params, operands }) {
  let end = 2 << 16;
  const place = (bytes) => {
    const offset = Math.ceil(end / 64) * 64;
    end = offset + bytes;
    return offset;
  };
  const placed = operands.map((operand) => [operand ? place(operand.byteLength) : 0, operand?.byteLength ?? 0]);
  const steps = place(STEP_BYTES);
  const scratch = place(nThreads * SCRATCH_BYTES);
  const stacks = place(nThreads * STACK_BYTES);
  const pages = Math.ceil(end / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: variant.threads });
  operands.forEach((operand, i) => {
    if (operand) new operand.constructor(memory.buffer, placed[i][0], operand.length).set(operand);
  });
  const words = new Uint32Array(memory.buffer, steps, STEP_BYTES / 4);
  words[0] = KERNELS.indexOf(kernel);
  const view = new DataView(memory.buffer, steps);
  params.forEach((v, i) => (typeof v === 'object' ? view.setFloat32(4 + 4 * i, v.f32, true) : view.setUint32(4 + 4 * i, v, true)));
  placed.forEach(([offset, bytes], i) => words.set([offset, bytes], 13 + 2 * i));

  const ints = new Int32Array(memory.buffer);
  const team = { sleep: (w, v) => void Atomics.wait(ints, w >>> 2, v | 0), wake: (w) => void Atomics.notify(ints, w >>> 2) };
  const { exports } = new WebAssembly.Instance(variant.module, { env: { memory }, team });
  const threads = [];
  for (let i = 1; i < nThreads; i++) {
    const workerData = { module: variant.module, memory, stack: stacks + (i + 1) * STACK_BYTES, scratch: scratch + i * SCRATCH_BYTES };
    const thread = new Worker(THREAD, { eval: true, workerData });
    await new Promise((ready, failed) => thread.once('message', ready).once('error', failed));
    threads.push(thread);
  }
  const out = operands.at(-1);
  return {
    run: () => exports.run(steps, 1, nThreads, scratch),
    result: new out.constructor(memory.buffer, placed.at(-1)[0], out.length),
    close: () => Promise.all(threads.map((thread) => thread.terminate())),
  };
}

let seed = 1;
function noise(n, scale = 1) {
  return Float32Array.from({ length: n }, () => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return ((seed / 2 ** 31 - 1) * scale);
  });
}

function toF16(values) {
  const bits = new Uint32Array(values.buffer);
  // Rounded towards zero, and without subnormal numbers: a bench needs no more.
  return Uint16Array.from(bits, (b) => {
    const exponent = ((b >> 23) & 255) - 112;
    return exponent <= 0 ? 0 : ((b >> 16) & 0x8000) | (exponent << 10) | ((b >> 13) & 0x3ff);
  });
}

function fromF16(bits) {
  const magnitude = ((bits & 0x3ff) + 1024) * 2 ** (((bits >> 10) & 31) - 25);
  return (bits & 0x7c00) === 0 ? 0 : bits & 0x8000 ? -magnitude : magnitude;
}

// Panels of eight rows in groups of 32, as `quantize.rs` lays them out, without its search for better scales.
function narrow(values, nCols, { quantBytes, nFactors, quantize, quantOf }) {
  const groups = nCols / 32;
  const panelBytes = 8 * groups * (quantBytes + 2 * nFactors);
  const bytes = new Uint8Array((values.length / nCols / 8) * panelBytes);
  const placeOf = (at) => {
    const [row, col] = [Math.floor(at / nCols), at % nCols];
    const [panel, group] = [Math.floor(row / 8) * panelBytes, col >> 5];
    const factor = (n) => panel + 8 * groups * quantBytes + 2 * ((group * nFactors + n) * 8 + (row % 8));
    return { quants: panel + ((row % 8) * groups + group) * quantBytes, factor, lane: col & 31 };
  };
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < values.length; at += 32) {
    const { quants, factor } = placeOf(at);
    const { factors, lanes } = quantize(values.subarray(at, at + 32));
    factors.forEach((half, n) => view.setUint16(factor(n), half, true));
    bytes.set(lanes, quants);
  }
  const exact = (at) => {
    const { quants, factor, lane } = placeOf(at);
    const factors = Array.from({ length: nFactors }, (_, n) => fromF16(view.getUint16(factor(n), true)));
    return quantOf(bytes, quants, lane) * factors[0] + (factors[1] ?? 0);
  };
  return { bytes, exact };
}

const half = (v) => toF16(new Float32Array([v]))[0];
const NARROW = {
  i8: {
    quantBytes: 32,
    nFactors: 1,
    quantize: (group) => {
      const scale = half(Math.max(...group.map(Math.abs)) / 127) + 1;
      return { factors: [scale], lanes: Array.from(group, (v) => Math.round(v / fromF16(scale))) };
    },
    quantOf: (bytes, quants, lane) => (bytes[quants + lane] << 24) >> 24,
  },
  i4: {
    quantBytes: 16,
    nFactors: 2,
    quantize: (group) => {
      const factors = [half((Math.max(...group) - Math.min(...group)) / 15), half(Math.min(...group))];
      const [scale, least] = factors.map(fromF16);
      const quant = (v) => Math.min(Math.max(Math.round((v - least) / scale), 0), 15);
      return { factors, lanes: Array.from({ length: 16 }, (_, i) => quant(group[i]) | (quant(group[i + 16]) << 4)) };
    },
    quantOf: (bytes, quants, lane) => (bytes[quants + (lane & 15)] >> (lane < 16 ? 0 : 4)) & 15,
  },
};

function weight(kind, nRows, nCols) {
  const values = noise(nRows * nCols, 0.05);
  if (kind === 'f32') return { bytes: values, exact: (i) => values[i] };
  if (NARROW[kind]) return narrow(values, nCols, NARROW[kind]);
  const halves = toF16(values);
  return { bytes: halves, exact: (i) => fromF16(halves[i]) };
}

function erf(x) {
  // The series: exact enough where a sum of doubles is.
  let [term, sum] = [x, x];
  for (let n = 1; n < 200; n++) sum += (term *= -(x * x) / n) / (2 * n + 1);
  return (2 / Math.sqrt(Math.PI)) * sum;
}
const gelu = (x) => (Math.abs(x) > 5 ? Math.max(x, 0) : 0.5 * x * (1 + erf(x / Math.SQRT2)));

function linear(m, k, n, kind, { activation = 0, surrounded = false } = {}) {
  const [x, w] = [noise(m * k), weight(kind, n, k)];
  const [bias, residual] = [noise(n), surrounded ? noise(m * n) : null];
  return {
    name: `linear ${m}x${k}x${n} ${kind}${activation ? ' gelu' : ''}`,
    kernel: 'Linear',
    params: [k, n, activation, { f32: 1e-5 }],
    operands: [x, w.bytes, bias, residual, null, null, new Float32Array(m * n)],
    flops: 2 * m * k * n,
    bytes: m <= 4 ? w.bytes.byteLength : 0,
    expected: (at) => {
      const [row, col] = [Math.floor(at / n), at % n];
      let sum = bias[col];
      for (let i = 0; i < k; i++) sum += x[row * k + i] * w.exact(col * k + i);
      return (activation ? gelu(sum) : sum) + (residual?.[at] ?? 0);
    },
  };
}

function conv1d(t, c, n, stride) {
  const [x, w, bias, m] = [noise(t * c), weight('f16', n, 3 * c), noise(n), t / stride];
  return {
    name: `conv1d ${t}x${c}x${n} stride ${stride}`,
    kernel: 'Conv1d',
    params: [m, 3 * c, n, stride * c, c, 1],
    operands: [x, w.bytes, bias, null, new Float32Array(m * n)],
    flops: 6 * m * c * n,
    expected: (at) => {
      const [row, col] = [Math.floor(at / n), at % n];
      let sum = bias[col];
      for (let i = 0; i < 3 * c; i++) sum += (x[(row * stride - 1) * c + i] ?? 0) * w.exact(col * 3 * c + i);
      return gelu(sum);
    },
  };
}

function attention(t, heads, e) {
  const [d, qkv] = [heads * e, noise(t * 3 * heads * e)];
  return {
    name: `attention ${t}x${heads}x${e}`,
    kernel: 'Attention',
    params: [t, heads, e],
    operands: [qkv, null, new Float32Array(t * d)],
    flops: 4 * t * t * d,
    expected: (at) => {
      const [row, col, head] = [Math.floor(at / d), at % d, Math.floor((at % d) / e)];
      let [sum, weights] = [0, 0];
      for (let key = 0; key < t; key++) {
        let score = 0;
        for (let i = 0; i < e; i++) score += qkv[row * 3 * d + head * e + i] * qkv[key * 3 * d + d + head * e + i];
        const weight = Math.exp(score / Math.sqrt(e));
        weights += weight;
        sum += weight * qkv[key * 3 * d + 2 * d + col];
      }
      return sum / weights;
    },
  };
}

function logMel(frames, mels) {
  const [audio, table] = [noise(frames * 160 + 400, 0.1), new Float32Array(1200)];
  for (let i = 0; i < 400; i++) {
    const angle = (2 * Math.PI * i) / 400;
    [table[i], table[400 + i], table[800 + i]] = [0.5 - 0.5 * Math.cos(angle), Math.cos(angle), Math.sin(angle)];
  }
  const filters = Float32Array.from({ length: mels * 201 }, (_, at) => {
    const distance = (at % 201) - 2.5 * Math.floor(at / 201);
    return Math.max(0, 1 - Math.abs(distance) / 3);
  });
  const bands = Uint32Array.from({ length: 2 * mels }, (_, at) => {
    const filter = filters.subarray(201 * (at >> 1), 201 * ((at >> 1) + 1));
    return at % 2 ? filter.findLastIndex((w) => w !== 0) + 1 : Math.max(0, filter.findIndex((w) => w !== 0));
  });
  return {
    name: `log_mel ${frames}x${mels}`,
    kernel: 'LogMel',
    params: [mels],
    operands: [audio, table, filters, bands, new Float32Array(frames * mels)],
    flops: 0,
    expected: (at) => {
      const [frame, mel] = [Math.floor(at / mels), at % mels];
      let sum = 0;
      for (let bin = 0; bin < 201; bin++) {
        const filter = filters[mel * 201 + bin];
        if (filter === 0) continue;
        let [re, im] = [0, 0];
        for (let i = 0; i < 400; i++) {
          const v = audio[frame * 160 + i] * table[i];
          re += v * Math.cos((2 * Math.PI * bin * i) / 400);
          im += v * Math.sin((2 * Math.PI * bin * i) / 400);
        }
        sum += filter * (re * re + im * im);
      }
      return Math.log10(Math.max(sum, 1e-10));
    },
  };
}

function check({ name, expected }, result, tolerance) {
  for (let i = 0; i < 300; i++) {
    const at = i < 2 ? i * (result.length - 1) : Math.floor((i * result.length) / 300);
    const error = Math.abs(result[at] - expected(at));
    if (!(error <= tolerance)) throw new Error(`${name}: [${at}] is ${result[at]}, expected ${expected(at)}`);
  }
}

// Where other programs want the cores too, only runs of about a millisecond are ever left alone: so rows are few unless WHOLE is set.
const WHOLE = Boolean(process.env.WHOLE);
const ROWS = WHOLE ? 1500 : 240;
const CASES = [
  () => linear(ROWS, 384, 1152, 'f16'),
  () => linear(ROWS, 384, 384, 'f16', { surrounded: true }),
  () => linear(ROWS, 384, 1536, 'f16', { activation: 1 }),
  () => linear(ROWS, 1536, 384, 'f16', { surrounded: true }),
  () => conv1d(2 * ROWS, 80, 384, 1),
  () => conv1d(2 * ROWS, 384, 384, 2),
  () => (WHOLE ? attention(1500, 6, 64) : attention(504, 1, 64)),
  () => logMel(2 * ROWS, 80),
  () => linear(16, 384, 384, 'f16'),
  () => linear(4, 384, 384, 'f16'),
  () => linear(1, 384, 384, 'f16'),
  () => linear(1, 384, WHOLE ? 51864 : 8192, 'f32'),
  () => linear(1, 384, WHOLE ? 51864 : 8192, 'f16'),
  () => linear(1, 384, WHOLE ? 51864 : 8192, 'i8'),
  () => linear(1, 384, WHOLE ? 51864 : 8192, 'i4'),
  () => linear(ROWS, 384, 384, 'i8'),
  () => linear(ROWS, 384, 384, 'i4'),
];

const pad = (text, n) => String(text).padStart(n);
for (const [file, threads] of [['relaxed-threads', [2]], ['relaxed', [1]], ['simd-threads', [2]], ['simd', [1]]]) {
  const [relaxed, shared] = [file.startsWith('relaxed'), file.endsWith('threads')];
  const dist = process.env.KERNELS ?? new URL('../target/kernels/dist', here).pathname;
  const module = new WebAssembly.Module(readFileSync(`${dist}/${file}.wasm`));
  const peak = peakModule(relaxed);
  for (const nThreads of threads) {
    console.log(`\n${file}, ${nThreads} threads`);
    for (const make of CASES) {
      const work = make();
      if (!`${file} ${work.name}`.includes(process.argv[2] ?? '')) continue;
      const step = await prepare({ module, threads: shared }, nThreads, work);
      step.run();
      check(work, step.result, / i[48]/.test(work.name) ? 1e-3 : work.kernel === 'LogMel' ? 1e-4 : 3e-5);
      // Warm: V8 replaces its first translation in the background.
      const start = performance.now();
      while (performance.now() - start < 200) step.run();
      let [ms, gflops] = [Infinity, 0];
      for (let round = 0; round < ROUNDS; round++) {
        gflops = Math.max(gflops, gflopsOfPeak(peak));
        for (let i = 0; i < 10; i++) ms = Math.min(ms, msOf(() => step.run()));
      }
      await step.close();
      const speed = work.bytes ? `${pad((work.bytes / ms / 1e6).toFixed(1), 6)} GB/s  ` : `${pad((work.flops / ms / 1e6).toFixed(1), 6)} GFLOP/s`;
      const share = ((work.flops / ms / 1e6 / gflops / nThreads) * 100).toFixed(0);
      console.log(`${work.name.padEnd(32)} ${pad(ms.toFixed(3), 8)} ms ${speed}  ${pad(share, 3)} % of ${gflops.toFixed(1)}`);
    }
  }
}
process.exit(0);
