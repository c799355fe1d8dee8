// `window.rill`: the models of this page for programs. The panels use the same path.
//
//   const rill = window.rill ?? (await new Promise((ok) => addEventListener('rill-ready', (e) => ok(e.detail), { once: true })));
//   const p = await rill.load('whisper-tiny.en', { onProgress: (at) => console.log(at.phase) });
//   const { text } = await p.run({ audio: file });
//   await p.dispose();
//
// Every method returns a promise. It rejects with
//   - a `TypeError` for a wrong argument, with words that say what is expected;
//   - the signal's reason (an `AbortError` unless the program gave another) where `signal` was aborted;
//   - a `RillError` for everything else.
// Names in results are the engine's own (`audio_s`), names of options are JavaScript's (`maxTokens`).

export {};

declare global {
  interface Window {
    /** Present once the page's program has started; the window then gets a `rill-ready` event. */
    rill: Rill;
  }
  interface WindowEventMap {
    'rill-ready': CustomEvent<Rill>;
  }
}

export interface Rill {
  /** Resolves when the engine listens. Calls made earlier wait for it by themselves. */
  readonly ready: Promise<Rill>;
  /** The models that can be loaded. */
  models(): Promise<Model[]>;
  /** Every backend in the order of the ladder, each tried with a checked computation, with all its features. */
  backends(): Promise<BackendReport[]>;
  /** Try one feature, with a real dispatch or call whose result is checked. */
  testFeatureSupport(name: FeatureName): Promise<FeatureReport>;
  /**
   * Whether a backend that fails gives way to the next one, at load and in the middle of work (the default), or its failure
   * rejects. With false, a precision that the adapter lacks rejects too. It holds for the whole page, its panels included.
   */
  enableFeatureFallbacks(enabled: boolean): Promise<void>;
  /** Forget what was measured to choose backends: the next load with `auto` measures again. */
  forgetMeasurements(): Promise<void>;
  /** What the engine holds in memory now, whatever is under way. */
  memory(): Promise<MemoryReport>;
  /**
   * What the GPU can do at best, measured on it: takes a few seconds, and loaded models rest meanwhile. Once measured it is told again at once.
   * Rejects where there is no WebGPU.
   */
  roofline(): Promise<Roofline>;
  /** What the tuner found on this GPU (`LoadOptions.tune`), for this browser and this version of Rill. */
  tuning(): Promise<Tuning>;
  /** Throw that away. Models that are loaded keep their kernels. */
  forgetTuning(): Promise<Tuning>;
  /**
   * The shader pipelines of this GPU: those made in this visit, and those listed for models that were loaded here before, after `forget` (default
   * false) has thrown that list away. Browsers keep compiled programs themselves and offer no way to store them: what is kept are the list and
   * the times.
   */
  pipelines(options?: { forget?: boolean }): Promise<PipelineManifest>;
  /**
   * Make listed pipelines now, so that the next load finds them made: `essential` (default), `all`, or those of one op by its name. Resolves with
   * what `pipelines()` tells then.
   */
  precompile(options?: {
    which?: 'essential' | 'all' | (string & {});
    onProgress?: (progress: { done: number; total: number }) => void;
    signal?: AbortSignal;
  }): Promise<PipelineManifest>;
  /** Whether everything that the shader compiler says of pipelines is noted from now on (default false); see `pipelines()`. */
  logCompilation(on: boolean): Promise<void>;
  /** Watches what is loaded and run between a start and a stop. */
  readonly monitor: Monitor;
  /**
   * Runs the page's benchmark: by default its short form, the default model in f32 on each backend. What fails costs its entry alone. Resolves
   * with what the page saves as JSON and compares; programs' results are not kept in the browser.
   */
  benchmark(options?: BenchmarkOptions): Promise<BenchmarkRun>;
  /**
   * What helps to find a fault, as the text of a file: a page that opens without a network (`html`, the default) or JSON. Browser, adapters,
   * probes, loaded models, what was measured and what went wrong since the page was opened; nothing that was said or typed. With `words`
   * (default false) also the words of refusals, which can quote what was typed or name a file. Takes as long as the probes of backends.
   */
  exportDebugReport(options?: { format?: 'html' | 'json'; words?: boolean }): Promise<string>;
  /**
   * Load a model: one of `models()` by its id, any repository of a known architecture on the model hub as `owner/name`,
   * `owner/name@revision` (a branch, a tag, a commit, `refs/pr/7`) or the address of its page, or the address of a folder with its files. Progress is that of the page's own loader.
   */
  load(id: string, options?: LoadOptions): Promise<Pipeline>;
}

