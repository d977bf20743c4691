// Logs in to kvit by an OpenID provider of another site, in a real browser.
//
// Arguments: the address of kvit, that of the provider, a folder for pictures.
import { Browser } from './browser.js';

const [kvit, issuer, pictures] = process.argv.slice(2);
const browser = new Browser(kvit, pictures);

// loggedIn goes the whole way of somebody whom the provider takes at his word.
async function loggedIn(page, name) {
  await browser.go(page, '/login?to=%2Forders');
  await browser.press(page, 'a.button');
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('any');
  await browser.press(page, 'button[type=submit]');
  const agreed = page.waitForFunction((own) => location.href.startsWith(own), {}, kvit);
  await page.locator('button[type=submit]').click();
  await agreed;
}

async function mayEnter() {
  const page = await browser.visitor();
  await browser.go(page, '/login');
  await browser.look(page, 'login-oidc');
  await loggedIn(page, 'anna');
  await page.waitForFunction(() => location.pathname === '/orders');
  await browser.expectText(page, /oidc:anna \(operate\)/, 'who has logged in');
  await browser.press(page, 'header form button');
  await browser.expectText(page, /Log in with localhost/, 'after the logout');
  await browser.go(page, '/orders');
  if (!page.url().startsWith(`${kvit}/login`)) browser.fault(page.url(), 'is there without login');
}

async function mayRead() {
  const page = await browser.visitor();
  await loggedIn(page, 'jon');
  await page.waitForFunction(() => location.pathname === '/orders');
  await browser.expectText(page, /oidc:jon \(read\)/, 'who has logged in');
}

async function mayNotEnter() {
  const page = await browser.visitor();
  await browser.refused(page, async () => {
    await loggedIn(page, 'eve');
    await browser.expectText(page, /You have no role here/, 'who has no role');
    await browser.look(page, 'login-oidc-refused');
  });
}

let failed = 0;
try {
  await browser.start();
  for (const step of [mayEnter, mayRead, mayNotEnter]) await step();
} catch (error) {
  browser.fault('the test itself', error.stack);
} finally {
  await browser.stop();
}
const provider = new URL(issuer).host;
for (const fault of browser.faults) {
  // The provider's own pages are not kvit's.
  if (fault.startsWith(issuer) || fault.endsWith(`asks another host: ${provider}`)) continue;
  console.error(fault);
  failed++;
}
process.exit(failed === 0 ? 0 : 1);
