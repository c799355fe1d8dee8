// The inputs of a task, fetched into the page before anything is measured.

/** `{samples}`, `{texts}`, `{images}` (files as Blobs) or several of them, with what else the task says. */
export async function inputsOf(task) {
  const { clip, pictures, ...rest } = await (await fetch(`/inputs/${task}`)).json();
  const inputs = { ...rest };
  if (clip) inputs.samples = new Float32Array(await (await fetch(clip)).arrayBuffer());
  if (pictures) inputs.images = await Promise.all(pictures.map(async (address) => (await fetch(address)).blob()));
  return inputs;
}
