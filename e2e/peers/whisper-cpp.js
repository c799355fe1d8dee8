// whisper.cpp as a contender, in the WASM build of @transcribe/shout.

/** Gives `run()`, which transcribes `samples` and gives `{output}`, the text. */
export async function load({ model, precision, threads, language }, { samples }) {
  const { default: createModule } = await import('/packages/@transcribe/shout/src/shout/shout.wasm.js');
  let finish;
  const quiet = () => {};
  const module = await createModule({ print: quiet, printErr: quiet, onTranscribed: (result) => finish(result) });
  const file = await fetch(`/ggml/${model}/${precision}`);
  if (!file.ok) throw new Error(`the server has no ggml file: ${await file.text()}`);
  module.FS_createDataFile('/', 'model.bin', new Uint8Array(await file.arrayBuffer()), true, true);
  module.init('model.bin', '');
  const [translate, longestSegment, splitOnWord, suppressNonSpeech, tokenTimes] = [false, 0, false, false, false];
  const run = async () => {
    const { transcription } = await new Promise((resolve) => {
      finish = resolve;
      module.transcribe(samples.slice(), language, threads, translate, longestSegment, splitOnWord, suppressNonSpeech, tokenTimes);
    });
    return { output: transcription.map((segment) => segment.text).join('') };
  };
  return { run, about: {} };
}
