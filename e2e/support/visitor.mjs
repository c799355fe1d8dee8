// A visitor of the page, whatever the browser: what little the tests that run everywhere need to do and see. Playwright
// drives Chromium, `firefox.mjs` and `webkit.mjs` drive the others.

import { expect, test as base } from '@playwright/test';
import { Firefox } from './firefox.mjs';
import { WebKit } from './webkit.mjs';

/** Where the page tells how its work goes, what was said, and about its model. */
export const STATUS = '.transcript [role=status]';
export const SAID = '.segment__text';
export const MODEL = '[aria-label="Model status"]';

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
    return this.page.locator('.recorder input[type=file]').setInputFiles(file);
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

class InWebDriver extends Visitor {
  constructor(driver, baseURL) {
    super();
    this.driver = driver;
    this.baseURL = baseURL;
  }

  goto(address) {
    return this.driver.goto(new URL(address, this.baseURL).href);
  }

  reload() {
    return this.driver.reload();
  }

  evaluate(program, argument) {
    return this.driver.evaluate(program, argument);
  }

  choose(file) {
    return this.driver.type('.recorder input[type=file]', file);
  }

  press(name) {
    const named = (name) => {
      const buttons = [...document.querySelectorAll('button')].filter((at) => at.getClientRects().length > 0);
      return buttons.filter((at) => (at.getAttribute('aria-label') ?? at.textContent).trim() === name);
    };
    return this.driver.click(named, name);
  }

  async set(label, option) {
    await this.driver.click(() => [...document.querySelectorAll('summary')].filter((at) => at.textContent.includes('Settings')));
    const named = ([label, option]) => {
      const labels = [...document.querySelectorAll('label')].filter((at) => at.textContent.startsWith(label));
      return labels.flatMap((at) => [...at.control.options]).filter((at) => at.textContent.trim() === option);
    };
    await this.driver.click(named, [label, option]);
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

/** A visitor in a browser of its own, which forgets everything when it ends, with a picture where the test fails. */
async function visit(driver, { use, info, baseURL }) {
  await driver.resize(1280, 860);
  await use(new InWebDriver(driver, baseURL));
  if (info.status !== info.expectedStatus) {
    // A browser that has crashed or hangs gives none; what failed before it is told all the same.
    const body = await driver.screenshot().catch(() => null);
    if (body) await info.attach('screenshot', { body, contentType: 'image/png' });
  }
}

/** `visitor` in Firefox. */
export const firefoxTest = base.extend({
  ...promises,
  firefoxSwitches: [{}, { option: true }],
  visitor: async ({ firefoxSwitches, baseURL }, use, info) => {
    const firefox = await Firefox.launch(firefoxSwitches);
    try {
      await visit(firefox, { use, info, baseURL });
      expect(await firefox.crashes(new URL(baseURL).origin), 'uncaught errors').toEqual([]);
    } finally {
      await firefox.close();
    }
  },
});

/** `visitor` in WebKitGTK. */
export const webkitTest = base.extend({
  ...promises,
  webkitSwitches: [{}, { option: true }],
  visitor: async ({ webkitSwitches, baseURL }, use, info) => {
    const webkit = await WebKit.launch(webkitSwitches);
    try {
      await visit(webkit, { use, info, baseURL });
    } finally {
      await webkit.close();
    }
  },
});

export { expect };
