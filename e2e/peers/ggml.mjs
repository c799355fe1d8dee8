// A Whisper checkpoint as Hugging Face has it, written down the way whisper.cpp reads it (its "ggml" file): the same
// weights for both programs. The order of things is that of `whisper_model_load` in whisper.cpp.

import { readFileSync } from 'node:fs';
import path from 'node:path';

const MAGIC = 0x67676d6c;

/** How the matrices are kept, with ggml's number for a file of that kind and for a tensor. */
const KINDS = {
  f16: { file: 1, tensor: 1 },
  // Blocks of 32 weights with one scale. The thousands are the version of the layout.
  q8_0: { file: 2007, tensor: 8 },
};

/** The bytes of a ggml file from a model's folder; `precision` is `f16` or `q8_0`. */
export function ggml(folder, precision) {
  const read = (name) => readFileSync(path.join(folder, name));
  const config = JSON.parse(read('config.json'));
  const parts = [
    int32(
      MAGIC,
      config.vocab_size,
      config.max_source_positions,
      config.d_model,
      config.encoder_attention_heads,
      config.encoder_layers,
      config.max_target_positions,
      config.d_model,
      config.decoder_attention_heads,
      config.decoder_layers,
      config.num_mel_bins,
      KINDS[precision].file,
    ),
    melFilters(config.num_mel_bins),
    vocabulary(JSON.parse(read('tokenizer.json')), config.eos_token_id),
  ];
  for (const tensor of tensors(read('model.safetensors'))) {
    const name = nameOf(tensor.name);
    // The output matrix is the token table again.
    if (name) parts.push(...written(name, tensor, precision));
  }
  return Buffer.concat(parts);
}

const int32 = (...values) => Buffer.from(Int32Array.from(values).buffer);

/** The tensors of a safetensors file: `{name, shape, values: Float32Array}`. */
function* tensors(file) {
  const length = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, 8 + length));
  delete header.__metadata__;
  for (const [name, { dtype, shape, data_offsets: [begin, end] }] of Object.entries(header)) {
    const bytes = file.subarray(8 + length + begin, 8 + length + end);
    const { buffer } = Uint8Array.from(bytes);
    if (dtype === 'F32') yield { name, shape, values: new Float32Array(buffer) };
    else if (dtype === 'F16') yield { name, shape, values: map(new Uint16Array(buffer), Float32Array, widen) };
    else throw new Error(`${name} is ${dtype}: only F16 and F32 are read here`);
  }
}

/** OpenAI's name for a tensor of transformers' Whisper, as whisper.cpp uses it. */
function nameOf(name) {
  if (name === 'proj_out.weight') return undefined;
  return name
    .replace('model.', '')
    .replace('embed_positions.weight', 'positional_embedding')
    .replace('embed_tokens', 'token_embedding')
    .replace('layers.', 'blocks.')
    .replace('encoder_attn_layer_norm', 'cross_attn_ln')
    .replace('self_attn_layer_norm', 'attn_ln')
    .replace('final_layer_norm', 'mlp_ln')
    .replace('encoder.layer_norm', 'encoder.ln_post')
    .replace('decoder.layer_norm', 'decoder.ln')
    .replace('encoder_attn', 'cross_attn')
    .replace('self_attn', 'attn')
    .replace('q_proj', 'query')
    .replace('k_proj', 'key')
    .replace('v_proj', 'value')
    .replace('out_proj', 'out')
    .replace('fc1', 'mlp.0')
    .replace('fc2', 'mlp.2');
}

/** A tensor with its head: number of dimensions, length of the name, kind, dimensions (innermost first), name. */
function written(name, { shape, values }, precision) {
  // As whisper.cpp's own converters do it: vectors and positions stay f32, convolutions are not quantised.
  const isVector = shape.length === 1 || name.endsWith('positional_embedding');
  const kind = isVector ? undefined : name.includes('conv') ? 'f16' : precision;
  // A bias of a convolution is added to columns.
  const dimensions = /conv\d\.bias$/.test(name) ? [1, shape[0]] : shape.toReversed();
  const label = Buffer.from(name);
  const head = int32(dimensions.length, label.length, kind ? KINDS[kind].tensor : 0, ...dimensions);
  const data = { f16: halves, q8_0: blocks, undefined: (values) => Buffer.from(values.buffer) }[kind](values);
  return [head, label, data];
}