export interface LoadOptions {
  /** Default `auto`: the one that a piece of the model runs fastest on, measured once and remembered; see `info.measured`. */
  backend?: 'auto' | Backend;
  /** Default `f32`. `f16` is given only where the adapter has it, `int8` and `int4` on WebGPU and WASM; see `info.precision`. */
  precision?: Precision;
  /** Folder that holds the model folders, relative to the page. Default: the app's own `models/`, then the model hub. */
  baseUrl?: string;
  /**
   * The model's own files (`config.json`, `model.safetensors`, ...), picked or dropped: nothing is fetched, `id` is only its name.
   * Files of a folder inside (`1_Pooling/config.json`) are known by their paths: by `webkitRelativePath` where a folder was picked, otherwise
   * as an object `{ 'config.json': file, '1_Pooling/config.json': file }`. The paths may begin with the model's own folder.
   */
  files?: File[] | Record<string, Blob>;
  /** Bytes fetched with one request. Default 4 MiB; what is less than 64 KiB or more than 16 MiB is taken as these. */
  chunkBytes?: number;
  /** Threads on the WASM backend. Default: one on each of the processor's cores, at most eight. */
  threads?: number;
  /**
   * How memory is spent. 0: every intermediate tensor has a buffer of its own; 1 (default): they share; 2: weights are
   * quantised too; 3: weights pass through a small window, so that a model larger than the budget runs, slowly.
   */
  memoryLevel?: 0 | 1 | 2 | 3;
  /**
   * How far a GPU's kernels go; all levels compute the same. 0: plain; 1: tiled; 2: sums across subgroups too; 3 (default): the versions that
   * the tuner found to be the fastest on this GPU.
   */
  kernelLevel?: 0 | 1 | 2 | 3;
  /** Try the versions of the model's kernels on this GPU first, those that were not tried before: some seconds, once. Default false. */
  tune?: boolean;
  /** Most MB that the model may take on its device; a higher `memoryLevel` is taken where that is needed to keep to it. */
  memoryBudgetMb?: number;
  /** Byte ranges received at once. Default 3; at most 6, and as many as are 32 MiB together. */
  parallelComponents?: number;
  /**
   * How many inputs a model that decodes takes at once, 1 (default) to 32: the pieces of a recording over 30 s (`AudioOptions`), or `texts` of
   * a `text-to-text` model, which come out as one by one. Each costs memory for its keys and values; `info.batch_size` says what was given:
   * 1 on WebNN. Other models take the `batchSize` of each run.
   */
  batchSize?: number;
  onProgress?: (progress: LoadProgress) => void;
  /**
   * Gets the pipeline while the rest of its model still arrives, where a part can be used by itself (CLIP's texts): runs that need the
   * rest wait for it. The load resolves with another object of the same pipeline.
   */
  onUsable?: (pipeline: Pipeline) => void;
  signal?: AbortSignal;
}

