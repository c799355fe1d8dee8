// Which browser, with which switches. Shared by the tests and the bench.

import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

const here = import.meta.dirname;

/** Where the models and the speech samples lie. */
export const MODELS = process.env.RILL_MODELS ?? path.join(here, '../../models');

/** The built page. */
export const DIST = process.env.RILL_DIST ?? path.join(here, '../../dist');

/** Debian's Chromium unless another is named. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** The Chromium with a real WebNN context, where `cargo xtask setup` puts it unless another is named. */
export const CHROMIUM_WEBNN =
  process.env.CHROMIUM_WEBNN ??
  path.join(process.env.RILL_TOOLS ?? path.join(homedir(), '.cache/rill/tools'), 'chromium-webnn-147.0.0/chromium');

/** Debian's Firefox unless another is named. */
export const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';

/** The command that serves the page, run from e2e/. */
export const SERVE = (port) => `${process.env.RILL_XTASK ?? 'cargo xtask'} serve --no-build --port ${port}`;

/** A clip of the samples, by name. */
export const sample = (name) => {
  const file = path.join(MODELS, 'samples', `${name}.wav`);
  if (!existsSync(file)) throw new Error(`there is no ${file}: run \`cargo xtask fetch-samples\``);
  return file;
};

const COMMON = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
];

/**
 * Chromium's switches.
 * - `webgpu`: `software` (no GPU is needed), `hardware`, or `none`.
 * - `camera`: there is one, which shows a moving test picture.
 * - `microphone`: a WAV file that is heard once from the moment that the microphone is opened; `denied`: there is one
 *   and the visitor says no; `none`: there is none.
 */
export function switches({ webgpu = 'software', microphone = 'none', camera = false } = {}) {
  const gpu = {
    software: ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'],
    hardware: ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist'],
    none: ['--disable-features=WebGPU'],
  }[webgpu];
  const fake = '--use-fake-device-for-media-stream';
  const mic = {
    none: ['--use-fake-ui-for-media-stream'],
    denied: [fake],
  }[microphone] ?? ['--use-fake-ui-for-media-stream', fake, `--use-file-for-fake-audio-capture=${microphone}%noloop`];
  return [...COMMON, ...gpu, ...mic, ...(camera && !mic.includes(fake) ? [fake] : [])];
}

/** What Playwright needs to drive Chromium with its switches. */
export const chromium = (given) => ({
  browserName: 'chromium',
  launchOptions: { executablePath: CHROMIUM, args: switches(given) },
});
