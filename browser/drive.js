// Drives the pages of a running kvit demo as its operator would, from the login to the logout:
//
//	node drive.js ADDRESS USER PASSWORD FOLDER
//
// Pictures of each page go to FOLDER. It exits with 1 if anything was wrong, after telling all of it.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Browser } from './browser.js';

const [address, user, password, pictures] = process.argv.slice(2);
if (!pictures) {
  console.error('usage: node drive.js ADDRESS USER PASSWORD FOLDER');
  process.exit(2);
}

const browser = new Browser(address, pictures);
const began = Date.now();

// step runs one part of the way. What breaks it is a fault like any other, and the next part is tried.
async function step(name, page, act) {
  try {
    await act();
    console.log(`${((Date.now() - began) / 1000).toFixed(1).padStart(6)} s  ${name}`);
  } catch (error) {
    browser.fault(name, `${error.message.split('\n')[0]} (at ${page.url()})`);
    await page.screenshot({ path: join(pictures, 'broken.png'), fullPage: true }).catch(() => {});
  }
}

async function logIn(page, name, word) {
  await page.locator('#name').fill(name);
  await page.locator('#password').fill(word);
  await browser.press(page, '.login form button');
}

function expect(page, holds, what) {
  if (!holds) browser.fault(page.url(), what);
}

const path = (page) => new URL(page.url()).pathname;

// act opens what hides a form, and presses its button.
async function act(page, form, fields) {
  await page.$eval(form, (f) => { const hidden = f.closest('details'); if (hidden) hidden.open = true; });
  for (const [name, value] of Object.entries(fields)) await page.locator(`${form} [name=${name}]`).fill(value);
  await browser.press(page, `${form} button:not(.quiet)`);
}

// cell is the state that the list of orders shows for an order at a destination.
const cell = (page, order) => page.evaluate(({ ref, destination }) => {
  const column = [...document.querySelectorAll('table.orders thead th')].findIndex((th) => th.textContent === destination);
  const row = [...document.querySelectorAll('table.orders tbody tr')].find((tr) => tr.querySelector('a')?.textContent === ref);
  return row?.children[column]?.querySelector('.state')?.textContent ?? '';
}, order);

// untilDone waits for an operation; its page refreshes itself.
const untilDone = (page) => page.waitForFunction(() => /^(done|failed)$/.test(document.querySelector('#operation .state').textContent), { timeout: 60_000 });

// status asks from within a page, with its cookies, and tells no more than the status of the answer.
const status = (page, method, where) => page.evaluate(async (m, w) => (await fetch(w, { method: m, redirect: 'manual' })).status, method, where);

async function firstSeconds(page) {
  await browser.go(page, '/');
  expect(page, path(page) === '/login', 'the overview is shown without a login');
  await browser.look(page, '01-login');
  await browser.refused(page, () => logIn(page, user, 'wrong'));
  await browser.expectText(page, /Name or password are wrong/, 'a wrong password');
  await browser.look(page, '02-login-refused');
  await logIn(page, user, password);
  expect(page, path(page) === '/', 'the login does not lead to the overview');
}

async function overview(page) {
  await browser.go(page, '/');
  await browser.expectText(page, /Destinations/, 'the overview');
  await browser.look(page, '03-overview');
}

// retrying looks at orders that wait for another attempt, and stays with one until it is delivered.
async function retrying(page, order) {
  for (let tries = 0; tries < 60 && !order.ref; tries++) {
    await browser.go(page, '/orders?destination=webhook&state=retrying');
    order.ref = await page.evaluate(() => document.querySelector('table.orders tbody a')?.textContent ?? '');
  }
  order.destination = 'webhook';
  await browser.go(page, '/orders');
  expect(page, await cell(page, order) === 'retrying', `${order.ref} is not shown as retrying`);
  await page.screenshot({ path: join(pictures, '04-orders-retrying.png') });
  await page.waitForFunction(({ ref }) => {
    const row = [...document.querySelectorAll('table.orders tbody tr')].find((tr) => tr.querySelector('a')?.textContent === ref);
    const states = [...row.querySelectorAll('.state')].map((s) => s.textContent);
    return !states.includes('retrying') && !states.includes('pending');
  }, { timeout: 60_000 }, order);
  expect(page, await cell(page, order) === 'delivered', `${order.ref} ended as ${await cell(page, order)}`);
  await browser.look(page, '05-orders');
}

