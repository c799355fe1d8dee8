// Rill as a contender, through `window.rill` of its own page.

/** Gives a function that transcribes `samples` and gives the text. */
export async function load({ model, backend, precision, threads, language }) {
  const rill = await window.rill.ready;
  const pipeline = await rill.load(model, { backend, precision, threads });
  if (pipeline.info.backend !== backend) throw new Error(`got ${pipeline.info.backend}: ${pipeline.info.reason}`);
  // Without times, as the others are asked to: the same number of tokens for all.
  const options = { language, timestamps: false, temperatures: [0] };
  return async (samples) => (await pipeline.run({ audio: samples }, options)).text;
}
