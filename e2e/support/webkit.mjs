// WebKitGTK, the engine that Safari is built on, driven through its own WebDriver server on a display of its own.
// Playwright cannot drive a distribution's WebKit; what its page can do for a test is written here with the few commands of
// the WebDriver specification (https://www.w3.org/TR/webdriver2/) that the tests need.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';

/** The server that starts and drives the browser (Debian: webkit2gtk-driver), and a display to draw on (Debian: xvfb). */
const DRIVER = process.env.WEBKIT_DRIVER ?? 'WebKitWebDriver';
const DISPLAY = process.env.XVFB ?? 'Xvfb';

/** The name by which WebDriver hands elements over (section 12.2 of the specification). */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

export class WebKit {
  /**
   * Start the browser. `env` holds switches of its JavaScript engine, `args` those of the browser. As it comes, it is the
   * weakest browser of all: no WebGPU, no shared memory, no file system, nothing kept beyond the session.
   */
  static async launch({ env = {}, args = [] } = {}) {
    const started = [];
    const start = (program, args, options) => {
      const child = spawn(program, args, options);
      started.push(child);
      child.on('error', (error) => (child.failure = `${program} cannot be started (${error.message}): run \`cargo xtask setup\``));
      return child;
    };
    const end = () => started.reverse().forEach((child) => child.kill());
    try {
      const server = start(DISPLAY, ['-displayfd', '3', '-screen', '0', '1600x1200x24', '-nolisten', 'tcp'], {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      });
      const display = `:${await firstLine(server, server.stdio[3])}`;
      const port = await freePort();
      const driver = start(DRIVER, [`--port=${port}`], { env: { ...process.env, ...env, DISPLAY: display }, stdio: 'ignore' });
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
    this.#driver = driver;
    this.#end = end;
  }

  async #open(driver, args) {
    for (let tries = 0; !(await this.#command('GET', '/status').then((status) => status.ready, () => false)); tries++) {
      if (driver.failure || driver.exitCode !== null || tries === 100) {
        throw new Error(driver.failure ?? `${DRIVER} does not answer (exit code ${driver.exitCode})`);
      }
      await pause(100);
    }
    // Without a `binary` the driver takes the browser that was built with it.
    const options = args.length ? { 'webkitgtk:browserOptions': { args: ['--automation', ...args] } } : {};
    const { sessionId, capabilities } = await this.#command('POST', '/session', { capabilities: { alwaysMatch: options } });
    this.#session = `/session/${sessionId}`;
    this.version = capabilities.browserVersion;
    await this.command('POST', '/timeouts', { script: 600_000, pageLoad: 60_000 });
  }

  /** A command of the session. An answer that is an error is thrown with what it says. */
  command(method, path, body) {
    return this.#command(method, this.#session + path, body);
  }

  async #command(method, path, body) {
    const answer = await fetch(this.#driver + path, {
      method,
      body: body && JSON.stringify(body),
      headers: { 'content-type': 'application/json' },
      signal: AbortSignal.timeout(610_000),
    });
    const { value } = await answer.json();
    if (!answer.ok) throw new Error(`WebDriver, ${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  goto(url) {
    return this.command('POST', '/url', { url });
  }

  /** What an (asynchronous) function of the page gives for one argument; both travel as JSON. */
  async evaluate(program, argument = null) {
    const script = `const done = arguments[1];
      Promise.resolve(arguments[0]).then(${program}).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await this.command('POST', '/execute/async', { script, args: [argument] });
    if (error) throw new Error(`in the page: ${error}`);
    return value ?? undefined;
  }

  /** The elements that a function of the page gives. */
  async #elements(program, argument) {
    const script = `return (${program})(arguments[0])`;
    const found = await this.command('POST', '/execute/sync', { script, args: [argument] });
    return found.map((element) => element[ELEMENT]);
  }

  /** Click on the only element that a function of the page gives, as a mouse does. */
  async click(program, argument) {
    const [element, ...others] = await this.#elements(program, argument);
    if (!element || others.length) throw new Error(`${others.length + (element ? 1 : 0)} elements for ${JSON.stringify(argument)}`);
    await this.command('POST', `/element/${element}/click`, {});
  }

  /** Type into the element that a selector names; for a file input, the path of the file to choose. */
  async type(selector, text) {
    const element = await this.command('POST', '/element', { using: 'css selector', value: selector });
    await this.command('POST', `/element/${element[ELEMENT]}/value`, { text });
  }

  /** Make the window this large, in CSS pixels, its frame included. */
  resize(width, height) {
    return this.command('POST', '/window/rect', { width, height });
  }

  /** A picture of the window, PNG. */
  async screenshot() {
    return Buffer.from(await this.command('GET', '/screenshot'), 'base64');
  }

  async close() {
    // Without its session the driver ends the browser too; if that fails, it still goes when its display does.
    await this.command('DELETE', '').catch(() => {});
    this.#end();
  }
}

/** The first line that a program writes to a stream. */
async function firstLine(child, stream) {
  let text = '';
  stream.setEncoding('utf8').on('data', (part) => (text += part));
  for (let tries = 0; !text.includes('\n'); tries++) {
    if (child.failure || child.exitCode !== null || tries === 100) {
      throw new Error(child.failure ?? `${child.spawnfile} does not start (exit code ${child.exitCode})`);
    }
    await pause(100);
  }
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
