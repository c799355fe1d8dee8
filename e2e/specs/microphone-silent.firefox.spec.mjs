// Recording in Firefox on a machine that has a microphone and no sound output: its audio never starts.

import { expect, firefoxTest as test } from '../support/visitor.mjs';

test.use({ firefoxSwitches: { prefs: { 'media.navigator.streams.fake': true } } });

test('without a sound output the page says why it cannot record', async ({ visitor }) => {
  await visitor.open();
  await visitor.press('Record');
  await expect.poll(() => visitor.text('[role=alert]'), { timeout: 30_000 }).toContain('audio does not start');
  expect(await visitor.text('[role=alert]')).toContain('speakers or headphones');
  const canRecord = () => document.querySelector('.record').getAttribute('aria-disabled') === 'false';
  expect(await visitor.evaluate(canRecord)).toBe(true);
});