/** A loaded model. It holds GPU memory until it is disposed of. */
export interface Pipeline {
  /** The model's id. */
  readonly model: string;
  /** What was loaded, on what, and why there. Changes where a backend failed and another one took over. */
  readonly info: PipelineInfo;
  /** Speech models: a recording of any length becomes text. */
  run(input: AudioInput, options?: AudioOptions): Promise<Transcript>;
  /**
   * Sentence models (`text-embedding`), and the texts of `image-text`: texts become vectors. They have length 1, so that their dot product
   * is their similarity, unless the repository's `modules.json` lists no `Normalize`: then they are as long as the model makes them.
   */
  run(input: TextInput, options?: BatchOptions & { output?: 'embeddings' }): Promise<Embeddings>;
  /** `text-embedding` and `fill-mask`: the encoder's last hidden state for each token. */
  run(input: TextInput, options: BatchOptions & { output: 'hidden' }): Promise<HiddenStates>;
  /** Models that fill gaps (`fill-mask`): the text holds `info.mask_token` once or more. */
  run(input: { text: string }, options?: MaskOptions): Promise<{ candidates: Candidate[] }>;
  run(input: { texts: string[] }, options?: MaskOptions): Promise<{ candidates: Candidate[][] }>;
  /** `text-to-text`. */
  run(input: { text: string }, options?: GenerateOptions): Promise<Generation & { timings: GenerateTimings }>;
  run(input: { texts: string[] }, options?: GenerateOptions): Promise<{ outputs: Generation[]; timings: GenerateTimings }>;
  /**
   * `image-classification`: the most probable labels first. Pictures may be of any size and in any format that the browser decodes; those
   * over 4096 pixels a side are first made smaller. Opacity is not looked at; where a picture is wholly transparent, it is black.
   */
  run(input: { image: Blob }, options?: LabelOptions): Promise<{ labels: Label[] }>;
  run(input: { images: Blob[] }, options?: LabelOptions): Promise<{ labels: Label[][] }>;
  /** `image-features`, and the pictures of `image-text`. */
  run(input: { image: Blob } | { images: Blob[] }, options?: BatchOptions): Promise<Embeddings>;
  /** `image-text`: how well each text fits each picture. */
  run(input: { images: Blob[]; texts: string[] }, options?: BatchOptions): Promise<Matches>;
  /**
   * What a narrower precision costs: answers to built-in samples beside those of the same model in f32, which is loaded for it on the
   * same backend. Rejects for a model that is in f32.
   */
  quality(options?: { onProgress?: (progress: LoadProgress) => void; signal?: AbortSignal }): Promise<QualityReport>;
  /**
   * Where its time goes on WebGPU: each stage and each of its dispatches, timed one by one beside what the GPU can do. The model is afterwards
   * what it was before. Rejects on other backends, and at memory level 3. `onProgress` gets the share that is done, 0 to 1.
   */
  trace(options?: { onProgress?: (share: number) => void; signal?: AbortSignal }): Promise<PipelineTrace>;
  /** The graphs of its stages and their nodes, on WebGPU and WASM. Rejects on WebNN, and at memory level 3. */
  nodes(): Promise<GraphNodes[]>;
  /**
   * Runs a graph node by node and holds what the device computes against each node's plain definition, given the same inputs: what the model computed
   * last, zeros before its first run. The model is afterwards what it was before. `nodes` are numbers, all where there are none. Rejects for a graph or
   * node that is not there. `onProgress` gets the share that is done, 0 to 1.
   */
  inspect(options: {
    graph: string;
    nodes?: number[];
    onProgress?: (share: number) => void;
    signal?: AbortSignal;
  }): Promise<Inspection>;
  /** What it holds in its backend's memory now. Rejects once it was disposed of. */
  memory(): Promise<MemoryBytes>;
  /** What was loaded and what it has done so far. */
  report(): PipelineReport;
  /** Free the model and its memory. A run after that rejects; a second call does nothing. */
  dispose(): Promise<void>;
}

export interface AudioInput {
  /** A file in any format that the browser decodes, or samples at 16 kHz, mono, -1 to 1. At least 0.2 s. */
  audio: Blob | Float32Array;
}

/**
 * A recording of up to 30 s, or a model loaded with `batchSize` 1: windows follow each other by the model's timestamps, each conditioned on the text
 * before it. A longer one with a larger `batchSize` is cut at its pauses into pieces of at most 30 s, of which so many are decoded together; the
 * `prompt` is given to each, the text before a piece is not, and the language is that of the first with speech. A piece whose text repeats itself or
 * is improbable is decoded again, alone, at the next temperatures. Live recordings are followed window by window.
 */
export interface AudioOptions {
  /** Language code (`en`, `de`, ...). Default: detected, where the model knows more than one. */
  language?: string;
  /** Default `transcribe`. `translate` gives English. */
  task?: 'transcribe' | 'translate';
  /** Default true. */
  timestamps?: boolean;
  /** Most tokens for one 30 s window. */
  maxTokens?: number;
  /** Text that the speech is about or follows, for spelling and style. */
  prompt?: string;
  /**
   * Sampling temperatures, tried in turn until the text neither repeats itself nor is improbable. Default: 0, 0.2, 0.4, 0.6,
   * 0.8, 1, as the reference has them. `[0]` is greedy decoding alone.
   */
  temperatures?: number[];
  /** Hears the text of the window in hand, or of the pieces in hand, each time that tokens were added. */
  onToken?: (step: { text: string; new_tokens: number[] }) => void;
  signal?: AbortSignal;
}

export type TextInput = { text: string } | { texts: string[] };

export interface Embeddings {
  /** One vector for each input, in order. */
  embeddings: number[][];
  /** How many inputs were longer than the model takes, and were cut. */
  n_cut: number;
}

