// Starts the engine's wasm inside its Web Worker. The page sends nothing before the engine says Ready.
// The query string carries the build's name, so that a new page never runs with an old engine from the browser's cache.
const build = new URL(import.meta.url).search;

// A panic in the engine surfaces as a rejected promise, which a page never hears of: make it an error event.
self.addEventListener('unhandledrejection', (event) => {
  event.preventDefault();
  setTimeout(() => {
    throw event.reason;
  });
});

/** A module that did not arrive is remembered as missing by its address; `part` makes another one of it, of which servers hear nothing. */
async function start(part) {
  const { default: init } = await import(`./worker.js${build}${part}`);
  await init({ module_or_path: new URL(`./worker_bg.wasm${build}`, import.meta.url) });
}

try {
  await start('');
} catch (error) {
  // What does not arrive is a TypeError: a network may fail for a moment, and without the engine nothing works.
  if (!(error instanceof TypeError)) throw error;
  await new Promise((resolve) => setTimeout(resolve, 500));
  await start('#again');
}
