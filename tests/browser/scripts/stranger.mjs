// Opens a page that is not ours, and says whether its script ran.
export default async function stranger({ page, url }) {
  await page.goto(url);
  await page.waitForLoadState("networkidle");
  return { ran: await page.evaluate(() => Boolean(window.strangerRan)) };
}