export interface HiddenStates {
  /** For each text a row for each token, row after row; `shape` is `[tokens, hidden size]`. Rows are not normalised further. */
  hiddenStates: { data: Float32Array; shape: [number, number] }[];
  /** The tokens of each text as the vocabulary writes them, those that the model adds (`[CLS]`, `[SEP]`) among them. */
  tokens: string[][];
  /** The same as numbers. */
  ids: number[][];
  /** How many texts were longer than the model takes, and were cut. */
  n_cut: number;
}

export interface BatchOptions {
  /**
   * Most inputs that are computed at once, a whole number from 1. Default: what suits the device. Shapes are fixed when a model is loaded:
   * - pictures go in the powers of two up to 16 (up to 8 or 4 where a picture has many patches), the last of them partly empty if need be;
   * - texts go one by one or as many as have 1024 tokens together, padded to 32, 64, 128, 256 or 512 (32 of 32 tokens, 2 of 512), those
   *   of up to 32 tokens also eight at once; CLIP's by 1, 8 or 32 of up to 16 tokens, or 4. The largest that the number allows is taken.
   * A number above the largest changes nothing.
   */
  batchSize?: number;
  /** Hears how many inputs are done, of how many. */
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}

export interface MaskOptions extends BatchOptions {
  /** Candidates for each gap. Default 5. */
  topK?: number;
  /** `embeddings` gives vectors of the texts instead, `hidden` a vector for each of their tokens. */
  output?: 'candidates' | 'embeddings' | 'hidden';
}

export interface Candidate {
  /** Which gap, from 0. */
  mask: number;
  token: number;
  text: string;
  score: number;
  /** The text with this gap filled. */
  sequence: string;
}

/** Several `texts` are answered as many at once as the model was loaded for (`batchSize`); with beams one after the other. */
export interface GenerateOptions {
  /** Most tokens, 1 to 511. Default: what the repository says. */
  maxTokens?: number;
  /** Default 0: the most probable token each time. Otherwise a token is drawn. */
  temperature?: number;
  /** Draw among so many of the most probable tokens. */
  topK?: number;
  /** Draw among the most probable tokens that have this probability together, above 0. Default 1: all. */
  topP?: number;
  /** Beams of a beam search, at most 8, with temperature 0. Default 1: none. */
  numBeams?: number;
  /** A whole number from 0; the same seed gives the same text. Default 0. */
  seed?: number;
  /** Tokens that are collected before `onToken` hears of them. Default 1. */
  streamBufferSize?: number;
  /** The answer ends where one of these comes up in it, and before it; with one beam. `tokens` has those of the text that ended it too. */
  stop?: string[];
  /** Hears each text as it grows; `index` says which. */
  onToken?: (step: { text: string; new_tokens: number[]; index: number }) => void;
  onProgress?: (progress: { done: number; total: number }) => void;
  signal?: AbortSignal;
}

export interface Generation {
  text: string;
  tokens: number[];
  finish: 'end-of-text' | 'max-tokens' | 'stop';
}

export interface GenerateTimings {
  encode_ms: number;
  decode_ms: number;
  first_token_ms: number;
  total_ms: number;
  tokens_per_s: number;
}

export interface LabelOptions extends BatchOptions {
  /** Labels for each picture. Default 5. */
  topK?: number;
  /** `embeddings` gives the picture's vector instead. */
  output?: 'labels' | 'embeddings';
}

export interface Label {
  label: string;
  score: number;
}

export interface Matches {
  /** For each picture the probability of each text, which add up to 1. */
  scores: number[][];
  imageEmbeddings: number[][];
  textEmbeddings: number[][];
  /** The model's own: a picture's scores are the softmax of its dot products with the texts, multiplied by this. */
  logitScale: number;
}

export interface Transcript {
  text: string;
  /** Language code, given or detected. */
  language: string;
  tokens: number[];
  segments: Segment[];
  timings: Timings;
  backend: Backend;
  adapter: string;
}

export interface Segment {
  /** Seconds from the start of the recording. */
  start: number;
  end: number;
  text: string;
  tokens: number[];
  avg_logprob: number;
  no_speech_prob: number;
  temperature: number;
}

export interface Timings {
  /** Length of the recording in seconds. */
  audio_s: number;
  mel_ms: number;
  encode_ms: number;
  decode_ms: number;
  total_ms: number;
  first_token_ms: number;
  tokens_per_s: number;
  /** Seconds of work for a second of audio. */
  rtf: number;
}

