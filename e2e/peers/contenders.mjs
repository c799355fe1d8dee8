// Who runs against whom: every program that can do a task on a backend, in the precisions that it offers there.

/** The packages that bring the peers, with the versions that are measured. */
export const PACKAGES = { '@huggingface/transformers': '4.3.1', '@transcribe/shout': '1.0.7' };

/** Each program: the page that it runs in, and the module that loads it there. */
const PROGRAMS = {
  rill: { address: '/rill/', module: '/peers/rill.js' },
  'transformers.js': { address: '/peers/page.html', module: '/peers/transformers.js' },
  'whisper.cpp': { address: '/peers/page.html', module: '/peers/whisper-cpp.js' },
};

/** Who runs unless others are chosen, by task and backend; Rill first, as the others are measured by it. */
const USUAL = {
  speech: {
    wasm: ['rill:f32', 'transformers.js:fp32', 'transformers.js:q8', 'whisper.cpp:f16', 'whisper.cpp:q8_0'],
    webgpu: ['rill:f32', 'transformers.js:fp32', 'transformers.js:fp32+q4'],
  },
  other: {
    wasm: ['rill:f32', 'transformers.js:fp32', 'transformers.js:q8'],
    webgpu: ['rill:f32', 'rill:f16', 'transformers.js:fp32', 'transformers.js:fp16'],
  },
};

/** Rill against itself: what each precision costs and saves. */
export const PRECISIONS = ['rill:f32', 'rill:f16', 'rill:int8', 'rill:int4'];

/** What transformers.js calls a file of that precision; `fp32+q4` is an encoder of the one with a decoder of the other. */
const SUFFIX = { fp32: '', fp16: '_fp16', q8: '_quantized', q4: '_q4' };

/** The contenders of a task on a backend. `chosen` (`rill:f16`, `whisper.cpp:f16`) takes the place of the usual ones. */
export function contenders(task, backend, chosen) {
  const usual = (USUAL[task] ?? USUAL.other)[backend];
  if (!usual) throw new Error(`${backend} is no backend that peers have: wasm or webgpu`);
  return (chosen ?? usual).map((name) => {
    const [program, precision] = name.split(':');
    // What a program can do is what it usually does.
    const able = program === 'rill' || usual.some((other) => other.startsWith(`${program}:`));
    if (!able || !precision) {
      throw new Error(`${name} is no contender for ${task} on ${backend}; the usual ones are ${usual.join(', ')}`);
    }
    return { name: `${program} ${precision}`, program, precision, backend, ...PROGRAMS[program] };
  });
}

/** The files of a model that a contender needs for a task from the folder of the peers' models. */
export function filesOf({ program, precision }, task, model) {
  if (program !== 'transformers.js') return [];
  const [first, second = first] = precision.split('+');
  const sequence = { encoder_model: first, decoder_model_merged: second };
  const tokenizer = ['tokenizer', 'tokenizer_config'];
  const [configurations, networks] = {
    speech: [['generation_config', 'preprocessor_config', ...tokenizer], sequence],
    embed: [tokenizer, { model: first }],
    classify: [['preprocessor_config'], { model: first }],
    match: [['preprocessor_config', ...tokenizer], { text_model: first, vision_model: first }],
    generate: [['generation_config', ...tokenizer], sequence],
  }[task];
  return [
    ...['config', ...configurations].map((name) => `${model}/${name}.json`),
    ...Object.entries(networks).map(([name, precision]) => `${model}/onnx/${name}${SUFFIX[precision]}.onnx`),
  ];
}
