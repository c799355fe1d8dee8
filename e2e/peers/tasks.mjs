// What the contenders are asked: for each task the models, the inputs, what is counted, and when two results agree.

import { prompts, texts } from './words.mjs';
import { pictures } from './pictures.mjs';

/** Lower case, no punctuation: what counts of a transcript. */
const words = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}' ]+/gu, ' ').trim().replace(/\s+/g, ' ');

const BATCHES = [1, 8, 32];

/**
 * Each task:
 * - `models`, and the `batches` that inputs are put together in; where that is one, `--batches` counts only if the task is asked for alone:
 *   the pieces of a long recording (`--clip`), or texts, that are decoded at once;
 * - `inputs(n)`: the first `n` of them, as `inputs.js` hands them to the contenders in the page;
 * - `unit`, and `count(output, inputs)`: how many of it a run has done;
 * - `agreement(output, rill)`: how near a result is to Rill's, in words and figures.
 *
 * Results are what the contenders' modules say: a transcript; vectors; labels; vectors of pictures and texts; texts.
 */
export const TASKS = {
  speech: {
    models: ['whisper-tiny.en', 'whisper-base'],
    batches: [1],
    inputs: () => ({ clip: '/clip' }),
    unit: 's of audio',
    count: (_, { audio_s }) => audio_s,
    agreement: (text, rill) => {
      const same = text === rill ? 'yes' : words(text) === words(rill) ? 'but for punctuation' : 'no';
      return { words: `same text: ${same}`, same };
    },
  },
  embed: {
    models: ['all-MiniLM-L6-v2'],
    batches: BATCHES,
    inputs: (n) => ({ texts: texts.slice(0, n) }),
    unit: 'texts',
    count: (_, { texts }) => texts.length,
    agreement: nearness,
  },
  classify: {
    models: ['vit-small-dinov2-224'],
    batches: BATCHES,
    inputs: (n) => ({ pictures: addresses(n) }),
    unit: 'pictures',
    count: (_, { pictures }) => pictures.length,
    agreement: (output, rill) => (output[0].label === undefined ? nearness(output, rill) : sameLabels(output, rill)),
  },
  match: {
    models: ['clip-emoji'],
    batches: BATCHES,
    inputs: (n) => ({ pictures: addresses(n), texts: pictures().map(({ name }) => name) }),
    unit: 'pictures',
    count: (_, { pictures }) => pictures.length,
    agreement: (output, rill) => {
      const best = ({ images, texts }) => images.map((image) => ({ label: bestOf(texts.map((text) => dot(image, text))) }));
      const vectors = ({ images, texts }) => [...images, ...texts];
      const labels = sameLabels(best(output), best(rill));
      const near = nearness(vectors(output), vectors(rill));
      return { ...labels, ...near, words: `${labels.words}, ${near.words}` };
    },
  },
  generate: {
    models: ['t5-numbers'],
    // One at a time, as someone who waits for the words asks.
    batches: [1],
    inputs: (n) => ({ texts: prompts.slice(0, n), max_tokens: 32 }),
    unit: 'tokens',
    count: (outputs) => outputs.reduce((sum, { n_tokens }) => sum + n_tokens, 0),
    agreement: (outputs, rill) => {
      const same = outputs.filter(({ text }, i) => text === rill[i].text).length;
      return { words: `${same} of ${outputs.length} texts the same`, same_texts: same, of: outputs.length };
    },
  },
};

const addresses = (n) => pictures().slice(0, n).map((_, i) => `/pictures/${i}.png`);

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

const bestOf = (scores) => scores.indexOf(Math.max(...scores));

/** The worst cosine of two lists of vectors. */
function nearness(output, rill) {
  const cosine = (a, b) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const worst = Math.min(...output.map((vector, i) => cosine(vector, rill[i])));
  return { words: `cosine ${worst.toFixed(5)} at worst`, worst_cosine: worst };
}

/** How often the most probable label is the same. */
function sameLabels(output, rill) {
  const same = output.filter(({ label }, i) => label === rill[i].label).length;
  return { words: `${same} of ${output.length} labels the same`, same_labels: same, of: output.length };
}