export interface Model {
  id: string;
  title: string;
  summary: string;
  task:
    | 'speech-to-text' | 'text-embedding' | 'fill-mask' | 'text-to-text' | 'image-classification' | 'image-features' | 'image-text';
  multilingual: boolean;
  size_bytes: number;
  licence: string;
  hub_id: string;
  default: boolean;
}

export interface PipelineInfo {
  model: Model;
  backend: Backend;
  precision: Precision;
  /** The GPU or processor, as its driver names it. */
  adapter: string;
  /** Whether the adapter computes on the processor. */
  software: boolean;
  /** Why this backend and precision. */
  reason: string;
  /** The figures that chose the backend; null where there was nothing to choose. */
  measured: MeasuredChoice | null;
  languages: string[];
  /** How a gap is written, where the model fills gaps. */
  mask_token: string | null;
  /** Bytes in the backend's memory at the end of the load; `memory()` tells those of now. */
  memory_bytes: number;
  /** Most bytes that the load held at once, the engine's own memory among them. */
  peak_bytes: number;
  memory_level: 0 | 1 | 2 | 3;
  /** How many inputs are decoded at once; 1 for a model that decodes nothing. */
  batch_size: number;
  /** The parts of the model that can be used. */
  components: string[];
  timings: { download_ms: number; compile_ms: number; warm_up_ms: number; total_ms: number };
  dispatches_per_token: number;
}

export interface MeasuredChoice {
  /** The work that the estimates are for. */
  work: string;
  /** Whether they were measured at an earlier load in this browser. */
  remembered: boolean;
  /** The fastest first. */
  measurements: {
    backend: Backend;
    adapter: string;
    /** Milliseconds that the work would take, from the piece that was run; null where that failed. */
    estimate_ms: number | null;
    /** Milliseconds that measuring took. */
    spent_ms: number;
    /** That it was stopped early, or why it failed; empty otherwise. */
    note: string;
  }[];
}

export interface PipelineReport {
  pipeline: PipelineInfo;
  /** Finished runs. */
  runs: number;
  /** Of the last finished transcription. */
  last_timings: Timings | null;
}

export interface QualityReport {
  precision: Precision;
  /**
   * `word-error-rate`: words in a hundred that differ from f32's; `cosine`: mean between the vectors; `top-one`: share of pictures with
   * the same label; `token-agreement`: share of tokens that are the same.
   */
  measure: 'word-error-rate' | 'cosine' | 'top-one' | 'token-agreement';
  value: number;
  sample_count: number;
  bytes: number;
  bytes_reference: number;
  ms_reduced: number;
  ms_reference: number;
}

/** What an adapter can do at best. GB are 10^9 bytes. */
export interface Roofline {
  adapter: string;
  /** Whether it computes on the processor. */
  software: boolean;
  /** Bytes read and written while copying `copy_bytes` in all. */
  copy_gb_per_s: number;
  copy_bytes: number;
  /** 10^12 products and sums a second. */
  f32_tflops: number;
  /** The same in f16; null where the adapter has none. */
  f16_tflops: number | null;
  /** Microseconds on the GPU of the smallest dispatch that waits for the one before. */
  dispatch_us: number;
  /** Microseconds to write a dispatch down. */
  encode_us: number;
  /** Microseconds from one submit to the next. */
  submit_us: number;
  /** Milliseconds from a submit to 16 bytes of its result, the median. */
  readback_ms: number;
  /** The GPU's own clock, or from submit to completion less what an idle queue takes to answer. */
  timed_by: 'timestamps' | 'wall-clock';
  spent_ms: number;
}

/** How fast work went beside the adapter's peaks. */
export interface Rate {
  gb_per_s: number;
  tflops: number;
  /** The larger of the shares of memory's and f32 arithmetic's peak, 1 being all of it; above 1 where a cache helps. */
  share: number;
  bound: 'memory' | 'arithmetic';
}

export interface DispatchTrace {
  op: string;
  /** The kernel, a file of `shaders/`. */
  shader: string;
  workgroups: [number, number, number];
  /** Microseconds, the mean over the stage's dispatches that are alike. */
  us: number;
  /** Bytes that it has to read and write. */
  bytes: number;
  flops: number;
  rate: Rate;
}

export interface StageTrace {
  name: string;
  /** Microseconds of all dispatches one after the other, and the sum of what each takes by itself. */
  whole_us: number;
  parts_us: number;
  n_dispatches: number;
  bytes: number;
  flops: number;
  /** Of the whole. */
  rate: Rate;
  /** Share of the whole that so many of the smallest dispatches would take. */
  dispatch_share: number;
  timed_by: Roofline['timed_by'];
  dispatches: DispatchTrace[];
}

