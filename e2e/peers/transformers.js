// transformers.js as a contender: ONNX Runtime Web on its WASM or WebGPU build.

/** Gives a function that transcribes `samples` and gives the text. */
export async function load({ model, backend, precision, threads, language }) {
  const { pipeline, env } = await import('/packages/@huggingface/transformers/dist/transformers.js');
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/onnx/', useBrowserCache: false });
  env.backends.onnx.wasm.wasmPaths = '/packages/onnxruntime-web/dist/';
  env.backends.onnx.wasm.numThreads = threads;
  const [encoder, decoder = encoder] = precision.split('+');
  const dtype = { encoder_model: encoder, decoder_model_merged: decoder };
  const transcribe = await pipeline('automatic-speech-recognition', model, { device: backend, dtype });
  // An English model refuses to be told its language.
  const options = model.endsWith('.en') ? {} : { language, task: 'transcribe' };
  // Without chunks it reads the first 30 s only.
  const chunks = (samples) => (samples.length > 30 * 16_000 ? { chunk_length_s: 30 } : {});
  return async (samples) => (await transcribe(samples, { ...options, ...chunks(samples) })).text;
}
