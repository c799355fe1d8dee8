// WebKitGTK, the engine that Safari is built on, driven through its own WebDriver server on a display of its own. Playwright
// cannot drive a distribution's WebKit.

import { once } from 'node:events';
import { createServer } from 'node:net';
import { TIMEOUTS, WebDriver, start, whenReady } from './webdriver.mjs';

/** The server that starts and drives the browser (Debian: webkit2gtk-driver), and a display to draw on (Debian: xvfb). */
const DRIVER = process.env.WEBKIT_DRIVER ?? 'WebKitWebDriver';
const DISPLAY = process.env.XVFB ?? 'Xvfb';

/** Where the driver hears the commands. */
const ENDPOINTS = {
  SetTimeouts: '/timeouts',
  Navigate: '/url',
  Refresh: '/refresh',
  ExecuteScript: '/execute/sync',
  ExecuteAsyncScript: '/execute/async',
  FindElement: '/element',
  ElementClick: '/element/{id}/click',
  ElementSendKeys: '/element/{id}/value',
  SetWindowRect: '/window/rect',
};

export class WebKit extends WebDriver {
  /**
   * Start the browser. `env` holds switches of its JavaScript engine, `args` those of the browser. As it comes, it is the
   * weakest browser of all: no WebGPU, no shared memory, no file system, nothing kept beyond the session.
   */
  static async launch({ env = {}, args = [] } = {}) {
    const started = [];
    const end = () => started.reverse().forEach((child) => child.kill());
    try {
      const screen = ['-displayfd', '3', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'];
      const server = start(DISPLAY, screen, { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
      started.push(server);
      const display = `:${await firstLine(server, server.stdio[3])}`;
      const port = await freePort();
      const driver = start(DRIVER, [`--port=${port}`], { env: { ...process.env, ...env, DISPLAY: display }, stdio: 'ignore' });
      started.push(driver);
      const webkit = new WebKit(`http://127.0.0.1:${port}`, end);
      await webkit.#open(driver, args);
      return webkit;
    } catch (error) {
      end();
      throw error;
    }
  }

  #driver;
  #session = '';
  #end;

  constructor(driver, end) {
    super();
    this.#driver = driver;
    this.#end = end;
  }

  async #open(driver, args) {
    await whenReady(driver, 10, () => this.#request('GET', '/status').then((status) => status.ready, () => false));
    // Without a `binary` the driver takes the browser that was built with it.
    const options = args.length ? { 'webkitgtk:browserOptions': { args: ['--automation', ...args] } } : {};
    const { sessionId, capabilities } = await this.#request('POST', '/session', { capabilities: { alwaysMatch: options } });
    this.#session = `/session/${sessionId}`;
    this.version = capabilities.browserVersion;
    await this.send('SetTimeouts', TIMEOUTS);
  }

  send(name, { id = '', ...parameters } = {}) {
    if (name === 'TakeScreenshot') return this.#request('GET', `${this.#session}/screenshot`, undefined, 10);
    return this.#request('POST', this.#session + ENDPOINTS[name].replace('{id}', id), parameters);
  }

  /** An answer that is an error is thrown with what it says, and so is none within `seconds`. */
  async #request(method, path, body, seconds = 610) {
    const answer = await fetch(this.#driver + path, {
      method,
      body: body && JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(1_000 * seconds),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`WebDriver, ${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  async close() {
    // Without its session the driver ends the browser too; if that fails, it still goes when its display does.
    await this.#request('DELETE', this.#session, undefined, 10).catch(() => {});
    this.#end();
  }
}

/** The first line that a program writes to a stream. */
async function firstLine(child, stream) {
  let text = '';
  stream.setEncoding('utf8').on('data', (part) => (text += part));
  await whenReady(child, 10, () => text.includes('\n'));
  return text.trim();
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
