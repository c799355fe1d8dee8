// The page as its visitor sees it: where things are and what can be done with them. What is expected of them is left
// to the specs.

import { readFile } from 'node:fs/promises';
import { expect, test as base } from '@playwright/test';

/** What is said in the clip that the fake microphone plays. */
export const JFK =
  'and so my fellow americans ask not what your country can do for you ask what you can do for your country';

/** Lower case, no punctuation: what counts of a transcript. */
export const words = (text) => text.toLowerCase().replace(/[^\p{L}\p{N}' ]+/gu, ' ').trim().replace(/\s+/g, ' ');

/** The recorder's clock after its first second; a busy page may be asked too late to see that one. */
export const CLOCK_RUNS = /\d:(0[1-9]|[1-5]\d)/;

/** A transcription of one window on a software adapter. */
export const TRANSCRIPTION = { timeout: 170_000 };

/** A model of 80 MB from this machine. */
export const LOAD = { timeout: 60_000 };

export class RillPage {
  constructor(page) {
    this.page = page;
    /** Uncaught errors, panics included. */
    this.crashes = [];
    /** Requests that left this machine. */
    this.outside = [];
    page.on('pageerror', (error) => this.crashes.push(String(error)));
    page.on('console', (message) => {
      if (message.type() === 'error' && /panicked|unreachable/.test(message.text())) this.crashes.push(message.text());
    });
    page.on('request', (request) => {
      const { protocol, hostname } = new URL(request.url());
      if (protocol.startsWith('http') && hostname !== 'localhost') this.outside.push(request.url());
    });

    this.record = page.getByRole('button', { name: 'Record', exact: true });
    this.stop = page.getByRole('button', { name: 'Stop', exact: true });
    this.level = page.getByRole('meter', { name: 'Microphone level' });
    this.clock = page.locator('.level__clock');
    this.filePicker = page.locator('.recorder input[type=file]');
    this.capability = page.locator('.capability__line');
    this.badge = page.locator('.badge__words');

    this.model = page.getByRole('region', { name: 'Model status' });
    this.load = this.model.getByRole('button', { name: 'Load now' });
    this.cancelLoading = this.model.getByRole('button', { name: 'Cancel loading' });
    this.kept = page.getByText('Kept in this browser', { exact: true });
    this.ready = this.model.getByText('is ready');

    this.transcript = page.getByRole('region', { name: 'Transcript' });
    this.status = this.transcript.getByRole('status');
    this.segments = this.transcript.locator('.segment__text');
    this.cancel = this.transcript.getByRole('button', { name: 'Cancel' });
    this.again = this.transcript.getByRole('button', { name: 'Transcribe again' });
    this.copy = this.transcript.getByRole('button', { name: /^Cop/ });
    this.saveMenu = this.transcript.locator('details.menu');

    this.alert = page.locator('.alert').filter({ visible: true });
    /** What the panel that is showing says of its work. */
    this.work = page.locator('.work-status__words').filter({ visible: true });
    /** How many of how many inputs are done. */
    this.position = page.locator('.work-status__position').filter({ visible: true });
    this.goOn = page.getByRole('button', { name: 'Go on', exact: true });
    this.stopWork = page.getByRole('button', { name: 'Stop', exact: true });
    this.cards = page.locator('.card').filter({ visible: true });
    this.query = page.getByLabel('Query');
    this.sentences = page.getByLabel('Sentences, one a line');
    this.compare = page.getByRole('button', { name: 'Compare' });
    this.ranking = page.getByRole('list', { name: 'Ranking' }).getByRole('listitem');
  }

  /** Open the page and wait until its engine listens. */
  async open(address = './') {
    await this.page.goto(address);
    await this.page.waitForFunction(() => window.rill?.ready.then(() => true));
    return this;
  }

  /** Choose in the settings what models run on, by the words of the option. */
  async runOn(option) {
    const settings = this.page.locator('details.settings:not(.other-model)');
    if (!(await settings.evaluate((fold) => fold.open))) await settings.locator('summary').click();
    await this.page.getByLabel('Runs on').selectOption(option);
  }

  /** Load the chosen speech model, as a visitor does. */
  async loadModel() {
    await this.load.click();
    await expect(this.ready).toBeVisible(LOAD);
  }

  /** Choose a file: `{name, mimeType, buffer}` or a path. */
  async choose(file) {
    await this.filePicker.setInputFiles(file);
  }

  /** Drop files onto the page. */
  async drop(...files) {
    const transfer = await this.transfer(files);
    for (const event of ['dragover', 'drop']) {
      await this.page.locator('main').dispatchEvent(event, { dataTransfer: transfer });
    }
  }

  /** Drop what lies at these paths of this machine, folders too, as a hand does. */
  async dropFromDisk(...paths) {
    const hand = await this.page.context().newCDPSession(this.page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) {
      await hand.send('Input.dispatchDragEvent', { type, x: 400, y: 300, data });
    }
    await hand.detach();
  }

  /** Paste files, as from the clipboard. */
  async paste(...files) {
    await this.page.evaluate(
      (clipboardData) => document.activeElement.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true })),
      await this.transfer(files),
    );
  }

  /** Files as the browser hands them over. */
  transfer(files) {
    return this.page.evaluateHandle(
      (files) => {
        const transfer = new DataTransfer();
        for (const { name, mimeType, base64 } of files) {
          const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
          transfer.items.add(new File([bytes], name, { type: mimeType }));
        }
        return transfer;
      },
      files.map(({ name, mimeType, buffer }) => ({ name, mimeType, base64: buffer.toString('base64') })),
    );
  }

  /** The bars of a picture's card, or of a list of that name: words and scores. */
  async bars(within) {
    const bars = await within.locator('.bars__bar').all();
    return Promise.all(bars.map(async (bar) => [await bar.locator('.bars__words').textContent(), await bar.locator('.bars__score').textContent()]));
  }

  /**
   * Begins to watch for a selector; as soon as it is on the page, Stop is pressed, from within the page: work can be through
   * before a program outside has seen it begin. `stopped` then gives the position that the work had.
   */
  stopAt(selector) {
    return this.page.evaluate((selector) => {
      window.stopped = new Promise((resolve) => {
        const visible = (within) => [...document.querySelectorAll(within)].find((at) => at.getClientRects().length > 0);
        const watch = new MutationObserver(() => {
          if (!visible(selector)) return;
          watch.disconnect();
          resolve(visible('.work-status__position')?.textContent);
          visible('.work-status button')?.click();
        });
        watch.observe(document.body, { subtree: true, childList: true });
      });
    }, selector);
  }

  /** The position at which `stopAt` has pressed Stop. */
  stopped() {
    return this.page.evaluate(() => window.stopped);
  }

  /** The words of the finished segments. */
  async text() {
    return words((await this.segments.allTextContents()).join(' '));
  }

  /** Save by the menu's item of that name; gives the file's name and bytes. */
  async save(item) {
    if (!(await this.saveMenu.evaluate((menu) => menu.open))) await this.saveMenu.locator('summary').click();
    const download = this.page.waitForEvent('download');
    await this.saveMenu.getByRole('button', { name: item }).click();
    const file = await download;
    return { name: file.suggestedFilename(), bytes: await readFile(await file.path()) };
  }

  /** An alert that says all of this, with a hint of what to do. */
  async expectAlert(...says) {
    const alert = this.alert.filter({ hasText: says[0] });
    await expect(alert).toBeVisible({ timeout: 30_000 });
    for (const part of says) await expect(alert).toContainText(part);
    await expect(alert.locator('.alert__hint')).not.toBeEmpty();
    return alert;
  }
}

/** `rill` is the page, not yet opened. A test fails where anything panics or a request leaves the machine. */
export const test = base.extend({
  rill: async ({ page }, use) => {
    const rill = new RillPage(page);
    await use(rill);
    expect(rill.crashes, 'uncaught errors').toEqual([]);
    expect(rill.outside, 'requests that left this machine').toEqual([]);
  },
});

export { expect };