async function oneOrder(page, order) {
  await page.locator('#q').fill(order.ref);
  await browser.press(page, 'form.filter button');
  expect(page, path(page) === '/orders/one', `a search for ${order.ref} does not lead to it`);
  await browser.expectText(page, new RegExp(`Order ${order.ref}`), 'the page of an order');
  await browser.expectText(page, /1 to 2/, 'the number of attempts');
  await browser.expectText(page, /not delivered/, 'the attempt that failed');
  await browser.look(page, '06-order');
  await browser.go(page, `/orders?q=order_placed:${order.ref}`);
  await browser.expectText(page, new RegExp(`Order ${order.ref}`), 'a search by event key');
  await browser.go(page, '/orders?q=no-such-order');
  await browser.expectText(page, /Nothing has this reference/, 'a search that finds nothing');
}

// replay sends one delivered event again, from the page of its order.
async function replay(page, order) {
  await browser.go(page, `/orders/one?ref=${order.ref}`);
  await browser.press(page, `a[href*="action=replay"][href*="destination=${order.destination}"]`);
  await browser.expectText(page, /Can be acted on\s*1\b/, 'the preview of one event');
  await browser.look(page, '07-replay-one');
  await act(page, 'form.action[action="/replay"]', { number: '1', reason: 'its receiver lost it' });
  await untilDone(page);
  await browser.expectText(page, /Done: 1 of 1 events/, 'the replay');
  await browser.go(page, `/orders/one?ref=${order.ref}`);
  await page.waitForFunction(() => /sent again by demo: its receiver lost it/.test(document.body.innerText), { timeout: 30_000 });
  await browser.look(page, '08-order-replayed');
}

async function bulk(page) {
  await browser.go(page, '/replay');
  await browser.look(page, '09-replay');
  const before = new Date(Date.now() - 2000).toISOString().slice(0, 19) + 'Z';
  await browser.go(page, '/replay?action=replay&destination=webhook');
  await browser.expectText(page, /Nobody acts on everything at once/, 'an action without a filter');
  await browser.go(page, `/replay?action=replay&destination=webhook&outcome=withheld&until=${before}`);
  const selected = await page.$eval('dl.figures dd strong', (e) => e.textContent.replace(',', ''));
  expect(page, Number(selected) > 0, 'nothing was withheld: the demo has changed');
  await browser.look(page, '10-bulk-preview');
  await browser.refused(page, () => act(page, 'form.action[action="/replay"]', { number: String(Number(selected) + 1), reason: 'consent came later' }));
  await browser.expectText(page, /not the number you have typed/, 'a wrong number');
  await browser.look(page, '11-bulk-refused');
  await page.goBack();
  await act(page, 'form.action[action="/replay"]', { number: selected, reason: 'consent came later' });
  await untilDone(page);
  await browser.expectText(page, new RegExp(`Done: \\d+ of ${selected} events`), 'the bulk action');
  await browser.look(page, '12-bulk-done');
}

async function pause(page) {
  await browser.go(page, '/destinations');
  await browser.look(page, '13-destinations');
  await act(page, 'form[action="/destinations/webhook/pause"]', { reason: 'the receiver is being moved' });
  await browser.expectText(page, /webhook is paused since .* by demo: the receiver is being moved/, 'the banner');
  await browser.look(page, '14-destinations-paused');
  for (const other of ['/', '/orders', '/erasure']) {
    await browser.go(page, other);
    await browser.expectText(page, /webhook is paused since/, 'the banner');
  }
  await browser.go(page, '/');
  await browser.look(page, '15-overview-paused');
  await browser.go(page, '/destinations');
  await act(page, 'form[action="/destinations/webhook/resume"]', { reason: 'the receiver is back' });
  expect(page, !/is paused since/.test(await browser.text(page)), 'the banner stays after the resume');
}

async function testEvent(page) {
  await browser.go(page, '/destinations');
  await act(page, 'form[action="/destinations/webhook/test"]', { reason: 'a look at the new receiver' });
  await untilDone(page);
  await browser.look(page, '16-test-event');
}

async function erasure(page) {
  await browser.go(page, '/erasure');
  await act(page, 'form[action="/erasure/dry-run"]', { reason: 'before the audit' });
  await untilDone(page);
  await browser.expectText(page, /rolled back: nothing is erased/, 'the dry run');
  await browser.look(page, '17-dry-run');
  await browser.go(page, '/erasure');
  await act(page, 'form[action="/erasure/verify"]', { reason: 'before the audit' });
  await untilDone(page);
  await browser.look(page, '18-verified');
  await browser.go(page, '/erasure');
  await browser.look(page, '19-erasure');
}

// certificates waits for the first order that is erased: a month of the demo after it was marked.
async function certificates(page) {
  for (let looked = 0; !await page.$('tbody th a') && Date.now() - began < 330_000; looked++) {
    if (looked) await page.evaluate(() => new Promise((resolve) => { setTimeout(resolve, 2000); }));
    await browser.go(page, '/erasure/certificates');
  }
  await browser.look(page, '20-certificates');
  await browser.press(page, 'tbody th a');
  await browser.expectText(page, /It is unchanged/, 'a certificate');
  await browser.look(page, '21-certificate');
}