/** A graph of a model; a node's number is its place in `nodes`. */
export interface GraphNodes {
  graph: string;
  /** In the order in which they run. Shape and type are those of the output, empty where a node only writes `states`. */
  nodes: { op: string; shape: number[]; dtype: string; states: string[] }[];
}

/** Figures are of the finite elements, `null` where there are none. */
export interface TensorStatistics {
  min: number | null;
  max: number | null;
  mean: number | null;
  n_nan: number;
  n_infinite: number;
}

/** One tensor that a node computed. */
export interface TensorCheck {
  node: number;
  op: string;
  /** The label of the state that it is, `output` where it is none. */
  tensor: string;
  shape: number[];
  dtype: 'f32' | 'f16' | 'u32';
  /** What the device computed. */
  device: TensorStatistics;
  /** What the definition makes of the same inputs. */
  definition: TensorStatistics;
  /** Elements that are NaN or infinite on one side and something else on the other. */
  n_unlike: number;
  /**
   * The largest among the elements that are finite on both sides. `relative` is it over the largest magnitude of the definition's finite values, `null`
   * where those are all 0 and the device's is not.
   */
  difference: { place: number[]; device: number; definition: number; absolute: number; relative: number | null } | null;
}

export interface Inspection {
  pipeline: number;
  model: string;
  graph: string;
  checks: TensorCheck[];
}

export interface PipelineTrace {
  pipeline: number;
  model: string;
  roofline: Roofline;
  /** In the order in which they run. */
  stages: StageTrace[];
}

export interface Monitor {
  /** Begin to watch; what was watched before is forgotten. */
  start(): Promise<void>;
  /** Watch no more, and tell what was found. */
  stop(): Promise<MonitorReport | null>;
  /** What was found since the last start; null where there was none. */
  report(): Promise<MonitorReport | null>;
}

/** `after_s` is seconds since the start; curves are points `[after_s, value]`, the latest 3600. */
export interface MonitorReport {
  seconds: number;
  is_on: boolean;
  loads: {
    model: string;
    after_s: number;
    total_ms: number;
    phases: { phase: LoadProgress['phase']; start_ms: number; ms: number }[];
    /** Null where the load failed, as are the two below. */
    backend: Backend | null;
    /** Milliseconds that were waited for pipelines; `pipelines` below has each of them. */
    compile_ms: number | null;
    peak_bytes: number | null;
    failed: RillError['kind'] | 'cancelled' | null;
  }[];
  runs: {
    kind: string;
    after_s: number;
    total_ms: number;
    /** Tokens that were told while it went on. */
    n_tokens: number;
    first_token_ms: number | null;
    tokens_per_s: number | null;
    /** Seconds of sound worked through in a second. */
    real_time: number | null;
    /** Share of its time in which the GPU was busy; null where it was not on a GPU, or too long ago. */
    gpu_busy: number | null;
    stages: { name: string; ms: number }[];
    failed: RillError['kind'] | 'cancelled' | null;
  }[];
  /** Tokens in the second before, each time that some came. */
  tokens_per_s: [number, number][];
  /** Of live recordings: milliseconds from when the last sound of a text was sent to the engine until that text was final. */
  latency_ms: [number, number][];
  /** Asked for once a second. */
  memory: { after_s: number; backend_bytes: number; engine_bytes: number }[];
  peak_backend_bytes: number;
  peak_engine_bytes: number;
  /** Of models that were traced meanwhile: what their stages use of the adapter's measured peaks, and by which clock. */
  shares: { model: string; stage: string; us: number; share: number; bound: Rate['bound']; timed_by: Roofline['timed_by'] }[];
  /** Shader pipelines that were made meanwhile, in that order, with their first and last times. */
  pipelines: PipelineEntry[];
  /** What the GPU did in ordinary runs on WebGPU. */
  gpu: GpuReport;
  /** Tasks that held the page up for more than 50 ms, told by the browser or, where it tells of none, by a timer that came late. */
  long_tasks: { after_s: number; ms: number }[];
  timed_tasks: 'browser' | 'timer';
  /** What watching took on the page, and its share of the time. */
  cost_ms: number;
  cost_share: number;
}

