// A phone: tap opens, a swipe turns the page, a swipe down closes.
export default async function phone({ page, context, url, options }) {
  const session = await context.newCDPSession(page);
  const touch = (type, points) => session.send("Input.dispatchTouchEvent", { type, touchPoints: points });
  async function swipe(fromX, fromY, toX, toY) {
    await touch("touchStart", [{ x: fromX, y: fromY }]);
    for (let part = 1; part <= 5; part += 1)
      await touch("touchMove", [{ x: fromX + (toX - fromX) * part / 5, y: fromY + (toY - fromY) * part / 5 }]);
    await touch("touchEnd", []);
  }
  const title = () => page.textContent("#viewer-title");
  await page.goto(url);
  await page.waitForSelector("#main[aria-busy=false]");
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: options.screenshot });
  const sideways = await page.evaluate(() => document.documentElement.scrollWidth > innerWidth);
  await page.tap("#images li:nth-child(1) a");
  await page.waitForSelector("#stage canvas");
  await page.waitForLoadState("networkidle");
  const titles = [await title()];
  await swipe(300, 400, 60, 400);
  titles.push(await title());
  await page.waitForLoadState("networkidle");
  await swipe(60, 400, 300, 400);
  titles.push(await title());
  await page.waitForSelector("#stage canvas");
  await page.waitForLoadState("networkidle");
  await page.screenshot({ path: options.screenshot.replace(".png", "-zoom.png") });
  await swipe(180, 250, 185, 600);
  await page.waitForFunction(() => !document.querySelector("#viewer").open);
  return { sideways, titles };
}
