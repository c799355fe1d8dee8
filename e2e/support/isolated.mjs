// A server of several folders and of bytes that are made, isolated so that memory can be shared: for the race with the peers, and
// for tests in browsers whose requests cannot be intercepted.

import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import path from 'node:path';

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
};

const HEADERS = {
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cache-control': 'no-store',
};

/**
 * Serves `folders` (`{'/rill/': path}`, the longest prefix wins) and `made`, an (asynchronous) function that gives the
 * bytes of an address that is no file, or undefined. Gives the server's address and a function that ends it.
 */
export async function serve(folders, made) {
  const prefixes = Object.keys(folders).sort((a, b) => b.length - a.length);
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    const address = decodeURIComponent(pathname);
    const fail = (status, words) => response.writeHead(status, { ...HEADERS, 'content-type': 'text/plain' }).end(words);
    try {
      const bytes = await made(address);
      if (bytes) return response.writeHead(200, { ...HEADERS, 'content-length': bytes.length }).end(bytes);
      const prefix = prefixes.find((prefix) => address.startsWith(prefix));
      const name = path.posix.normalize(address.slice(prefix?.length ?? 0) || 'index.html');
      if (!prefix || name.startsWith('..')) return fail(404, 'There is no such folder.');
      await send(path.join(folders[prefix], name), request, response);
    } catch (error) {
      fail(error.code === 'ENOENT' ? 404 : 500, String(error));
    }
  });
  await new Promise((listening) => server.listen(0, 'localhost', listening));
  return { url: `http://localhost:${server.address().port}`, end: () => server.close() };
}

/** A file, or the part of it that was asked for. */
async function send(file, request, response) {
  const { size } = await stat(file);
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const [start, end] = range ? [Number(range[1]), Math.min(Number(range[2] || size), size - 1)] : [0, size - 1];
  response.writeHead(range ? 206 : 200, {
    ...HEADERS,
    'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream',
    'content-length': end - start + 1,
    'accept-ranges': 'bytes',
    ...(range && { 'content-range': `bytes ${start}-${end}/${size}` }),
  });
  if (request.method === 'HEAD' || size === 0) response.end();
  else createReadStream(file, { start, end }).pipe(response);
}
