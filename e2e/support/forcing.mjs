// What a test does to the browser under the engine: less than it has, or nothing at a bad moment. The wraps lie inside the
// engine's worker, in front of its program, so that the product needs no code for tests.

import { smallWhisper } from './server.mjs';

/** Runs these functions (`[program, argument]`, or a program alone) in the worker before the engine starts. */
export async function force(page, ...programs) {
  await page.route('**/worker_boot.js*', async (route) => {
    const response = await route.fetch();
    const calls = programs
      .map((entry) => [entry].flat())
      .map(([program, argument]) => `(${program})(${JSON.stringify(argument ?? null)});\n`);
    await route.fulfill({ response, body: calls.join('') + (await response.text()) });
  });
}

/** Tells the worker's wraps that the moment has come. */
export const now = (page, what) =>
  page.evaluate((what) => new BroadcastChannel('forcing').postMessage(what), what);

/** A browser whose WebGPU finds no adapter. */
export function noAdapter() {
  GPU.prototype.requestAdapter = async () => null;
}

/** A browser that finds its adapter only when it is asked again. */
export function lateAdapter() {
  const { requestAdapter } = GPU.prototype;
  let isFirst = true;
  GPU.prototype.requestAdapter = async function (...options) {
    if (isFirst) return (isFirst = false), null;
    return requestAdapter.apply(this, options);
  };
}

/** An adapter that lacks these features. */
export function without(missing) {
  const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'features');
  Object.defineProperty(GPUAdapter.prototype, 'features', {
    get() {
      return new Set([...get.call(this)].filter((feature) => !missing.includes(feature)));
    },
  });
}

/** An adapter that allows no more than the specification promises of every one. */
export function smallestLimits() {
  const { get } = Object.getOwnPropertyDescriptor(GPUAdapter.prototype, 'limits');
  const least = {
    maxBufferSize: 268435456,
    maxStorageBufferBindingSize: 134217728,
    maxStorageBuffersPerShaderStage: 8,
    maxComputeWorkgroupStorageSize: 16384,
    maxComputeInvocationsPerWorkgroup: 256,
    maxComputeWorkgroupSizeX: 256,
    maxComputeWorkgroupSizeY: 256,
    minStorageBufferOffsetAlignment: 256,
    minUniformBufferOffsetAlignment: 256,
  };
  Object.defineProperty(GPUAdapter.prototype, 'limits', {
    get() {
      const limits = get.call(this);
      return new Proxy(limits, { get: (_, name) => least[name] ?? limits[name] });
    },
  });
}

/** At the word `destroy` every device is destroyed, as `device.destroy()` does it. */
export function destroyable() {
  const devices = [];
  const { requestDevice } = GPUAdapter.prototype;
  GPUAdapter.prototype.requestDevice = async function (...given) {
    const device = await requestDevice.apply(this, given);
    devices.push(device);
    return device;
  };
  new BroadcastChannel('forcing').addEventListener('message', ({ data }) => {
    if (data === 'destroy') devices.splice(0).forEach((device) => device.destroy());
  });
}

/** A GPU that has no room for a buffer of more than so many bytes. */
export function memoryRefusedAbove(limit) {
  const scopes = [];
  const { createBuffer, pushErrorScope, popErrorScope } = GPUDevice.prototype;
  GPUDevice.prototype.createBuffer = function (described) {
    if (described.size > limit) scopes.filter(({ filter }) => filter === 'out-of-memory').forEach((scope) => (scope.refused = true));
    return createBuffer.call(this, described);
  };
  GPUDevice.prototype.pushErrorScope = function (filter) {
    scopes.push({ filter, refused: false });
    return pushErrorScope.call(this, filter);
  };
  GPUDevice.prototype.popErrorScope = async function () {
    const { refused } = scopes.pop();
    const error = await popErrorScope.call(this);
    return refused ? new GPUOutOfMemoryError('the test has no room') : error;
  };
}

/** At the word `stall` nothing that was submitted is ever done, and the hours begin to fly. */
export function stallable() {
  let isStalled = false;
  const { onSubmittedWorkDone } = GPUQueue.prototype;
  const { mapAsync } = GPUBuffer.prototype;
  const never = () => new Promise(() => {});
  GPUQueue.prototype.onSubmittedWorkDone = function () {
    return isStalled ? never() : onSubmittedWorkDone.call(this);
  };
  GPUBuffer.prototype.mapAsync = function (...given) {
    return isStalled ? never() : mapAsync.apply(this, given);
  };
  const clock = performance.now.bind(performance);
  let stalledAt;
  // From then on a second lasts a minute: the watchdog's patience is minutes where software plays the GPU.
  performance.now = () => (isStalled ? stalledAt + 60 * (clock() - stalledAt) : clock());
  new BroadcastChannel('forcing').addEventListener('message', ({ data }) => {
    if (data !== 'stall') return;
    stalledAt = clock();
    isStalled = true;
  });
}

/**
 * The small Whisper with a word on its lips: it hears "a a a a a a a" in every window, so that there is a text that can be kept
 * or lost.
 */
export function talkative() {
  // A window has room for eight tokens, which is too few to count as a text that repeats itself.
  const positions = 'model.decoder.embed_positions.weight';
  const files = smallWhisper({
    config: { max_target_positions: 16 },
    change: (tensors) => ({ ...tensors, [positions]: [16, tensors[positions][1]] }),
  });
  const file = files['model.safetensors'];
  const headerBytes = Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.subarray(8, 8 + headerBytes));
  const table = header['model.decoder.embed_tokens.weight'];
  const token = JSON.parse(files['tokenizer.json']).model.vocab['\u0120a'];
  const width = table.shape[1];
  const begin = 8 + headerBytes + table.data_offsets[0] + 2 * token * width;
  // 0.95 as f16: above the end of the text, which has 0.9.
  for (let i = 0; i < width; i++) file.writeUInt16LE(0x3b9a, begin + 2 * i);
  return files;
}
