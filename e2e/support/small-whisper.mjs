// A checkpoint of Whisper's architecture with small random weights, always the same ones: safetensors, f16.
//
// Its decoder is made so that it always ends the text at once: a recording of one window takes a second, and no speech is
// found in it.

/**
 * The checkpoint for this `config.json`, which needs `timestamp_begin` beside its own entries. `change` may alter the
 * tensors (`{name: shape}`) before they are written.
 */
export function weights(config, change = (tensors) => tensors) {
  const tensors = change(shapes(config));
  const header = {};
  let end = 0;
  for (const [name, shape] of Object.entries(tensors)) {
    const begin = end;
    end += 2 * shape.reduce((product, size) => product * size, 1);
    header[name] = { dtype: 'F16', shape, data_offsets: [begin, end] };
  }
  const data = Buffer.alloc(end);
  const random = generator();
  for (const [name, { data_offsets: offsets }] of Object.entries(header)) {
    const value = fixed(name);
    for (let at = offsets[0]; at < offsets[1]; at += 2) data.writeUInt16LE(half(value ?? random()), at);
    if (name === 'model.decoder.embed_tokens.weight') loud(data, offsets[0], config);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

/**
 * The last row before the logits is all ones, so these tokens' logits are far above the others': the end of the text, and
 * the timestamp of the window's begin, which the rules want before it.
 */
function loud(data, table, { d_model: d, eos_token_id: end, timestamp_begin: begin }) {
  for (const [token, value] of [[end, 0.9], [begin, 0.5]]) {
    for (let i = 0; i < d; i++) data.writeUInt16LE(half(value), table + 2 * (token * d + i));
  }
}

/** What is not random: normalisations change nothing, and the decoder's last one forgets what comes in. */
function fixed(name) {
  if (name === 'model.decoder.layer_norm.weight') return 0;
  if (name === 'model.decoder.layer_norm.bias') return 1;
  return /norm\.weight$/.test(name) ? 1 : undefined;
}

function shapes(config) {
  const d = config.d_model;
  const all = {};
  const norm = (name) => Object.assign(all, { [`${name}.weight`]: [d], [`${name}.bias`]: [d] });
  const linear = (name, n, k) => Object.assign(all, { [`${name}.weight`]: [n, k], [`${name}.bias`]: [n] });
  const attention = (name) => {
    for (const part of ['q_proj', 'v_proj', 'out_proj']) linear(`${name}.${part}`, d, d);
    all[`${name}.k_proj.weight`] = [d, d];
    norm(`${name}_layer_norm`);
  };
  const layer = (name, ffn) => {
    linear(`${name}.fc1`, ffn, d);
    linear(`${name}.fc2`, d, ffn);
    norm(`${name}.final_layer_norm`);
    attention(`${name}.self_attn`);
  };
  const [encoder, decoder] = ['model.encoder', 'model.decoder'];
  all[`${encoder}.conv1.weight`] = [d, config.num_mel_bins, 3];
  all[`${encoder}.conv2.weight`] = [d, d, 3];
  Object.assign(all, { [`${encoder}.conv1.bias`]: [d], [`${encoder}.conv2.bias`]: [d] });
  all[`${encoder}.embed_positions.weight`] = [config.max_source_positions, d];
  for (let i = 0; i < config.encoder_layers; i++) layer(`${encoder}.layers.${i}`, config.encoder_ffn_dim);
  norm(`${encoder}.layer_norm`);
  all[`${decoder}.embed_tokens.weight`] = [config.vocab_size, d];
  all[`${decoder}.embed_positions.weight`] = [config.max_target_positions, d];
  for (let i = 0; i < config.decoder_layers; i++) {
    layer(`${decoder}.layers.${i}`, config.decoder_ffn_dim);
    attention(`${decoder}.layers.${i}.encoder_attn`);
  }
  norm(`${decoder}.layer_norm`);
  return all;
}

/** Numbers from -0.5 to 0.5 (Lehmer's generator with the constants of C++'s minstd_rand). */
function generator() {
  let state = 1;
  return () => (state = (state * 48271) % 2147483647) / 2147483647 - 0.5;
}

/** The bits of a number as f16; what is too small for a normal number becomes 0. */
function half(value) {
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  if (exponent < -14 || value === 0) return 0;
  const mantissa = Math.floor((Math.abs(value) / 2 ** exponent - 1) * 1024);
  return (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | mantissa;
}
