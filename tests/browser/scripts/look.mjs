// Opens a page, waits until it has read its documents and every picture in view is there, and says what it shows.
export default async function look({ page, url, options }) {
  await page.goto(url);
  await page.waitForSelector("#main[aria-busy=false]");
  await page.waitForFunction(() => [...document.images].filter((one) => one.getBoundingClientRect().top < innerHeight)
    .every((one) => one.complete && one.naturalWidth > 0));
  await page.screenshot({ path: options.screenshot });
  return page.evaluate(() => ({
    title: document.title,
    heading: document.querySelector("h1").textContent,
    count: document.querySelector("#count").textContent,
    message: document.querySelector("#message").textContent,
    crumbs: [...document.querySelectorAll("#crumbs li")].map((one) => one.textContent),
    up: [...document.querySelectorAll("#crumbs a")].map((one) => one.getAttribute("href")),
    albums: [...document.querySelectorAll("#albums a")].map((one) => [one.textContent, one.href]),
    images: [...document.querySelectorAll("#images a")].map((one) => one.textContent),
    alternatives: [...document.querySelectorAll("#images img")].map((one) => one.alt),
    documents: [...document.querySelectorAll("#documents a")].map((one) => [one.textContent, one.href]),
    address: document.querySelector("#documents input")?.value ?? null,
    scrollsSideways: document.documentElement.scrollWidth > innerWidth,
    paper: getComputedStyle(document.documentElement).backgroundColor,
    strangers: document.querySelectorAll("[onerror], img[src=x]").length,
  }));
}
