// For every visitor: any width, light and dark, keyboard alone, screen reader.

import { AxeBuilder } from '@axe-core/playwright';
import { CLOCK_RUNS, LOAD, expect, test } from '../support/rill.mjs';
import { serve, smallWhisper } from '../support/server.mjs';
import { tone } from '../support/wav.mjs';

const WIDTHS = [360, 768, 1440];

/** What axe finds wrong, short enough to read. */
async function violations(page) {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.map(({ id, help, nodes }) => ({ id, help, where: nodes.map((node) => node.target.join(' ')) }));
}

/** Axe at these widths in light and dark, and whether anything is wider than the window. */
async function check(page, what, widths = WIDTHS) {
  for (const colorScheme of ['light', 'dark']) {
    // Without motion: colours on their way from one scheme to the other belong to neither.
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    for (const width of widths) {
      await page.setViewportSize({ width, height: 800 });
      const where = `${what}, ${colorScheme}, ${width} px`;
      expect.soft(await violations(page), where).toEqual([]);
      const tooWide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      expect.soft(tooWide, `${where}: pixels beyond the window`).toBeLessThanOrEqual(0);
    }
  }
}

/** Opens every fold, and those that come to light inside them. */
async function openFolds(page) {
  const closed = page.locator('details:not([open]) > summary').filter({ visible: true });
  for (let n = 0; n < 50 && (await closed.count()) > 0; n++) await closed.first().click();
  await expect(closed).toHaveCount(0);
}

test('the speech page has no barriers: at first, with an error, and with everything open', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  await check(rill.page, 'at first');

  await rill.choose({ name: 'empty.wav', mimeType: 'audio/wav', buffer: Buffer.alloc(0) });
  await rill.expectAlert('The file is empty.');
  await rill.choose(tone(1));
  await expect(rill.status).toContainText('Done', LOAD);
  await openFolds(rill.page);
  await check(rill.page, 'with everything open');
});

const VIEWS = [
  'sentences',
  'sentences/search',
  'sentences/gap',
  'write',
  'pictures',
  'pictures/alike',
  'match',
  'match/search',
  'speed',
  'speed/monitor',
  'speed/compare',
];

test('the other tasks have no barriers', async ({ rill }) => {
  test.setTimeout(300_000);
  await rill.open();
  for (const view of VIEWS) {
    await rill.page.evaluate((view) => (location.hash = `/${view}`), view);
    await expect(rill.page.getByRole('heading', { level: 1 })).toBeVisible();
    // With charts.
    const example = rill.page.getByRole('button', { name: 'Show an example' });
    if (await example.isVisible()) {
      await example.click();
      await expect(rill.page.getByRole('list', { name: 'What was found' })).toBeVisible();
    }
    await openFolds(rill.page);
    await check(rill.page, view, [360, 1440]);
  }
});

test('the help has no barriers', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.page.getByRole('button', { name: 'Help and keyboard shortcuts' }).click();
  await expect(rill.page.getByRole('dialog', { name: 'Help' })).toBeVisible();
  await check(rill.page, 'help');
});

test('Tab goes through the page in the order in which it is read', async ({ rill }) => {
  await rill.open();
  const names = [];
  for (let i = 0; i < 16; i++) {
    await rill.page.keyboard.press('Tab');
    names.push(
      await rill.page.evaluate(() => {
        const at = document.activeElement;
        const label = at.getAttribute('aria-label') ?? at.labels?.[0]?.textContent ?? at.textContent;
        return label.trim().split(/(?<=[a-z])(?=[A-Z])/)[0];
      }),
    );
  }
  expect(names).toEqual([
    'Skip to the work area',
    'Rill',
    'Speech',
    'Sentences',
    'Write',
    'Pictures',
    'Match',
    'Speed',
    'Colours: as the system',
    'Help and keyboard shortcuts',
    'Record',
    'Choose a file',
    expect.stringContaining('Whisper tiny'),
    'Load now',
    'Another model',
    'Settings',
  ]);
});

test('the skip link leads to the work area of the page that is open', async ({ rill }) => {
  await rill.open('./#/sentences');
  await rill.page.keyboard.press('Tab');
  await rill.page.keyboard.press('Enter');
  await expect(rill.page.locator('main')).toBeFocused();
  await expect(rill.page.getByRole('heading', { level: 1 })).toHaveText('Which sentence means the same?');
});

test('single keys record, stop, choose a model and help, and leave typing alone', async ({ rill }) => {
  await serve(rill.page, smallWhisper());
  await rill.open();
  const { keyboard } = rill.page;

  await keyboard.press('?');
  const help = rill.page.getByRole('dialog', { name: 'Help' });
  await expect(help).toBeVisible();
  await keyboard.press('Escape');
  await expect(help).toBeHidden();

  await keyboard.press('/');
  await expect(rill.page.getByRole('radio', { checked: true })).toBeFocused();
  await rill.page.evaluate(() => document.activeElement.blur());

  await keyboard.press('r');
  await expect(rill.stop).toBeVisible();
  await expect(rill.clock).toContainText(CLOCK_RUNS);
  await keyboard.press('Space');
  await expect(rill.record).toBeVisible();
  await expect(rill.status).toContainText('Done', LOAD);

  await rill.page.getByRole('link', { name: 'Sentences', exact: true }).click();
  await rill.query.fill('');
  await rill.query.pressSequentially('r /?');
  await expect(rill.query).toHaveValue('r /?');
  await expect(help).toBeHidden();
});

test('the colours can be chosen, and the choice is kept', async ({ rill }) => {
  await rill.open();
  const ink = () => rill.page.evaluate(() => getComputedStyle(document.body).color);
  const light = await ink();
  await rill.page.getByRole('button', { name: 'Colours: as the system' }).click();
  await rill.page.getByRole('button', { name: 'Colours: light' }).click();
  await expect(rill.page.getByRole('button', { name: 'Colours: dark' })).toBeVisible();
  const dark = await ink();
  expect(dark).not.toBe(light);
  await rill.page.reload();
  await expect(rill.page.getByRole('button', { name: 'Colours: dark' })).toBeVisible();
  expect(await ink()).toBe(dark);
});
