// End-to-end tests: the built page in real browsers. `cargo xtask test` runs them after its release build; by hand,
// `cargo xtask build`, then `npx playwright test` here (`--project=firefox` for one browser). Where a spec needs another
// browser than its project's (no WebGPU, no microphone), it says so itself.
//
// The main job runs in every browser, on every backend that it has here. Everything else runs in Chromium, and with
// RILL_BROWSERS=all (`cargo xtask test --browsers`) also in Firefox as far as Playwright can steer it there.

import { defineConfig } from '@playwright/test';
import { SERVE, chromium, firefox, sample } from './support/browser.mjs';
import { SOUND } from './support/sound.mjs';

const PORT = Number(process.env.RILL_PORT ?? 8123);

/** Specs that are not for Chromium alone, by their names. */
const MAIN_JOB = 'main-job.spec.mjs';
const MAIN_JOB_WEBKIT = 'main-job.webkit.spec.mjs';

/** What Firefox's driver can do: no colour scheme, no rights for the clipboard, no microphone without a sound server. */
const FIREFOX_CAN = ['errors', 'cancel', 'offline', 'sentences'].map((name) => `${name}.spec.mjs`);
/** What only Chromium can be made to suffer, and what records. */
const FIREFOX_CANNOT = /full storage|GPU that goes away|server that fails in the middle/;

/**
 * Firefox's WebDriver BiDi registers every worker with its debugger, and some pages then stand still for ever while the engine
 * starts threads; without the driver it was never seen (40 starts of 40). Such a page is given up early and opened again.
 */
const patience = { timeout: 75_000, retries: 2 };

const wasm = { has: { backend: 'wasm', threads: true } };
/** Software adapters are no first choice: there, WebGPU is chosen by hand. */
const webgpu = { has: { backend: 'webgpu', threads: true, byHand: 'GPU (WebGPU)' } };

const lean = [
  {
    name: 'chromium',
    testIgnore: [MAIN_JOB, /\.(webkit|firefox)\.spec\.mjs/],
    use: chromium({ microphone: sample('jfk') }),
  },
  { name: 'chromium-wasm', testMatch: MAIN_JOB, use: { ...chromium({ webgpu: 'none' }), ...wasm } },
  { name: 'firefox', ...patience, testMatch: MAIN_JOB, use: { ...firefox(), ...wasm } },
  { name: 'firefox-webgpu', ...patience, testMatch: MAIN_JOB, use: { ...firefox({ webgpu: true }), ...webgpu } },
  { name: 'webkit', testMatch: MAIN_JOB_WEBKIT, use: { has: { backend: 'wasm', threads: false } } },
];

const more = [
  // A minute on SwiftShader, which the other specs have already spent there.
  { name: 'chromium-webgpu', testMatch: MAIN_JOB, use: { ...chromium(), ...webgpu } },
  {
    name: 'firefox-more',
    ...patience,
    testMatch: [...FIREFOX_CAN, /\.firefox\.spec\.mjs/],
    grepInvert: FIREFOX_CANNOT,
    use: firefox({ webgpu: true, env: SOUND }),
  },
  // Nearer to Safari, which shares memory between threads.
  {
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
