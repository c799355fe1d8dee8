// The plainest of static hosts: a folder under a path of a site, and no special headers.

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import path from 'node:path';

const TYPES = { html: 'text/html', js: 'text/javascript', wasm: 'application/wasm', svg: 'image/svg+xml' };

/** Serves `folder` under `prefix` (`/sub/`). Gives the page's address and a function that ends it. */
export async function host(folder, prefix) {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const name = pathname === prefix ? 'index.html' : path.posix.normalize(pathname.slice(prefix.length));
    try {
      if (!pathname.startsWith(prefix) || name.startsWith('..')) throw new Error('outside');
      const bytes = await readFile(path.join(folder, name));
      response.writeHead(200, { 'content-type': TYPES[name.split('.').at(-1)] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('There is no such file.');
    }
  });
  await new Promise((listening) => server.listen(0, 'localhost', listening));
  return { url: `http://localhost:${server.address().port}${prefix}`, end: () => server.close() };
}
