// Rill as a contender, through `window.rill` of its own page.

/** What each task asks of a loaded model: `(inputs, pipeline, job) => (batch) => output`. */
const RUNS = {
  speech:
    ({ samples }, pipeline, { language }) =>
    // Without times, as the others are asked to: the same number of tokens for all.
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
    async () => {
      const outputs = [];
      for (const text of texts) {
        const { text: words, tokens, finish } = await pipeline.run({ text }, { maxTokens: max_tokens, temperature: 0 });
        // The end is a token that was computed like the others.
        outputs.push({ text: words, n_tokens: tokens.length + (finish === 'end-of-text' ? 1 : 0) });
      }
      return outputs;
    },
};

/** Gives `run(batch)`, which gives `{output}`, and what the page says of the model. */
export async function load(job, inputs) {
  const { task, model, backend, precision, threads } = job;
  while (!window.rill) await new Promise((later) => setTimeout(later, 20));
  const rill = await window.rill.ready;
  // What the page does not list is loaded by its address.
  const listed = (await rill.models()).some(({ id }) => id === model);
  const id = listed ? model : new URL(`models/${model}/`, location.href).href;
  const pipeline = await rill.load(id, { backend, precision, threads });
  const { info } = pipeline;
  if (info.backend !== backend || info.precision !== precision) {
    throw new Error(`runs on ${info.backend} in ${info.precision}: ${info.reason}`);
  }
  const { adapter, memory_bytes } = info;
  const work = RUNS[task](inputs, pipeline, job);
  return { run: async (batch) => ({ output: await work(batch) }), about: { adapter, memory_bytes } };
}
