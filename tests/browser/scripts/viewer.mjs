// Follows the page's own link to a viewer, and waits for pictures of the manifest in it.
export default async function viewer({ page, url, options }) {
  await page.goto(url);
  await page.waitForLoadState("networkidle");
  const href = await page.getAttribute(`#documents a:has-text("${options.viewer}")`, "href");
  await page.goto(href);
  await page.waitForSelector(options.ready);
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(1000);
  await page.screenshot({ path: options.screenshot });
  return { href, text: await page.evaluate(() => document.body.innerText) };
}
