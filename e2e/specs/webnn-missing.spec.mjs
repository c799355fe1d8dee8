// A Chromium that has the WebNN API and nothing behind it: distributions compile the backends out.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { expect, test } from '../support/rill.mjs';

test.use({
  launchOptions: { executablePath: CHROMIUM, args: [...switches(), '--enable-features=WebMachineLearningNeuralNetwork'] },
});

test('WebNN is refused with the browser\'s reason, and no device is claimed', async ({ rill }) => {
  await rill.open();
  expect(await rill.page.evaluate(() => 'ml' in navigator), 'the API is there').toBe(true);
  const [, webnn] = await rill.page.evaluate(() => window.rill.backends());
  expect(webnn).toMatchObject({ backend: 'webnn', available: false, adapter: '' });
  expect(webnn.reason).toContain('the browser gave no context');
  const error = await rill.page.evaluate(() =>
    window.rill.load('whisper-tiny.en', { backend: 'webnn' }).then(
      () => 'it was loaded',
      (error) => error.message,
    ),
  );
  expect(error).toContain('the browser gave no context');
});
