// Recording in WebKitGTK: without a microphone, and with the one that its engine makes up, which beeps.

import { expect, webkitTest as test } from '../support/visitor.mjs';

test.describe('on a machine without a microphone', () => {
  test.use({ webkitSwitches: {} });

  test('a missing microphone is told', async ({ visitor }) => {
    await visitor.open();
    await visitor.press('Record');
    await expect.poll(() => visitor.text('[role=alert]')).toContain('No microphone was found');
  });
});

test.describe('with a microphone', () => {
  test.use({ webkitSwitches: { args: ['--features=MockCaptureDevices', '--autoplay-policy=allow'] } });

  test('what it hears is shown, counted and kept', async ({ visitor }) => {
    await visitor.open();
    await visitor.press('Record');
    await expect.poll(() => visitor.text('.level__clock')).toContain('0:02');
    const level = () => Number(document.querySelector('[role=meter]').getAttribute('aria-valuenow'));
    await expect.poll(() => visitor.evaluate(level)).toBeGreaterThan(10);
    await visitor.press('Stop');
    await expect.poll(() => visitor.evaluate(level)).toBe(0);
    const canBeSaved = () => {
      const items = [...document.querySelectorAll('.menu__item')];
      return items.some((item) => item.textContent === 'Save recording as WAV' && !item.disabled);
    };
    await expect.poll(() => visitor.evaluate(canBeSaved)).toBe(true);
  });
});
