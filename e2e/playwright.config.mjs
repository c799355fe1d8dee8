// End-to-end tests: the built page in a real browser. `cargo xtask test` runs them after its release build; by hand,
// `cargo xtask build`, then `npx playwright test` here. Where a spec needs another browser than this one (no WebGPU,
// no microphone), it says so itself.

import { defineConfig } from '@playwright/test';
import { CHROMIUM, SERVE, sample, switches } from './support/browser.mjs';

/** With RILL_BROWSERS=all: Firefox too, with WebGPU, for what does not need Chromium's fake microphone or its switches. */
const firefox = {
  name: 'firefox',
  testMatch: 'sentences.spec.mjs',
  use: {
    browserName: 'firefox',
    channel: 'moz-firefox',
    launchOptions: {
      executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr',
      firefoxUserPrefs: {
        'dom.webgpu.enabled': true,
        'gfx.webgpu.ignore-blocklist': true,
        'media.navigator.permission.disabled': true,
        'media.navigator.streams.fake': true,
      },
    },
  },
};

const PORT = Number(process.env.RILL_PORT ?? 8123);

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
  projects: [
    {
      name: 'chromium',
      use: {
        browserName: 'chromium',
        launchOptions: { executablePath: CHROMIUM, args: switches({ microphone: sample('jfk') }) },
      },
    },
    ...(process.env.RILL_BROWSERS === 'all' ? [firefox] : []),
  ],
  webServer: {
    command: SERVE(PORT),
    url: `http://localhost:${PORT}/`,
    // Without a built xtask, cargo builds it first.
    timeout: 300_000,
    reuseExistingServer: false,
  },
});