const halves = (values) => Buffer.from(map(values, Uint16Array, narrow).buffer);

/** `Type.from(values, change)`, ten times as fast. */
function map(values, Type, change) {
  const result = new Type(values.length);
  for (let i = 0; i < values.length; i++) result[i] = change(values[i]);
  return result;
}

/** Blocks of 32: a scale as f16, then the weights as whole numbers of it. */
function blocks(values) {
  const bytes = Buffer.alloc((values.length / 32) * 34);
  for (let block = 0; block < values.length / 32; block++) {
    const part = values.subarray(32 * block, 32 * block + 32);
    const scale = part.reduce((most, value) => Math.max(most, Math.abs(value)), 0) / 127;
    bytes.writeUInt16LE(narrow(scale), 34 * block);
    part.forEach((value, i) => bytes.writeInt8(scale === 0 ? 0 : Math.round(value / scale), 34 * block + 2 + i));
  }
  return bytes;
}

/** The bytes of every token that is text. What comes after them, the reader adds by itself. */
function vocabulary(tokenizer, end) {
  const tokens = Object.entries(tokenizer.model.vocab).filter(([, id]) => id < end);
  const bytes = byteOf();
  const parts = [int32(tokens.length)];
  for (const [letters] of tokens.sort(([, a], [, b]) => a - b)) {
    const text = Buffer.from([...letters].map((letter) => bytes.get(letter)));
    parts.push(int32(text.length), text);
  }
  return Buffer.concat(parts);
}

/** The byte that stands behind each letter of a byte-level vocabulary: printable ones are themselves, others follow 255. */
function byteOf() {
  const printable = (byte) => (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  let next = 256;
  return new Map(Array.from({ length: 256 }, (_, byte) => [String.fromCodePoint(printable(byte) ? byte : next++), byte]));
}

/** Triangles on Slaney's mel scale, each of area 1, over the 201 bins of a 400-point transform at 16 kHz. */
function melFilters(count) {
  const BINS = 201;
  const hertz = (mel) => (mel < 15 ? (mel * 200) / 3 : 1000 * Math.exp((mel - 15) * (Math.log(6.4) / 27)));
  const top = 15 + (27 * Math.log(8)) / Math.log(6.4);
  const corner = Array.from({ length: count + 2 }, (_, i) => hertz((top * i) / (count + 1)));
  const filters = new Float32Array(count * BINS);
  for (let mel = 0; mel < count; mel++) {
    const [left, peak, right] = corner.slice(mel, mel + 3);
    for (let bin = 0; bin < BINS; bin++) {
      const at = (bin * 8000) / (BINS - 1);
      const height = Math.max(0, Math.min((at - left) / (peak - left), (right - at) / (right - peak)));
      filters[mel * BINS + bin] = (height * 2) / (right - left);
    }
  }
  return Buffer.concat([int32(count, BINS), Buffer.from(filters.buffer)]);
}

// An f16 and an f32 lay out their bits alike, but for 13 digits of the fraction and the exponent's offset of 112.
const OFFSET = 2 ** 112;
const number = new Float32Array(1);
const bits = new Uint32Array(number.buffer);

/** The number behind the bits of an f16. */
function widen(half) {
  bits[0] = (half & 0x7fff) << 13;
  return (half & 0x8000 ? -OFFSET : OFFSET) * number[0];
}

/** The bits of the nearest f16. Weights are small: nothing here is beyond its range. */
function narrow(value) {
  number[0] = Math.abs(value) / OFFSET;
  return (value < 0 ? 0x8000 : 0) | ((bits[0] + 0x1000) >>> 13);
}
