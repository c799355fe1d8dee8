// The visitor says no to the camera.

import { CHROMIUM, switches } from '../support/browser.mjs';
import { expect, test } from '../support/rill.mjs';

test.use({ launchOptions: { executablePath: CHROMIUM, args: switches({ webgpu: 'none', microphone: 'denied' }) } });

test('a refused camera is told with a way to allow it, and pictures can still be chosen', async ({ rill }) => {
  await rill.open('./#/pictures');
  await rill.page.getByRole('button', { name: 'Take a picture' }).click();
  const dialog = rill.page.getByRole('dialog', { name: 'Take a picture' });
  const alert = dialog.getByRole('alert');
  await expect(alert).toContainText('This page may not use the camera.');
  await expect(alert).toContainText('Allow it in the browser');
  await expect(dialog.getByRole('button', { name: 'Take it' })).toHaveAttribute('aria-disabled', 'true');
  await dialog.getByRole('button', { name: 'Try again' }).click();
  await expect(alert).toContainText('This page may not use the camera.');
  await rill.page.keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(rill.page.getByText('Choose pictures')).toBeVisible();
});
