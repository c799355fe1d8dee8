// Models that are on no list: from files, by an address, in the wrong tab, of a kind that is not known.

import { model } from '../support/files.mjs';
import { LOAD, expect, test } from '../support/rill.mjs';

const config = (changes) => Buffer.from(JSON.stringify(changes));

test('files of a model are loaded, and one that belongs to another tab is told where it went', async ({ rill }) => {
  await rill.open('./#/write');
  await rill.drop(...model('bert/bert'));
  const alert = await rill.expectAlert('a model that fills gaps in sentences');
  await alert.getByRole('button', { name: 'Open Sentences' }).click();
  await expect(rill.page.getByRole('heading', { level: 1 })).toHaveText('Which word is missing?');
  await expect(rill.ready).toBeVisible(LOAD);
  await expect(rill.page.getByRole('radio', { name: /Your files 1/ })).toBeChecked();
});

test('what is no known model is said clearly, and the page goes on', async ({ rill }) => {
  await rill.open('./#/write');
  await rill.drop(...model('bert/bert', { 'config.json': config({ model_type: 'mamba' }) }));
  await rill.expectAlert('mamba', 'known are');
  await rill.drop(...model('bert/bert').filter(({ name }) => name !== 'model.safetensors'));
  await rill.expectAlert('no whole model', 'model.safetensors is missing');

  await rill.page.locator('summary', { hasText: 'Another model' }).click();
  const address = rill.page.getByLabel('From the model hub, or an address');
  await address.fill('flan t5');
  await rill.page.getByRole('button', { name: 'Load it' }).click();
  await expect(rill.page.getByText('Write owner/name as on the model hub')).toBeVisible();
  await expect(address).toHaveAttribute('aria-invalid', 'true');
});

/** The hub has a small BERT under this name; gives the addresses asked for. */
async function hub(page, repository) {
  const files = Object.fromEntries(model('bert/bert').map(({ name, buffer }) => [name, buffer]));
  const asked = [];
  await page.route((url) => url.hostname === 'huggingface.co' && url.pathname.includes(`/${repository}/`), (route) => {
    const { pathname } = new URL(route.request().url());
    asked.push(pathname);
    const name = pathname.split('/').at(-1);
    const headers = { 'access-control-allow-origin': '*', 'cross-origin-resource-policy': 'cross-origin' };
    return files[name] ? route.fulfill({ body: files[name], headers }) : route.fulfill({ status: 404, headers });
  });
  return asked;
}

/** Name a model under "Another model". */
async function name(rill, words) {
  await rill.page.locator('summary', { hasText: 'Another model' }).click();
  await rill.page.getByLabel('From the model hub, or an address').fill(words);
  await rill.page.keyboard.press('Enter');
}

test('a repository is loaded at the revision that is asked for', async ({ rill }) => {
  const asked = await hub(rill.page, 'small-bert');
  await rill.open('./#/sentences/gap');
  await name(rill, 'someone/small-bert@refs/pr/7');
  await expect(rill.ready).toContainText('small-bert@refs/pr/7', LOAD);
  expect(asked).toContain('/someone/small-bert/resolve/refs%2Fpr%2F7/config.json');
  expect(asked.filter((path) => path.includes('/resolve/') && !path.includes('refs%2Fpr%2F7'))).toEqual([]);
  rill.outside.length = 0;
});

test('a repository of one word is loaded, in the page and by a program', async ({ rill }) => {
  const asked = await hub(rill.page, 'oldest-bert');
  await rill.open('./#/sentences/gap');
  await name(rill, 'oldest-bert');
  await expect(rill.ready).toContainText('oldest-bert', LOAD);
  expect(asked).toContain('/oldest-bert/resolve/main/config.json');
  const loaded = await rill.page.evaluate(async () => (await window.rill.load('oldest-bert@v2', { backend: 'wasm' })).model);
  expect(loaded).toBe('oldest-bert@v2');
  expect(asked).toContain('/oldest-bert/resolve/v2/config.json');
  rill.outside.length = 0;
});

test('a repository of the hub is loaded by its name, and offered again on the next visit', async ({ rill }) => {
  await hub(rill.page, 'small-bert');
  await rill.open('./#/sentences/gap');
  await name(rill, 'https://huggingface.co/someone/small-bert/tree/main');
  await expect(rill.ready).toContainText('small-bert', LOAD);
  rill.outside.length = 0;

  await rill.page.reload();
  await expect(rill.page.getByRole('radio', { name: /small-bert/ })).toBeChecked();
});
