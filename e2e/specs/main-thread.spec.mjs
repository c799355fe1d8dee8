// The engine works in its worker: the page itself is never busy for longer than a frame or three.

import { sample } from '../support/browser.mjs';
import { TRANSCRIPTION, expect, test } from '../support/rill.mjs';

/** Longer tasks are felt. */
const LONGEST_MS = 50;

test('no task on the main thread takes longer than 50 ms while a model loads and runs', async ({ rill }) => {
  await rill.open();
  // The start of the page is another matter: it ends when the page has said what this browser can do.
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
