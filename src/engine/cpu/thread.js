// A thread of the kernels: an instance of their module over the shared memory, which takes part in every plan and never returns.
self.onmessage = ({ data: { module, memory, stack, scratch } }) => {
  const words = new Int32Array(memory.buffer);
  const team = {
    sleep: (word, value) => void Atomics.wait(words, word >>> 2, value | 0),
    wake: (word) => void Atomics.notify(words, word >>> 2),
  };
  const { exports } = new WebAssembly.Instance(module, { env: { memory }, team });
  exports.__stack_pointer.value = stack;
  self.postMessage('ready');
  exports.join(scratch);
};