/** Figures are of the latest 2000 spans. Graphs that were timed together are named together: `encode 32 + step`. */
export interface GpuReport {
  /** Null where no GPU was used. By timestamps each graph is timed by itself; by the wall clock each submit, until this side heard of its end. */
  timed_by: Roofline['timed_by'] | null;
  /** How far a span may lie from where it is said to; null without timestamps. */
  uncertainty_us: number | null;
  totals: { graph: string; n_runs: number; total_ms: number; median_ms: number; timed_by: Roofline['timed_by'] }[];
  /** Share of the time of decodes in which the GPU had nothing to do; null where nothing was decoded. */
  decode_waiting: number | null;
  /** `times` runs begin in a span: several where a graph is repeated, none where a long one goes on. */
  spans: { graph: string; times: number; after_s: number; us: number; timed_by: Roofline['timed_by'] }[];
  /** Graphs that ran and could not be timed. */
  n_dropped: number;
  /** Earlier spans that are no longer kept. */
  n_forgotten: number;
}

export interface BenchmarkOptions {
  /** `short` (default): f32 alone, few runs; `full`: each precision, more runs. */
  scope?: 'short' | 'full';
  /** Ids of `models()`. Default: the default model; in full one of each kind, the smallest. */
  models?: string[];
  /** What the machine is called in the result. */
  machine?: string;
  onProgress?: (at: { done: number; total: number; doing: string }) => void;
  signal?: AbortSignal;
}

/** Measurements of the same thing: the median, the quartiles, how many. */
export interface Summary {
  median: number;
  low: number;
  high: number;
  n: number;
}

export interface BenchmarkRun {
  format: 'rill-benchmark';
  version: 1;
  id: string;
  created: string;
  rill: string;
  scope: 'short' | 'full';
  browser: { name: string; version: string; agent: string };
  system: string;
  cores: number;
  cross_origin_isolated: boolean;
  machine: string;
  roofline: Roofline | null;
  /** Why the GPU itself was not measured. */
  roofline_note: string;
  entries: {
    case: { model: string; title: string; task: Model['task']; backend: Backend; precision: Precision; input: string };
    outcome: { measured: BenchmarkFigures } | { failed: { message: string } } | 'stopped';
  }[];
  /** The kernels that models are made of, each by itself on each backend; three of them in the short form. */
  kernels: {
    kernel: BenchKernel;
    backend: Backend;
    outcome: { measured: KernelFigures } | { failed: { message: string } } | 'stopped';
  }[];
}

export type BenchKernel =
  | 'wide-product'
  | 'wide-product-int8'
  | 'square-product'
  | 'large-product'
  | 'vocabulary'
  | 'encoder-attention'
  | 'decoder-attention'
  | 'convolution'
  | 'layer-norm'
  | 'log-mel';

/** How fast a kernel is. It was held against its definition before: one that is wrong has `failed`. */
export interface KernelFigures {
  adapter: string;
  /** What was timed, in words; on slow devices the first part of the rows. */
  shape: string;
  /** In what its weights are held; `null` where it has no matrix of them. */
  weights: Precision | null;
  /** Microseconds of a run; on a GPU once, the best of three. */
  us: Summary;
  /** Products and sums of a run (0 where they are not counted), and bytes that it has to read and write. */
  flops: number;
  bytes: number;
  /** Of the GPU's measured peak; above 1 where it is read from a cache. */
  share: number | null;
  timed_by: Roofline['timed_by'];
}

export interface BenchmarkFigures {
  adapter: string;
  software: boolean;
  /** The first load of this visit, and the one after it. `fetched_bytes` came over the network. */
  first_load: { total_ms: number; download_ms: number; compile_ms: number; warm_up_ms: number; fetched_bytes: number };
  second_load: BenchmarkFigures['first_load'];
  first_run_ms: number;
  /** Milliseconds from input to answer, warm. */
  runs: Summary;
  first_token_ms: Summary | null;
  tokens_per_s: Summary | null;
  audio_s: number | null;
  stages: { name: string; ms: number }[];
  /** Words wrong in a hundred, or right answers. */
  accuracy: { 'word-error-rate': number } | { right: { right: number; of: number } } | null;
  answer: string;
  memory_bytes: number;
  peak_bytes: number;
}

/** What the tuner found on a GPU. */
export interface Tuning {
  adapter: string;
  kernels: {
    /** The op, and the types and shapes of its inputs and its output. */
    class: string;
    /** What was tried, what is used without the tuner first; µs of one dispatch among many. */
    versions: { name: string; us: number }[];
    /** The one that is used, counted from 0. */
    chosen: number;
  }[];
}

