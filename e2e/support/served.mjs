// The built page, served for a bench as `cargo xtask serve` serves it.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { SERVE } from './browser.mjs';

const PORT = 8124;

/** Serves dist/; gives its address and a function that ends it. */
export async function served() {
  const [command, ...args] = SERVE(PORT).split(' ');
  const server = spawn(command, args, { cwd: new URL('..', import.meta.url).pathname, stdio: ['ignore', 'ignore', 'inherit'] });
  const url = `http://localhost:${PORT}/`;
  for (let waited = 0; waited < 300; waited++) {
    if (server.exitCode !== null) throw new Error(`\`${SERVE(PORT)}\` ended with ${server.exitCode}`);
    if (await fetch(url).then((answer) => answer.ok, () => false)) return { url, end: () => server.kill() };
    await pause(1_000);
  }
  throw new Error(`nothing answers at ${url}`);
}
