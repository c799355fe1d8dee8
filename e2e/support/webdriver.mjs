// What the browsers that WebDriver drives have in common: its commands (https://www.w3.org/TR/webdriver2/) as far as the
// tests need them. How a command travels is left to `firefox.mjs` and `webkit.mjs`.

import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';

/** The name by which WebDriver hands elements over (section 12.2 of the specification). */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** How long a program of the page and the loading of a page may take, in milliseconds. */
export const TIMEOUTS = { script: 600_000, pageLoad: 60_000 };

export class WebDriver {
  /** Sends a command by its name in `send`'s own table; gives its value. Left to the browser. */
  async send(name) {
    throw new Error(`nothing sends ${name}`);
  }

  goto(url) {
    return this.send('Navigate', { url });
  }

  reload() {
    return this.send('Refresh');
  }

  /**
   * What an (asynchronous) function of the page gives for one argument; both travel as JSON. The page's own `eval` calls it:
   * Firefox runs a driver's scripts beside the page, where an object is another world's.
   */
  async evaluate(program, argument = null) {
    const call = `Promise.resolve(${JSON.stringify(argument)}).then(${program})`;
    const script = `const [call, done] = arguments;
      window.eval(call).then((value) => done({ value }), (error) => done({ error: String(error) }));`;
    const { value, error } = await this.send('ExecuteAsyncScript', { script, args: [call] });
    if (error) throw new Error(`in the page: ${error}`);
    return value ?? undefined;
  }

  /** Click on the only element that a function of the page gives, as a mouse does. */
  async click(program, argument = null) {
    const script = `return (${program})(arguments[0])`;
    const [element, ...others] = await this.send('ExecuteScript', { script, args: [argument] });
    if (!element || others.length) throw new Error(`${others.length + (element ? 1 : 0)} elements for ${JSON.stringify(argument)}`);
    await this.send('ElementClick', { id: element[ELEMENT] });
  }

  /** Type into the element that a selector names; for a file input, the path of the file to choose. */
  async type(selector, text) {
    const element = await this.send('FindElement', { using: 'css selector', value: selector });
    await this.send('ElementSendKeys', { id: element[ELEMENT], text });
  }

  /** Make the window this large, in CSS pixels, its frame included. */
  resize(width, height) {
    return this.send('SetWindowRect', { width, height });
  }

  /** A picture of the window, PNG. */
  async screenshot() {
    return Buffer.from(await this.send('TakeScreenshot', { full: false }), 'base64');
  }
}

/** Start a program. Whoever waits for it finds in `failure` why it cannot be started. */
export function start(program, args, options) {
  const child = spawn(program, args, options);
  child.on('error', (error) => (child.failure = `${program} cannot be started (${error.message}): run \`cargo xtask setup\``));
  return child;
}

/** What `attempt` gives as soon as it gives something; an error where the program has ended or `seconds` have passed. */
export async function whenReady(child, seconds, attempt) {
  for (const end = Date.now() + 1_000 * seconds; ; ) {
    const found = await attempt();
    if (found) return found;
    if (child.failure || child.exitCode !== null || Date.now() > end) {
      throw new Error(child.failure ?? `${child.spawnfile} does not answer (exit code ${child.exitCode})`);
    }
    await pause(100);
  }
}
