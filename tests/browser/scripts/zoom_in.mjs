// Opens the first image and zooms in until tiles of full resolution are drawn; the screenshot is what a person sees.
export default async function zoomIn({ page, url, options }) {
  await page.goto(url);
  await page.waitForSelector("#images a");
  await page.waitForLoadState("networkidle");
  if (options.gallery) await page.screenshot({ path: options.gallery });
  await page.focus("#images a");
  await page.keyboard.press("Enter");
  await page.waitForSelector("#stage canvas");
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(600);
  await page.screenshot({ path: options.overview });
  for (let times = 0; times < 8; times += 1) await page.keyboard.press("+");
  await page.waitForTimeout(900);
  await page.waitForLoadState("networkidle");
  await page.waitForTimeout(300);
  await page.screenshot({ path: options.screenshot });
  return { title: await page.textContent("#viewer-title") };
}