/** A variant of a kernel. */
export interface PipelineEntry {
  op: string;
  /** The kernel, a file of `shaders/`. */
  shader: string;
  /** The types of its elements and its constants. */
  variant: string;
  /** The models that use it, as far as they were loaded here; none for what the tuner and the measurements made. */
  models: string[];
  /** Whether the first run of one of them needs it; the rest is for inputs of other kinds. */
  essential: boolean;
  /** Milliseconds that making it took when it was listed first; the browser may have known it from before. */
  cold_ms: number | null;
  /** The same at the latest visit after that. */
  warm_ms: number | null;
  /**
   * How it was made in this visit: milliseconds until it was there, whether the browser made it meanwhile (others beside it), and its place in
   * the order in which they were begun; null where it was not.
   */
  made: { ms: number; ahead: boolean; order: number } | null;
}

/** The shader pipelines of a GPU. */
export interface PipelineManifest {
  adapter: string;
  /** Essential ones first, those of no model last. */
  pipelines: PipelineEntry[];
  /** Whether everything that the shader compiler says is noted. What it refuses always is. */
  logging: boolean;
  /** `line` counts from 1 in the assembled text; 0 where none is named. */
  messages: { kind: 'error' | 'warning' | 'info'; message: string; shader: string; line: number; source: string }[];
}

/** Bytes in backends' memory by purpose. Not in them are compiled pipelines, and what a browser keeps back of writes under way. */
export interface MemoryBytes {
  /** Weights and constants; of streamed ones those that stay, and the window that the others pass through. */
  weights: number;
  /** Caches, positions, inputs and outputs. */
  states: number;
  /** Intermediate tensors. Those inside WebNN's graphs are not counted: the browser does not tell. */
  intermediates: number;
  /** Parameters of dispatches (uniforms), lists of steps, the threads' scratch. */
  plans: number;
  /** Buffers that carry results back. */
  staging: number;
  total: number;
  /** The most that all of them together have been; of a model in parts, the sum of its parts' most. */
  peak: number;
}

export interface MemoryReport {
  pipelines: { pipeline: number; model: string; backend: Backend; bytes: MemoryBytes }[];
  /** All models, those on their way among them. */
  all: MemoryBytes;
  /** The engine's own wasm memory, which never shrinks. */
  engine_bytes: number;
}

export interface LoadProgress {
  phase: 'prepare' | 'tune' | 'download' | 'verify' | 'compile' | 'warmup';
  /**
   * `received_bytes` came from wherever; `fetched_bytes` of them over the network, in this load; `to_fetch_bytes` are neither here nor in
   * this browser's own store. `total_bytes` is 0 while unknown.
   */
  files: {
    name: string;
    received_bytes: number;
    fetched_bytes: number;
    to_fetch_bytes: number;
    total_bytes: number;
    cached: boolean;
  }[];
  /** The parts of the model, the one that is needed first in front. */
  components: { name: string; received_bytes: number; total_bytes: number; ready: boolean }[];
  /** Over the network. */
  bytes_per_s: number;
  /** Until the last byte has crossed the network; null where nothing is known of it. */
  time_left_s: number | null;
  /** Pipelines made, and in all. */
  pipelines: [number, number];
  /** Bytes of weights written to the backend's memory so far, in the form in which it holds them. */
  uploaded_bytes: number;
  elapsed_ms: number;
}

export interface BackendReport {
  backend: Backend;
  available: boolean;
  reason: string;
  adapter: string;
  software: boolean;
  features: FeatureReport[];
  probe_ms: number;
}

export interface FeatureReport {
  name: FeatureName;
  supported: boolean;
  /** What was tried and what came of it. */
  reason: string;
  /** Milliseconds that trying took. */
  probe_ms: number;
}

export interface RillError extends Error {
  name: 'RillError';
  kind:
    | 'backend' | 'device-lost' | 'out-of-memory' | 'network' | 'storage' | 'model' | 'input' | 'microphone' | 'internal';
  /** What to do; empty where there is nothing. */
  hint: string;
}

export type Backend = 'webgpu' | 'webnn' | 'wasm';
export type Precision = 'f32' | 'f16' | 'int8' | 'int4';
export type FeatureName =
  | 'webgpu' | 'webgpu.hardware' | 'webgpu.limits' | 'webgpu.f16' | 'webgpu.subgroups' | 'webgpu.timestamps'
  | 'webnn' | 'webnn.cpu' | 'webnn.gpu' | 'webnn.npu'
  | 'wasm' | 'wasm.simd' | 'wasm.relaxed-simd' | 'wasm.threads' | 'storage' | 'microphone';
