// Opens the first image by keyboard, turns pages, closes; says what was where after each step.
const state = (page) => page.evaluate(() => ({
  open: document.querySelector("#viewer").open,
  title: document.querySelector("#viewer-title").textContent,
  hash: location.hash,
  deep: Boolean(document.querySelector("#stage canvas")),
  plain: document.querySelector("#stage > img")?.src ?? null,
  focus: document.activeElement?.id || document.activeElement?.getAttribute("href"),
  inside: document.querySelector("#viewer").contains(document.activeElement),
  links: [...document.querySelectorAll("#viewer-links a")].map((one) => [one.textContent, one.href]),
}));
async function drawn(page, deep) {
  if (!deep) {
    await page.waitForFunction(() => document.querySelector("#stage > img")?.naturalWidth > 0);
    return;
  }
  await page.waitForSelector("#stage canvas");
  await page.waitForLoadState("networkidle");
}
export default async function zoom({ page, url, options }) {
  const steps = {};
  await page.goto(url);
  await page.waitForSelector("#images a");
  await page.focus("#images a");
  await page.keyboard.press("Enter");
  await drawn(page, options.deep);
  steps.opened = await state(page);
  if (options.deep) {
    for (let times = 0; times < 6; times += 1) await page.keyboard.press("+");
    await page.waitForTimeout(900);
    await page.waitForLoadState("networkidle");
  }
  await page.screenshot({ path: options.screenshot });
  if (options.single) return steps;
  await page.keyboard.press("ArrowLeft");
  steps.atStart = await state(page);
  await page.keyboard.press("ArrowRight");
  await drawn(page, options.deep);
  steps.second = await state(page);
  await page.click("#next");
  await drawn(page, options.deep);
  steps.third = await state(page);
  for (let times = 0; times < 12; times += 1) {
    await page.keyboard.press("Tab");
    steps.trapped = (steps.trapped ?? true) && ((await state(page)).inside || await page.evaluate(() => document.activeElement === document.body));
  }
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => !document.querySelector("#viewer").open);
  steps.closed = await state(page);
  await page.keyboard.press("ArrowRight");
  steps.moved = await state(page);
  await page.goForward();
  await page.waitForFunction(() => document.querySelector("#viewer").open);
  await drawn(page, options.deep);
  steps.forward = await state(page);
  await page.goBack();
  await page.waitForFunction(() => !document.querySelector("#viewer").open);
  steps.back = await state(page);
  return steps;
}
