// Who runs against whom: every program that can transcribe on a backend, in the precisions that it offers there.

/** The packages that bring the peers, with the versions that are measured. */
export const PACKAGES = { '@huggingface/transformers': '4.3.1', '@transcribe/shout': '1.0.7' };

/** Each program: the page that it runs in, the module that loads it there, and its precisions by backend. */
const PROGRAMS = {
  rill: {
    address: '/rill/',
    module: '/peers/rill.js',
    precisions: { wasm: ['f32'], webgpu: ['f32'] },
  },
  'transformers.js': {
    address: '/peers/page.html',
    module: '/peers/transformers.js',
    precisions: { wasm: ['fp32', 'q8'], webgpu: ['fp32', 'fp32+q4'] },
  },
  'whisper.cpp': {
    address: '/peers/page.html',
    module: '/peers/whisper-cpp.js',
    precisions: { wasm: ['f16', 'q8_0'] },
  },
};

/** What transformers.js calls a file of that precision; `fp32+q4` is an encoder of the one with a decoder of the other. */
const SUFFIX = { fp32: '', fp16: '_fp16', q8: '_quantized', q4: '_q4' };

/**
 * The contenders on a backend, Rill first. `chosen` (`rill:f16`, `whisper.cpp:f16`) takes the place of the usual ones.
 */
export function contenders(backend, chosen) {
  const all = Object.entries(PROGRAMS).flatMap(([program, { precisions }]) =>
    (precisions[backend] ?? []).map((precision) => `${program}:${precision}`),
  );
  return (chosen ?? all).map((name) => {
    const [program, precision] = name.split(':');
    if (!PROGRAMS[program]?.precisions[backend] || !precision) {
      throw new Error(`${name} is no contender on ${backend}; the usual ones are ${all.join(', ')}`);
    }
    return { name: `${program} ${precision}`, program, precision, backend, ...PROGRAMS[program] };
  });
}

/** The files of a model that a contender needs from the folder of the peers' models. */
export function filesOf({ program, precision }, model) {
  if (program !== 'transformers.js') return [];
  const configurations = ['config', 'generation_config', 'preprocessor_config', 'tokenizer', 'tokenizer_config'];
  const [encoder, decoder = encoder] = precision.split('+');
  const networks = [`onnx/encoder_model${SUFFIX[encoder]}.onnx`, `onnx/decoder_model_merged${SUFFIX[decoder]}.onnx`];
  return [...configurations.map((name) => `${name}.json`), ...networks].map((name) => `${model}/${name}`);
}
