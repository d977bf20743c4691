// What every look at a page has in common: a Chromium, pages that report what they should not do, and a judge of what
// is seen. What is wrong is kept in `faults` and told at the end, so that one run tells all of it.
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import puppeteer from 'puppeteer-core';

const axe = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

// Widths at which each page is looked at: a phone, and a desk.
const phone = { width: 360, height: 740 };
const desk = { width: 1280, height: 900 };

// Pictures are no taller: of a list of 200 orders the first ones are enough.
const tallest = 2600;

export class Browser {
  constructor(base, pictures) {
    this.base = new URL(base);
    this.pictures = pictures;
    this.faults = [];
    this.expected = new Set();
    this.axe = readFileSync(axe, 'utf8');
    mkdirSync(pictures, { recursive: true });
  }

  async start() {
    this.chromium = await puppeteer.launch({
      executablePath: process.env.KVIT_CHROMIUM || '/usr/bin/chromium',
      // Root may not have Chromium's sandbox, and CI is root; all pages come from this machine.
      args: process.getuid() === 0 ? ['--no-sandbox'] : [],
    });
  }

  stop() { return this.chromium?.close(); }

  fault(where, what) { this.faults.push(`${where}: ${what}`); }

  // visitor is a page with cookies of its own.
  async visitor() {
    const context = await this.chromium.createBrowserContext();
    const page = await context.newPage();
    await page.setViewport(desk);
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      if (message.type() !== 'error' && message.type() !== 'warn') return;
      if (this.expected.has(page) && /status of 40[0-9]/.test(message.text())) return; // Chromium tells of each refusal
      this.fault(page.url(), `console: ${message.text()}`);
    });
    page.on('pageerror', (error) => this.fault(page.url(), `script: ${error.message}`));
    page.on('request', (request) => {
      const url = new URL(request.url());
      if (url.protocol !== 'data:' && url.host !== this.base.host) this.fault(page.url(), `asks another host: ${url.host}`);
    });
    page.on('response', (response) => {
      if (response.status() >= 500) this.fault(response.url(), `answers ${response.status()}`);
    });
    return page;
  }

  // refused runs what is meant to be answered with an error of the visitor's own.
  async refused(page, act) {
    this.expected.add(page);
    await act();
    this.expected.delete(page);
  }

  async go(page, path) {
    const response = await page.goto(new URL(path, this.base), { waitUntil: 'load' });
    if (!response.ok()) this.fault(path, `answers ${response.status()}`);
    return response;
  }

  // press clicks what leads to another page, and waits for it.
  async press(page, selector) {
    await Promise.all([page.waitForNavigation({ waitUntil: 'load' }), page.locator(selector).click()]);
  }

  text(page) { return page.evaluate(() => document.body.innerText); }

  async expectText(page, pattern, what) {
    const text = await this.text(page);
    if (!pattern.test(text)) this.fault(page.url(), `${what}: no ${pattern} in ${JSON.stringify(text.slice(0, 400))}`);
  }

  // look judges the page as it is, small and large, light and dark, and takes pictures.
  async look(page, name) {
    for (const [size, viewport] of Object.entries({ desk, phone })) {
      await page.setViewport(viewport);
      for (const scheme of ['light', 'dark']) {
        await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
        const where = `${name}, ${size}, ${scheme}`;
        const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), tallest);
        await page.screenshot({
          path: join(this.pictures, `${name}-${size}-${scheme}.png`), captureBeyondViewport: true,
          clip: { x: 0, y: 0, width: viewport.width, height: Math.max(height, viewport.height) },
        });
        const wider = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        if (wider > 0) this.fault(where, `is ${wider} px wider than the window`);
        if ((size === 'desk') === (scheme === 'light')) await this.judge(page, where); // each size and each scheme once
      }
    }
    await page.setViewport(desk);
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: 'light' }]);
  }

  // judge asks axe. The page's policy keeps foreign scripts out; DevTools' own evaluation is not bound by it. Rows of a list are
  // alike: the first ones are enough, and 200 would take long.
  async judge(page, where) {
    if (!await page.evaluate(() => 'axe' in window)) await page.evaluate(this.axe);
    const { violations } = await page.evaluate(() => axe.run({ include: [['html']], exclude: [['tbody > tr:nth-child(n+21)']] }, { resultTypes: ['violations'] }));
    for (const v of violations) {
      if (v.impact !== 'serious' && v.impact !== 'critical') continue;
      const first = v.nodes[0];
      this.fault(where, `axe: ${v.help} (${v.id}), ${v.nodes.length} times, first ${first.html} ${first.any?.[0]?.message ?? ''}`);
    }
  }
}
