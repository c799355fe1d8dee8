// transformers.js as a contender: ONNX Runtime Web on its WASM or WebGPU build. Inputs are put together in batches as its
// pipelines do it, in the order in which they come.

/** The tasks but speech are put together from the library's parts, as its pipelines are, so that the model can be timed. */
const RUNS = { speech, embed, classify, match, generate };

/** Gives `run(batch)`, which gives `{output}`, and `model_ms`, how much of the time was the model's own. */
export async function load(job, inputs) {
  const library = await import('/packages/@huggingface/transformers/dist/transformers.js');
  const { env } = library;
  Object.assign(env, { allowRemoteModels: false, allowLocalModels: true, localModelPath: '/onnx/', useBrowserCache: false });
  env.backends.onnx.wasm.wasmPaths = '/packages/onnxruntime-web/dist/';
  env.backends.onnx.wasm.numThreads = job.threads;
  const [first, second = first] = job.precision.split('+');
  const options = { device: job.backend, dtype: first };
  if (second !== first) options.dtype = { encoder_model: first, decoder_model_merged: second };
  return { run: await RUNS[job.task](library, job, options, inputs), about: job.backend === 'webgpu' ? await gpu() : {} };
}

/** What the browser says of the GPU that it gives to whoever asks. */
async function gpu() {
  const { vendor, architecture, description } = (await navigator.gpu.requestAdapter()).info;
  return { adapter: [vendor, architecture, description].filter(Boolean).join(' ') };
}

async function speech({ pipeline }, { model, language }, options, { samples }) {
  const transcribe = await pipeline('automatic-speech-recognition', model, options);
  // An English model refuses to be told its language.
  const asked = model.endsWith('.en') ? {} : { language, task: 'transcribe' };
  // Without chunks it reads the first 30 s only.
  const chunks = samples.length > 30 * 16_000 ? { chunk_length_s: 30 } : {};
  return async () => ({ output: (await transcribe(samples.slice(), { ...asked, ...chunks })).text });
}

async function embed({ AutoTokenizer, AutoModel, mean_pooling }, { model: id }, options, { texts }) {
  const [tokenizer, model] = [await AutoTokenizer.from_pretrained(id), await AutoModel.from_pretrained(id, options)];
  return (batch) =>
    inBatches(texts, batch, async (texts, timed) => {
      const tokens = tokenizer(texts, { padding: true, truncation: true });
      const { last_hidden_state } = await timed(() => model(tokens));
      return mean_pooling(last_hidden_state, tokens.attention_mask).normalize(2, -1).tolist();
    });
}

async function classify(library, { model: id }, options, { images }) {
  const { AutoModel, AutoModelForImageClassification, AutoProcessor, softmax } = library;
  const { architectures } = await (await fetch(`/onnx/${id}/config.json`)).json();
  const hasLabels = architectures[0].endsWith('ForImageClassification');
  const model = await (hasLabels ? AutoModelForImageClassification : AutoModel).from_pretrained(id, options);
  const processor = await AutoProcessor.from_pretrained(id);
  return (batch) =>
    inBatches(images, batch, async (files, timed) => {
      const pixels = await processor(await decoded(library, files));
      const { logits, last_hidden_state } = await timed(() => model(pixels));
      // The class token is the first.
      if (!hasLabels) return last_hidden_state.slice(null, 0).tolist();
      return logits.tolist().map((row) => {
        const scores = softmax(row);
        const best = scores.indexOf(Math.max(...scores));
        return { label: model.config.id2label[best], score: scores[best] };
      });
    });
}

async function match(library, { model: id }, options, { images, texts }) {
  const { AutoTokenizer, AutoProcessor, CLIPTextModelWithProjection, CLIPVisionModelWithProjection } = library;
  const tokenizer = await AutoTokenizer.from_pretrained(id);
  const processor = await AutoProcessor.from_pretrained(id);
  const textTower = await CLIPTextModelWithProjection.from_pretrained(id, options);
  const imageTower = await CLIPVisionModelWithProjection.from_pretrained(id, options);
  return async (batch) => {
    // Its pipeline for this would run the texts again with each batch of pictures.
    const text = await inBatches(texts, texts.length, async (texts, timed) => {
      const tokens = tokenizer(texts, { padding: true, truncation: true });
      return (await timed(() => textTower(tokens))).text_embeds.normalize(2, -1).tolist();
    });
    const image = await inBatches(images, batch, async (files, timed) => {
      const pixels = await processor(await decoded(library, files));
      return (await timed(() => imageTower(pixels))).image_embeds.normalize(2, -1).tolist();
    });
    return { output: { images: image.output, texts: text.output }, model_ms: text.model_ms + image.model_ms };
  };
}

async function generate({ AutoTokenizer, AutoModelForSeq2SeqLM }, { model: id }, options, { texts, max_tokens }) {
  const tokenizer = await AutoTokenizer.from_pretrained(id);
  const model = await AutoModelForSeq2SeqLM.from_pretrained(id, options);
  return () =>
    inBatches(texts, 1, async (texts, timed) => {
      const tokens = tokenizer(texts, { padding: true, truncation: true });
      const ids = await timed(() => model.generate({ ...tokens, max_new_tokens: max_tokens, do_sample: false, num_beams: 1 }));
      const [text] = tokenizer.batch_decode(ids, { skip_special_tokens: true });
      // The first id only starts the text.
      return [{ text, n_tokens: ids.dims[1] - 1 }];
    });
}

const decoded = ({ RawImage }, files) => Promise.all(files.map((file) => RawImage.fromBlob(file)));

/** `step` on so many inputs at once: all results, and how long the model itself took. */
async function inBatches(inputs, batch, step) {
  const result = { output: [], model_ms: 0 };
  const timed = async (model) => {
    const start = performance.now();
    const output = await model();
    result.model_ms += performance.now() - start;
    return output;
  };
  for (let at = 0; at < inputs.length; at += batch) result.output.push(...(await step(inputs.slice(at, at + batch), timed)));
  return result;
}