async function erp(page) {
  await browser.go(page, '/erp');
  await browser.look(page, '22-erp');
  await browser.go(page, '/audit');
  await browser.expectText(page, /the receiver is being moved/, 'the audit');
  await browser.look(page, '23-audit');
}

// csv downloads the list as a browser does.
async function csv(page) {
  const folder = mkdtempSync(join(tmpdir(), 'kvit-pages-'));
  try {
    const devtools = await page.createCDPSession();
    await devtools.send('Browser.setDownloadBehavior', {
      behavior: 'allow', downloadPath: folder, eventsEnabled: true, browserContextId: page.browserContext().id,
    });
    await browser.go(page, '/orders?destination=webhook');
    const done = new Promise((resolve) => devtools.on('Browser.downloadProgress', (e) => e.state !== 'inProgress' && resolve(e.state)));
    await page.locator('a[href^="/orders.csv"]').click();
    expect(page, await done === 'completed', 'the download did not end');
    const [name] = readdirSync(folder);
    const [head, ...rows] = readFileSync(join(folder, name), 'utf8').trimEnd().split('\r\n');
    expect(page, name === 'orders.csv' && head === '\uFEFForder_ref,newest_event_at,destination,state,at,event,attempts,events,delivered,reason', `a file ${name} of ${head}`);
    expect(page, rows.length > 0 && rows.every((r) => /^E\d{6},/.test(r)), `rows such as ${rows[0]}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// share makes a link, opens it in a browser that has never been here, and revokes it.
async function share(page) {
  await browser.go(page, '/shares');
  await act(page, 'form[action="/shares"]', { note: 'agency, go-live in May' });
  const link = await page.$eval('#new', (input) => input.value);
  await browser.look(page, '24-share-made');
  const stranger = await browser.visitor();
  await browser.go(stranger, link);
  await browser.expectText(stranger, /What was sent to spread/, 'the shared page');
  expect(stranger, !/Log out/.test(await browser.text(stranger)), 'the shared page knows a user');
  expect(stranger, await stranger.evaluate(() => document.querySelectorAll('form, button:not([data-pause])').length) === 0, 'the shared page has a form');
  await browser.look(stranger, '25-share');
  expect(stranger, await status(stranger, 'GET', `${new URL(link).pathname}/orders.csv`) === 200, 'the shared list cannot be downloaded');
  await browser.go(stranger, '/orders');
  expect(stranger, path(stranger) === '/login', 'the link opens more than its page');

  await browser.go(page, '/shares');
  await browser.press(page, 'form[action$="/revoke"] button');
  await browser.look(page, '26-share-revoked');
  await browser.refused(stranger, async () => {
    const answer = await stranger.goto(link);
    expect(stranger, answer.status() === 404, `a revoked link answers ${answer.status()}`);
    await browser.expectText(stranger, /This link does not work/, 'a revoked link');
    expect(stranger, await status(stranger, 'GET', `${new URL(link).pathname}/orders.csv`) === 404, 'the list of a revoked link can be downloaded');
  });
  await browser.look(stranger, '27-share-refused');
  await stranger.close();
}

// river looks at River UI, which is not kvit's: its widths and what axe says of it are not judged.
async function river(page) {
  await browser.go(page, '/river/');
  await page.waitForFunction(() => /deliver/i.test(document.body.innerText), { timeout: 30_000 });
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.screenshot({ path: join(pictures, `28-river-desk-${scheme}.png`) });
  }
  await browser.refused(page, async () => {
    for (const [method, where] of [['POST', '/river/api/jobs/cancel'], ['POST', '/river/api/jobs/delete'], ['POST', '/river/api/jobs/retry'], ['PUT', '/river/api/queues/webhook/pause']]) {
      expect(page, await status(page, method, where) === 403, `River UI takes ${method} ${where}`);
    }
  });
}

// refresh watches how often the page asks, with a clock that runs faster: while it is looked at, paused, and hidden.
async function refresh() {
  const page = await browser.visitor();
  await browser.go(page, '/');
  await logIn(page, user, password);
  await page.evaluateOnNewDocument(() => {
    const real = window.setInterval;
    window.setInterval = (f, ms) => real(f, ms / 50);
    let hidden = false;
    Object.defineProperty(document, 'hidden', { get: () => hidden });
    window.hide = (is) => { hidden = is; document.dispatchEvent(new Event('visibilitychange')); };
  });
  await browser.go(page, '/orders');
  let asked = 0;
  page.on('request', () => { asked++; });
  const during = async (ms) => {
    await page.waitForNetworkIdle({ idleTime: 100, timeout: 5000 }).catch(() => {}); // what was asked before
    const before = asked;
    await page.evaluate((t) => new Promise((resolve) => { setTimeout(resolve, t); }), ms);
    return asked - before;
  };
  await page.waitForRequest(() => true);
  await page.locator('[data-pause]').click();
  expect(page, await page.$eval('[data-pause]', (b) => b.getAttribute('aria-pressed')) === 'true', 'the button does not say that it is pressed');
  expect(page, await during(1500) === 0, 'a paused page asks');
  await page.locator('[data-pause]').click();
  await page.waitForRequest(() => true);
  await page.evaluate(() => window.hide(true));
  expect(page, await during(1500) === 0, 'a hidden page asks');
  const again = page.waitForRequest(() => true);
  await page.evaluate(() => window.hide(false));
  await again;
  await page.close();
}

// reader is somebody who may look and not act.
async function reader() {
  const page = await browser.visitor();
  await browser.go(page, '/');
  await logIn(page, 'reader', password);
  for (const where of ['/', '/orders', '/destinations', '/erp', '/erasure', '/replay?destination=webhook&outcome=withheld', '/shares', '/audit']) {
    await browser.go(page, where);
    const forms = await page.$$eval('form[method=post]', (all) => all.map((f) => f.getAttribute('action')));
    expect(page, forms.join() === '/logout', `a reader sees the forms ${forms.join()}`);
  }
  await browser.go(page, '/destinations');
  await browser.look(page, '29-destinations-reader');
  await browser.refused(page, async () => {
    for (const where of ['/destinations/webhook/pause', '/destinations/webhook/test', '/replay', '/erasure/run', '/erasure/dry-run', '/shares']) {
      expect(page, await status(page, 'POST', where) === 403, `a reader may POST ${where}`);
    }
  });
  await page.close();
}

// plainly goes without JavaScript, by the keyboard.
async function plainly() {
  const page = await browser.visitor();
  await page.setJavaScriptEnabled(false);
  const enter = async (selector, text) => {
    await page.focus(selector);
    await page.keyboard.type(text);
  };
  const press = (key) => Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.keyboard.press(key)]);
  await browser.go(page, '/');
  await enter('#name', user);
  await enter('#password', password);
  await press('Enter');
  await browser.go(page, '/orders');
  const ref = await page.$eval('table.orders tbody a', (a) => a.textContent);
  await enter('#q', ref);
  await press('Enter');
  await browser.expectText(page, new RegExp(`Order ${ref}`), 'a search without JavaScript');
  expect(page, await page.$eval('[data-pause]', (b) => b.hidden), 'a button is shown that does nothing without JavaScript');
  for (const [what, told] of [['pause', /spread is paused since/], ['resume', /spread works again/]]) {
    await browser.go(page, '/destinations');
    if (what === 'pause') {
      await page.focus('#spread summary');
      await page.keyboard.press('Enter');
    }
    await enter(`#${what}-spread`, 'a look without JavaScript');
    await press('Enter');
    await browser.expectText(page, told, `${what} without JavaScript`);
  }
  await page.close();
}

async function logOut(page) {
  await browser.go(page, '/');
  await browser.press(page, 'form[action="/logout"] button');
  expect(page, path(page) === '/login', 'the logout does not lead to the login');
  await page.goBack();
  await page.reload();
  expect(page, path(page) === '/login', 'a page is shown after the logout');
  for (const where of ['/orders', '/orders.csv', '/river/']) {
    await browser.go(page, where);
    expect(page, path(page) === '/login', `${where} is shown after the logout`);
  }
  await browser.refused(page, async () => {
    expect(page, await status(page, 'POST', '/destinations/webhook/pause') === 401, 'an action is done after the logout');
  });
}

await browser.start();
const page = await browser.visitor();
const order = {};
await step('log in', page, () => firstSeconds(page));
await step('overview', page, () => overview(page));
await step('an order turns from retrying to delivered', page, () => retrying(page, order));
await step('one order', page, () => oneOrder(page, order));
await step('replay one event', page, () => replay(page, order));
await step('bulk action', page, () => bulk(page));
await step('pause and resume', page, () => pause(page));
await step('test event', page, () => testEvent(page));
await step('erasure', page, () => erasure(page));
await step('ERP and audit', page, () => erp(page));
await step('CSV', page, () => csv(page));
await step('share link', page, () => share(page));
await step('River UI', page, () => river(page));
await step('refresh', page, () => refresh());
await step('a reader', page, () => reader());
await step('without JavaScript', page, () => plainly());
await step('certificates', page, () => certificates(page));
await step('log out', page, () => logOut(page));
await browser.stop();

for (const fault of browser.faults) console.error(`WRONG  ${fault}`);
process.exit(browser.faults.length > 0 ? 1 : 0);
