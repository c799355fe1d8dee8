// Rill as a contender, through `window.rill` of its own page.

/** What each task asks of a loaded model: `(inputs, pipeline, job) => (batch) => output`. */
const RUNS = {
  speech:
    ({ samples }, pipeline, { language }) =>
    // Without times, as the others are asked to: the same number of tokens for all. Over 30 s there are always times.
    async () => (await pipeline.run({ audio: samples.slice() }, { language, timestamps: false, temperatures: [0] })).text,
  embed:
    ({ texts }, pipeline) =>
    async (batchSize) => (await pipeline.run({ texts }, { batchSize })).embeddings,
  classify:
    ({ images }, pipeline) =>
    async (batchSize) => {
      if (pipeline.info.model.task === 'image-features') return (await pipeline.run({ images }, { batchSize })).embeddings;
      const { labels } = await pipeline.run({ images }, { batchSize, topK: 1 });
      return labels.map(([best]) => best);
    },
  match:
    ({ images, texts }, pipeline) =>
    async (batchSize) => {
      const result = await pipeline.run({ images, texts }, { batchSize });
      return { images: result.imageEmbeddings, texts: result.textEmbeddings };
    },
  generate:
    ({ texts, max_tokens }, pipeline) =>
    async (batch) => {
      const options = { maxTokens: max_tokens, temperature: 0 };
      const answers = [];
      if (batch > 1) answers.push(...(await pipeline.run({ texts }, options)).outputs);
      else for (const text of texts) answers.push(await pipeline.run({ text }, options));
      // The end is a token that was computed like the others.
      return answers.map(({ text, tokens, finish }) => ({ text, n_tokens: tokens.length + (finish === 'end-of-text' ? 1 : 0) }));
    },
};

/** Tasks whose models are loaded for so many inputs at once; the others are told with each run. */
const LOADED_FOR_A_BATCH = ['speech', 'generate'];

/** Gives `run(batch)`, which gives `{output}`, `trace()`, which tells where the time goes on a GPU, and what the page says of the model. */
export async function load(job, inputs) {
  const { task, model, backend, precision, threads } = job;
  while (!window.rill) await new Promise((later) => setTimeout(later, 20));
  const rill = await window.rill.ready;
  // What the page does not list is loaded by its address.
  const listed = (await rill.models()).some(({ id }) => id === model);
  const id = listed ? model : new URL(`models/${model}/`, location.href).href;
  const open = (batchSize) => rill.load(id, { backend, precision, threads, batchSize });
  let pipeline = await open(1);
  const { info } = pipeline;
  if (info.backend !== backend || info.precision !== precision) {
    throw new Error(`runs on ${info.backend} in ${info.precision}: ${info.reason}`);
  }
  const { adapter, memory_bytes } = info;
  const run = async (batch) => {
    // The first run with a batch size, which is not timed, loads the model for it.
    if (LOADED_FOR_A_BATCH.includes(task) && pipeline.info.batch_size !== batch) {
      await pipeline.dispose();
      pipeline = await open(batch);
    }
    return { output: await RUNS[task](inputs, pipeline, job)(batch) };
  };
  return { run, trace: () => pipeline.trace(), about: { adapter, memory_bytes } };
}
