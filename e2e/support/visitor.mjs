// A visitor of the page, whatever the browser: what little the tests that run everywhere need to do and see. Playwright
// drives Chromium and Firefox, `webkit.mjs` drives WebKitGTK.

import { readFile } from 'node:fs/promises';
import { expect, test as base } from '@playwright/test';
import { WebKit } from './webkit.mjs';

/** What every browser can do by a program in the page; how it is steered is left to those below. */
class Visitor {
  /** Open the page and wait until its engine listens. */
  async open(address = './') {
    await this.goto(address);
    await expect.poll(() => this.evaluate(() => Boolean(window.rill)), { timeout: 30_000 }).toBe(true);
    await this.evaluate(() => window.rill.ready.then(() => true));
  }

  /** The words that stand where the selector points, or `null` where nothing is. */
  text(selector) {
    return this.evaluate((selector) => document.querySelector(selector)?.textContent ?? null, selector);
  }

  /** The same for every place that it points to. */
  texts(selector) {
    return this.evaluate((selector) => [...document.querySelectorAll(selector)].map((at) => at.textContent), selector);
  }
}

class InPlaywright extends Visitor {
  constructor(page) {
    super();
    this.page = page;
  }

  goto(address) {
    return this.page.goto(address);
  }

  reload() {
    return this.page.reload();
  }

  evaluate(program, argument) {
    return this.page.evaluate(program, argument);
  }

  choose(file) {
    return this.page.locator('input[type=file]').setInputFiles(file);
  }

  press(name) {
    return this.page.getByRole('button', { name, exact: true }).click();
  }

  /** Choose a setting by the words that stand there. */
  async set(label, option) {
    await this.page.locator('summary', { hasText: 'Settings' }).click();
    await this.page.getByLabel(label).selectOption(option);
  }
}

class InWebKit extends Visitor {
  constructor(webkit, baseURL) {
    super();
    this.webkit = webkit;
    this.baseURL = baseURL;
  }

  goto(address) {
    return this.webkit.goto(new URL(address, this.baseURL).href);
  }

  reload() {
    return this.webkit.command('POST', '/refresh', {});
  }

  evaluate(program, argument) {
    return this.webkit.evaluate(program, argument);
  }

  choose(file) {
    return this.webkit.type('input[type=file]', file);
  }

  press(name) {
    const named = (name) => {
      const buttons = [...document.querySelectorAll('button')].filter((at) => at.getClientRects().length > 0);
      return buttons.filter((at) => (at.getAttribute('aria-label') ?? at.textContent).trim() === name);
    };
    return this.webkit.click(named, name);
  }
}

/**
 * What the project's browser has: the backend that a speech model must get there (chosen in the settings where `byHand`
 * names it), and whether memory can be shared between threads.
 */
const promises = { has: [{ backend: 'wasm', threads: true }, { option: true }] };

/** `visitor` in a browser that Playwright drives. */
export const test = base.extend({
  ...promises,
  visitor: async ({ page }, use) => {
    const crashes = [];
    page.on('pageerror', (error) => crashes.push(String(error)));
    await use(new InPlaywright(page));
    expect(crashes, 'uncaught errors').toEqual([]);
  },
});

/** `visitor` in WebKitGTK. Its session forgets everything when it ends, so each test has a session of its own. */
export const webkitTest = base.extend({
  ...promises,
  webkitSwitches: [{}, { option: true }],
  visitor: async ({ webkitSwitches, baseURL }, use, info) => {
    const webkit = await WebKit.launch(webkitSwitches);
    try {
      await webkit.resize(1280, 860);
      await use(new InWebKit(webkit, baseURL));
      if (info.status !== info.expectedStatus) {
        await info.attach('screenshot', { body: await webkit.screenshot(), contentType: 'image/png' });
      }
    } finally {
      await webkit.close();
    }
  },
});

export { expect };
