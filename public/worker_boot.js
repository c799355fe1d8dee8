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

const { default: init } = await import(`./worker.js${build}`);
await init({ module_or_path: new URL(`./worker_bg.wasm${build}`, import.meta.url) });
