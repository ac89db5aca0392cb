// Opens the canvas named options.name and waits until its video or sound is known to the browser.
export default async function play({ page, url, options }) {
  await page.goto(url);
  await page.waitForSelector("#main[aria-busy=false]");
  await page.click(`#images a:has-text("${options.name}")`);
  await page.waitForFunction(() => document.querySelector("#stage video, #stage audio")?.readyState >= 1);
  await page.screenshot({ path: options.screenshot });
  return page.evaluate(() => ({
    title: document.querySelector("#viewer-title").textContent,
    duration: document.querySelector("#stage video, #stage audio").duration,
  }));
}
