// whisper.cpp as a contender, in the WASM build of @transcribe/shout.

/** Gives a function that transcribes `samples` and gives the text. */
export async function load({ model, precision, threads, language }) {
  const { default: createModule } = await import('/packages/@transcribe/shout/src/shout/shout.wasm.js');
  let finish;
  const quiet = () => {};
  const module = await createModule({ print: quiet, printErr: quiet, onTranscribed: (result) => finish(result) });
  const file = await fetch(`/ggml/${model}/${precision}`);
  if (!file.ok) throw new Error(`the server has no ggml file: ${await file.text()}`);
  module.FS_createDataFile('/', 'model.bin', new Uint8Array(await file.arrayBuffer()), true, true);
  module.init('model.bin', '');
  const [translate, longestSegment, splitOnWord, suppressNonSpeech, tokenTimes] = [false, 0, false, false, false];
  return async (samples) => {
    const { transcription } = await new Promise((resolve) => {
      finish = resolve;
      module.transcribe(samples, language, threads, translate, longestSegment, splitOnWord, suppressNonSpeech, tokenTimes);
    });
    return transcription.map((segment) => segment.text).join('');
  };
}
