// End-to-end tests: the built page in real browsers. `cargo xtask test` runs them after its release build; by hand,
// `cargo xtask build`, then `npx playwright test` here (`--project=firefox` for one browser). Where a spec needs another
// browser than its project's (no WebGPU, no microphone), it says so itself.
//
// The main job runs in every browser, on every backend that it has here. Everything else runs in Chromium, and with
// RILL_BROWSERS=all (`cargo xtask test --browsers`) what depends on the browser also in Firefox and WebKitGTK.

import { defineConfig } from '@playwright/test';
import { SERVE, chromium, sample } from './support/browser.mjs';

const PORT = Number(process.env.RILL_PORT ?? 8123);

/** Specs that are not for Chromium alone, by their names. */
const MAIN_JOB = 'main-job.spec.mjs';
const MAIN_JOB_FIREFOX = 'main-job.firefox.spec.mjs';
const MAIN_JOB_WEBKIT = 'main-job.webkit.spec.mjs';
const LEAVING_WEBKIT = 'leaving.webkit.spec.mjs';

/** The panels of texts and pictures: nothing in them knows a backend, so they run on the fastest one here. */
const PANELS = ['search', 'gap', 'write', 'pictures', 'alike', 'match', 'models', 'folders', 'camera-denied'].map((name) => `${name}.spec.mjs`);

const wasm = { has: { backend: 'wasm', threads: true } };

/**
 * WebKitGTK 2.50 sometimes runs our programs wrongly: 2 of 97 main jobs stood still, 1 of 330 loads read memory out of bounds,
 * none in other browsers. One that stood still was looked at in a debugger: optimised code had taken over in the middle of a
 * loop with another local in place of the loop's own. So it may try a second time; the report then calls it flaky.
 */
const webkit = { retries: 1 };

/** Software adapters are no first choice: there, WebGPU is chosen by hand. */
const webgpu = { has: { backend: 'webgpu', threads: true, byHand: 'GPU (WebGPU)' } };

const lean = [
  {
    name: 'chromium',
    testIgnore: [MAIN_JOB, ...PANELS, /\.(webkit|firefox)\.spec\.mjs/],
    use: chromium({ microphone: sample('jfk') }),
  },
  { name: 'chromium-wasm', testMatch: [MAIN_JOB, ...PANELS], use: { ...chromium({ webgpu: 'none' }), ...wasm } },
  { name: 'firefox', testMatch: MAIN_JOB_FIREFOX, use: wasm },
  { name: 'firefox-webgpu', testMatch: MAIN_JOB_FIREFOX, use: { ...webgpu, firefoxSwitches: { webgpu: true } } },
  { ...webkit, name: 'webkit', testMatch: [MAIN_JOB_WEBKIT, LEAVING_WEBKIT], use: { has: { backend: 'wasm', threads: false } } },
];

const more = [
  // A minute on SwiftShader, which the other specs have already spent there.
  { name: 'chromium-webgpu', testMatch: MAIN_JOB, use: { ...chromium(), ...webgpu } },
  { name: 'firefox-more', testMatch: /\.firefox\.spec\.mjs/, testIgnore: MAIN_JOB_FIREFOX },
  // Nearer to Safari, which shares memory between threads.
  {
    ...webkit,
    name: 'webkit-threads',
    testMatch: /\.webkit\.spec\.mjs/,
    use: { ...wasm, webkitSwitches: { env: { JSC_useSharedArrayBuffer: '1', JSC_useWasmRelaxedSIMD: '1' } } },
  },
];

/** WebKitGTK is Linux's; Safari itself cannot be driven side by side with other programs. */
const here = (project) => process.platform === 'linux' || !project.name.startsWith('webkit');

export default defineConfig({
  testDir: 'specs',
  outputDir: 'test-results',
  // WebGPU is computed on the processor here: one page at a time, and a transcription takes a minute.
  workers: 1,
  timeout: 180_000,
  expect: { timeout: 15_000 },
  forbidOnly: Boolean(process.env.CI),
  reporter: 'list',
  use: {
    baseURL: `http://localhost:${PORT}/`,
    viewport: { width: 1280, height: 800 },
    screenshot: 'only-on-failure',
    actionTimeout: 15_000,
  },
  projects: (process.env.RILL_BROWSERS === 'all' ? [...lean, ...more] : lean).filter(here),
  webServer: {
    command: SERVE(PORT),
    url: `http://localhost:${PORT}/`,
    // Without a built xtask, cargo builds it first.
    timeout: 300_000,
    reuseExistingServer: false,
  },
});
