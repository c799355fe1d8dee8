// The engine works in its worker: the page itself is never busy for longer than a frame or three.

import { sample } from '../support/browser.mjs';
import { TRANSCRIPTION, expect, test } from '../support/rill.mjs';

/** Longer tasks are felt. */
const LONGEST_MS = 50;

/** What the page is made of, in the order in which it is built. */
const PARTS = ['.tabs', '.recorder', '.models', '.settings__foot', '.ladder', '.help'];

test('the page is built part by part, each in a task of its own', async ({ rill }) => {
  await rill.page.addInitScript((parts) => {
    window.taskOf = {};
    // Timers' callbacks are tasks of their own.
    let task = 0;
    const { setTimeout } = window;
    window.setTimeout = (callback, ...rest) =>
      setTimeout(() => {
        task += 1;
        callback();
      }, ...rest);
    new MutationObserver(() => {
      for (const part of parts) if (document.querySelector(part)) window.taskOf[part] ??= task;
    }).observe(document, { childList: true, subtree: true });
  }, PARTS);
  await rill.open();
  await expect.poll(() => rill.page.evaluate(() => Object.keys(window.taskOf))).toEqual(PARTS);
  const tasks = await rill.page.evaluate(() => Object.values(window.taskOf));
  expect(tasks, `tasks in which ${PARTS.join(', ')} came`).toEqual([...new Set(tasks)].toSorted((a, b) => a - b));
});

test('no task on the main thread takes longer than 50 ms while a model loads and runs', async ({ rill }) => {
  await rill.open();
  // The start of the page is another matter: how long its parts take to build is the machine's. It ends when the page has said what this browser can do.
  await expect(rill.badge).toContainText('Software GPU');
  await rill.page.evaluate(() => {
    window.longTasks = [];
    const note = (list) => window.longTasks.push(...list.getEntries().map(({ startTime, duration }) => [startTime, duration]));
    new PerformanceObserver(note).observe({ type: 'longtask' });
  });

  await rill.loadModel();
  await rill.choose(sample('jfk'));
  await expect(rill.status).toContainText('Done', TRANSCRIPTION);

  const tasks = await rill.page.evaluate(() => window.longTasks);
  expect(tasks.filter(([, duration]) => duration > LONGEST_MS), '[start, duration] in ms').toEqual([]);
});
