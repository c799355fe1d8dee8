// Firefox as it is installed, driven by its own remote protocol, Marionette: WebDriver's commands as
// `length:[0, id, name, parameters]` over TCP (https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html).
// Unlike WebDriver BiDi, which Playwright speaks, it puts no listener on the page's workers: with one, some pages stood
// still for ever while the engine started threads.

import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FIREFOX } from './browser.mjs';
import { TIMEOUTS, WebDriver, start, whenReady } from './webdriver.mjs';

/** It starts in two seconds, and much later on a busy machine. */
const START_S = 60;

export class Firefox extends WebDriver {
  /** Start the browser with a profile of its own; `prefs` and `env` are added to what the tests need of each. */
  static async launch({ webgpu = false, prefs = {}, env = {} } = {}) {
    const profile = await mkdtemp(path.join(os.tmpdir(), 'rill-firefox-'));
    const all = {
      // Port 0: any that is free. Firefox writes its number into the profile.
      'marionette.port': 0,
      // On Linux, both are off; without the second, software adapters are refused.
      'dom.webgpu.enabled': webgpu,
      'gfx.webgpu.ignore-blocklist': webgpu,
      // Microphones are allowed without asking.
      'media.navigator.permission.disabled': true,
      ...prefs,
    };
    const lines = Object.entries(all).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
    await writeFile(path.join(profile, 'user.js'), lines.join(''));
    // The access is for `crashes`, which stand in the browser's console and not in the page's.
    const args = ['--headless', '--no-remote', '--marionette', '--remote-allow-system-access', '--profile', profile];
    const browser = start(FIREFOX, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
    const firefox = new Firefox(browser, profile);
    try {
      await firefox.#open();
      return firefox;
    } catch (error) {
      await firefox.close();
      throw error;
    }
  }

  #browser;
  #profile;
  #socket;
  /** What waits for the answers, by the commands' numbers. */
  #waiting = new Map();
  #n_sent = 0;

  constructor(browser, profile) {
    super();
    this.#browser = browser;
    this.#profile = profile;
  }

  async #open() {
    const file = path.join(this.#profile, 'MarionetteActivePort');
    const port = await whenReady(this.#browser, START_S, () => readFile(file, 'utf8').catch(() => ''));
    this.#socket = connect(Number(port), '127.0.0.1');
    await once(this.#socket, 'connect');
    this.#listen();
    const { capabilities } = await this.#command('WebDriver:NewSession', {});
    this.version = capabilities.browserVersion;
    await this.send('SetTimeouts', TIMEOUTS);
  }

  /** Hands each answer, `length:[1, id, error, result]`, to whom it belongs. Firefox's greeting is none, and is left. */
  #listen() {
    let bytes = Buffer.alloc(0);
    this.#socket.on('data', (part) => {
      bytes = Buffer.concat([bytes, part]);
      for (let colon = bytes.indexOf(':'); colon >= 0; colon = bytes.indexOf(':')) {
        const end = colon + 1 + Number(bytes.toString('latin1', 0, colon));
        if (bytes.length < end) return;
        const message = JSON.parse(bytes.toString('utf8', colon + 1, end));
        bytes = bytes.subarray(end);
        if (!Array.isArray(message)) continue;
        const [, id, error, result] = message;
        this.#waiting.get(id)?.(error, result);
        this.#waiting.delete(id);
      }
    });
    const lost = (error) => this.#waiting.forEach((answer) => answer({ error: 'Firefox has gone', message: String(error) }));
    this.#socket.on('error', lost).on('close', () => lost('the connection is closed'));
  }

  #command(name, parameters) {
    return new Promise((resolve, reject) => {
      if (!this.#socket?.writable) return reject(new Error(`Firefox, ${name}: there is no connection`));
      const id = ++this.#n_sent;
      this.#waiting.set(id, (error, result) =>
        error ? reject(new Error(`Firefox, ${name}: ${error.error}: ${error.message}`)) : resolve(result),
      );
      const message = JSON.stringify([0, id, name, parameters]);
      this.#socket.write(`${Buffer.byteLength(message)}:${message}`);
    });
  }

  /** An answer that is one value comes as `{value}`. */
  async send(name, parameters = {}) {
    const result = await this.#command(`WebDriver:${name}`, parameters);
    return result && 'value' in result ? result.value : result;
  }

  /** Errors that nobody caught, in the pages and their workers: scripts of that origin, those out of a Blob included. */
  async crashes(origin) {
    const script = `return Services.console.getMessageArray()
      .filter((message) => message instanceof Ci.nsIScriptError && message.flags === Ci.nsIScriptError.errorFlag)
      .filter(({ sourceName }) => sourceName.startsWith(arguments[0]) || sourceName.startsWith('blob:' + arguments[0]))
      .map(String);`;
    await this.#command('Marionette:SetContext', { value: 'chrome' });
    try {
      return await this.send('ExecuteScript', { script, args: [origin] });
    } finally {
      await this.#command('Marionette:SetContext', { value: 'content' });
    }
  }

  async close() {
    const ended = this.#browser.exitCode === null && !this.#browser.failure && once(this.#browser, 'exit');
    if (ended) {
      await Promise.race([this.#command('Marionette:Quit', { flags: ['eForceQuit'] }), pause(5_000)]).catch(() => {});
      const isLate = await Promise.race([ended.then(() => false), pause(5_000, true)]);
      if (isLate) {
        this.#browser.kill('SIGKILL');
        await ended;
      }
    }
    this.#socket?.destroy();
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
