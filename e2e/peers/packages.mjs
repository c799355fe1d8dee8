// The peers' packages, kept outside of the repository: they are half a gigabyte, and nothing of Rill needs them.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { PACKAGES } from './contenders.mjs';

const CACHE = path.join(process.env.XDG_CACHE_HOME || path.join(os.homedir(), '.cache'), 'rill/peers');

/** Installs what is missing; gives the folder that holds the packages. */
export function packages(folder = process.env.RILL_PEER_PACKAGES ?? CACHE) {
  const modules = path.join(folder, 'node_modules');
  const installed = (name) => {
    const file = path.join(modules, name, 'package.json');
    return existsSync(file) && JSON.parse(readFileSync(file, 'utf8')).version === PACKAGES[name];
  };
  if (Object.keys(PACKAGES).every(installed)) return modules;
  const wanted = Object.entries(PACKAGES).map(([name, version]) => `${name}@${version}`);
  console.log(`installing ${wanted.join(', ')} into ${folder}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'package.json'), '{ "private": true }\n');
  // Their install scripts fetch native libraries that no browser runs.
  const args = ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', ...wanted];
  const { status } = spawnSync('npm', args, { cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`npm could not install ${wanted.join(' ')}: is its registry reachable?`);
  return modules;
}
