// Runs scripts, each as in a fresh profile of one Chromium: node browse.mjs PLAYWRIGHT CHROMIUM
// Each line on stdin is a JSON object {url, script, options}; for each one line is printed, a JSON object: what the
// script's default export returned, and all that went wrong in the page meanwhile. It ends when stdin does.
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [playwright, executablePath] = process.argv.slice(2);
const { chromium } = createRequire(import.meta.url)(playwright);
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath, headless: true, args: flags, chromiumSandbox: false });

async function browse({ url, script, options }) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, permissions: [], ...options.context });
  const seen = { consoleErrors: [], failedRequests: [], badAnswers: [], images: [], dialogs: [], hosts: [] };
  const hosts = new Set();
  const empty = new WeakSet();  // requests answered 204: Playwright 1.61, the last for the Node 18 of Debian 12, calls them aborted
  function watch(page) {
    page.on("console", (message) => { if (message.type() === "error") seen.consoleErrors.push(`${message.text()} (${message.location().url})`); });
    page.on("pageerror", (error) => seen.consoleErrors.push(String(error)));
    page.on("requestfailed", (request) => { if (!empty.has(request)) seen.failedRequests.push(`${request.url()} ${request.failure()?.errorText}`); });
    page.on("response", (answer) => {
      if (answer.url().startsWith("http")) hosts.add(new URL(answer.url()).host);
      if (answer.status() === 204) empty.add(answer.request());
      if (answer.status() >= 400) seen.badAnswers.push(`${answer.status()} ${answer.url()}`);
      else if (/^image\//.test(answer.headers()["content-type"] ?? "")) seen.images.push(answer.url());
    });
    page.on("dialog", (dialog) => { seen.dialogs.push(dialog.message()); dialog.dismiss(); });
  }
  context.on("page", watch);
  let failure = null;
  let value = null;
  const page = await context.newPage();
  try {
    const run = (await import(pathToFileURL(script).href)).default;
    value = await run({ page, context, url, options });
  } catch (error) {
    failure = String(error.stack ?? error);
    if (options.screenshot) await page.screenshot({ path: options.screenshot });
  }
  seen.hosts = [...hosts];
  await context.close();
  return { value, failure, ...seen };
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await browse(JSON.parse(line)))}\n`);
}
await browser.close();
