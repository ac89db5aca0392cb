"use strict";
// Reads the manifest.json and collection.json beside this page and shows them. Titles come from strangers: they only
// ever become text nodes and attribute values, never markup.
(() => {
  const settings = document.documentElement.dataset;
  const $ = (id) => document.getElementById(id);

  // ---- addresses ------------------------------------------------------------------------------------------------
  // Documents carry absolute ids that begin with base_url. The same site may be reached by another name (a tunnel,
  // 127.0.0.1 for localhost), so an address below base_url is asked for on the host that served this page.
  const basePath = new URL(settings.baseUrl).pathname.replace(/\/+$/, "");
  const served = location.pathname.startsWith(basePath + "/");
  const siteRoot = location.origin + (served ? basePath : "");
  const local = (url) => {
    const text = String(url);
    if (text !== settings.baseUrl && !text.startsWith(settings.baseUrl + "/")) return text;
    return siteRoot + text.slice(settings.baseUrl.length);
  };
  const isWeb = (url) => typeof url === "string" && /^https?:\/\//i.test(url);
  const viewers = settings.viewers.startsWith("./") ? siteRoot + settings.viewers.slice(1) : settings.viewers;
  const viewersForOthers =
    settings.viewers.startsWith("./") ? settings.baseUrl + settings.viewers.slice(1) : settings.viewers;

  // ---- reading documents ----------------------------------------------------------------------------------------
  const list = (value) => (Array.isArray(value) ? value : value ? [value] : []);
  function words(map) {
    if (typeof map === "string") return map;
    if (!map || typeof map !== "object") return "";
    const wanted = [...navigator.languages.flatMap((tag) => [tag, tag.split("-")[0]]), "none", "en", ...Object.keys(map)];
    const found = wanted.find((tag) => Object.hasOwn(map, tag) && list(map[tag]).length);
    return found === undefined ? "" : list(map[found]).join(" ");
  }
  // Rule: Presentation API 3.0 §4.5: a value that begins with < and ends with > is HTML; shown as its text here.
  function plainWords(map) {
    const text = words(map);
    if (!/^\s*<[^]*>\s*$/.test(text)) return text;
    return new DOMParser().parseFromString(text, "text/html").body.textContent.trim();
  }
  async function read(name) {
    const answer = await fetch(name, { headers: { Accept: "application/ld+json, application/json" } });
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
    return answer.json();
  }
  const serviceOf = (body) => {
    const found = list(body && body.service).find((one) => /^ImageService[23]$/.test(one.type || one["@type"] || ""));
    return found ? found.id || found["@id"] : null;
  };
  // The thumbnail that the document names; or, of the sizes that its service lists, the lowest that is sharp in a row.
  const SHARP_PX = 250 * Math.min(Math.max(devicePixelRatio, 1), 2);
  const thumbnailOf = (thing) => {
    const one = list(thing.thumbnail)[0];
    const url = one && (typeof one === "string" ? one : one.id);
    if (!isWeb(url)) return null;
    const service = serviceOf(one);
    const sizes = list(list(one.service)[0]?.sizes).filter((size) => size.width > 0 && size.height >= SHARP_PX);
    const sharp = sizes.sort((a, b) => a.height - b.height)[0];
    if (!sharp || !isWeb(service) || one.height >= SHARP_PX) return local(url);
    return `${local(service)}/full/${sharp.width},${sharp.height}/0/default.jpg`;
  };
  const bodyOf = (canvas) => {
    const painting = canvas.items?.[0]?.items?.[0]?.body;
    const body = list(painting)[0] || null;
    return body && body.type === "Choice" ? list(body.items)[0] || null : body;
  };

  // ---- making elements ------------------------------------------------------------------------------------------
  function make(name, properties = {}, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }
  function picture(url, alt) {
    const image = make("img", { alt, loading: "lazy", decoding: "async", draggable: false });
    image.src = url;
    return image;
  }
  function folderIcon() {
    const icon = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    icon.setAttribute("viewBox", "0 0 24 24");
    icon.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z");
    icon.append(path);
    return icon;
  }
  function say(text) {
    $("message").textContent = text;
    $("message").hidden = !text;
  }

  // ---- the page -------------------------------------------------------------------------------------------------
  // Directories that hold albums but are none: they have no page of their own.
  const SHELVES = new Set(["albums", "timeline", "people", "tags", "search", "picked", "iiif", "trash"]);
  function decoded(segment) {
    try { return decodeURIComponent(segment); } catch { return segment; }
  }
  function showPath(title) {
    const here = new URL(".", location.href).pathname.slice(served ? basePath.length : 0);
    const parts = here.split("/").filter(Boolean);
    const onShelf = SHELVES.has(parts[1]);
    const crumbs = [["All accounts", siteRoot + "/", true]];
    parts.forEach((part, depth) => {
      if (onShelf && parts[1] === "iiif" && depth > 0) return;
      const url = siteRoot + "/" + parts.slice(0, depth + 1).join("/") + "/";
      crumbs.push([decoded(part), url, depth === 0 || !onShelf]);
    });
    if (crumbs.length === 1) return;
    if (parts[1] === "iiif") crumbs.push([title, "", false]);
    crumbs.forEach(([text, url, hasPage], index) => {
      const item = make("li");
      if (index === crumbs.length - 1) {
        item.setAttribute("aria-current", "page");
        item.textContent = text;
      } else item.append(hasPage ? make("a", { href: url }, text) : text);
      $("crumbs").append(item);
    });
  }
  // Where a person goes for an album: its homepage when the document names one on this site, else beside its document.
  function pageOf(item) {
    const home = list(item.homepage).map((one) => one.id).find((url) => isWeb(url) && local(url).startsWith(siteRoot));
    if (home) return local(home);
    return isWeb(item.id) ? new URL(".", local(item.id)).href : null;
  }
  function showAlbums(items) {
    const cards = items.filter((item) => item && (item.type === "Collection" || item.type === "Manifest") && pageOf(item));
    for (const item of cards) {
      const name = words(item.label) || "Untitled";
      const cover = make("div", { className: "cover" });
      const url = thumbnailOf(item);
      cover.append(url ? picture(url, "") : folderIcon());
      const link = make("a", { href: pageOf(item) }, cover, make("div", { className: "name" }, name));
      $("albums").append(make("li", {}, link));
    }
    $("albums-section").hidden = cards.length === 0;
    return cards.length;
  }
  const images = [];
  function imageOf(canvas) {
    const body = bodyOf(canvas);
    const service = serviceOf(body);
    const thumbnail = thumbnailOf(canvas) || (isWeb(service) ? `${local(service)}/full/!400,400/0/default.jpg` : null);
    const original = list(canvas.rendering).concat(list(canvas.seeAlso)).find((one) => isWeb(one.id));
    const key = decoded(String(canvas.id || "").split("/").pop());
    const ratio = canvas.width > 0 && canvas.height > 0 ? canvas.width / canvas.height : 4 / 3;
    return { body, service, thumbnail, original, key, ratio, name: words(canvas.label) || key || "Untitled" };
  }
  function cell(image, index) {
    const label = make("span", { className: "name" }, image.name);
    const link = make("a", { href: "#" + encodeURIComponent(image.key) });
    if (image.thumbnail) {
      // The name is in alt, so the visible one need not be read out again.
      label.setAttribute("aria-hidden", "true");
      link.append(picture(image.thumbnail, image.name), label);
    } else {
      link.className = "bare";
      link.append(label);
    }
    link.addEventListener("click", (event) => {
      if (event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
      event.preventDefault();
      open(index, true);
    });
    image.link = link;
    const item = make("li", {}, link);
    item.style.setProperty("--ratio", Math.min(Math.max(image.ratio, 0.4), 3.2).toFixed(4));
    return item;
  }
  const CELLS_PER_FRAME = 250;
  function showImages(canvases) {
    images.push(...canvases.filter(Boolean).map(imageOf));
    $("images-section").hidden = images.length === 0;
    const more = (start) => {
      $("images").append(...images.slice(start, start + CELLS_PER_FRAME).map((one, at) => cell(one, start + at)));
      if (start + CELLS_PER_FRAME < images.length) requestAnimationFrame(() => more(start + CELLS_PER_FRAME));
    };
    more(0);
    return images.length;
  }
  function copyField(url, what) {
    const field = make("input", { readOnly: true, value: url });
    field.setAttribute("aria-label", `Address of the IIIF ${what}`);
    const button = make("button", { type: "button" }, "Copy");
    button.addEventListener("click", async () => {
      field.select();
      try {
        await navigator.clipboard.writeText(url);
        button.textContent = "Copied";
      } catch {
        // Without TLS there is no clipboard: the address is selected, and the button says what is left to do.
        field.focus();
        button.textContent = "Press Ctrl-C";
      }
    });
    return make("div", { className: "copy" }, field, button);
  }
  function showDocuments(main, name, installed) {
    if (!main || !isWeb(main.id)) return;
    const what = main.type === "Collection" ? "collection" : "manifest";
    const footer = $("documents");
    footer.append(make("a", { href: name }, `IIIF ${what}`), copyField(main.id, what));
    const pages = [["mirador", "mirador.html"], ["universalviewer", "uv.html"]];
    const titles = { mirador: "Open in Mirador", universalviewer: "Open in Universal Viewer" };
    for (const [viewer, file] of pages) {
      if (!Object.hasOwn(installed, viewer)) continue;
      const href = `${viewersForOthers}${file}?manifest=${encodeURIComponent(main.id)}`;
      footer.append(make("a", { href, target: "_blank", rel: "noopener" }, titles[viewer]));
    }
    footer.hidden = false;
  }
  const counted = (count, one, many) => (count ? `${count.toLocaleString()} ${count === 1 ? one : many}` : "");

  // A collection names its own manifest among its items when there is one: so nothing is asked for that may not exist.
  const isOwnManifest = (collection) => {
    const id = String(collection.id).replace(/collection\.json$/, "manifest.json");
    return (item) => Boolean(item) && item.type === "Manifest" && item.id === id;
  };
  async function readDocuments() {
    if (settings.kind === "album") return [null, await read("manifest.json")];
    const collection = await read("collection.json");
    const own = collection && list(collection.items).some(isOwnManifest(collection));
    return [collection, own ? await read("manifest.json") : null];
  }
  async function readInstalled() {
    try {
      const answer = await fetch(viewers + "versions.json");
      return answer.status === 200 ? await answer.json() : {};
    } catch {
      return {};
    }
  }
  let installedViewers = {};
  async function show() {
    let collection, manifest;
    try {
      [[collection, manifest], installedViewers] = await Promise.all([readDocuments(), readInstalled()]);
    } catch (error) {
      say(`The album could not be read. ${error.message}`);
      return;
    }
    const main = manifest || collection;
    const folder = decoded(new URL(".", location.href).pathname.split("/").filter(Boolean).pop() || "");
    const title = (main && words(main.label)) || folder || "Gallery";
    document.title = title;
    $("title").textContent = title;
    showPath(title);
    const summary = main ? plainWords(main.summary) : "";
    $("summary").textContent = summary;
    $("summary").hidden = !summary;
    const required = main && main.requiredStatement;
    const statement = required ? `${plainWords(required.label)}: ${plainWords(required.value)}` : "";
    $("statement").textContent = statement;
    $("statement").hidden = !statement;
    const items = collection ? list(collection.items) : [];
    const albums = showAlbums(collection ? items.filter((item) => !isOwnManifest(collection)(item)) : []);
    const pictures = showImages(manifest ? list(manifest.items) : []);
    $("albums-heading").classList.toggle("unseen", pictures === 0);
    const atRoot = $("crumbs").childElementCount === 0;
    const counts = [counted(albums, atRoot ? "account" : "album", atRoot ? "accounts" : "albums"), counted(pictures, "item", "items")];
    $("count").textContent = counts.filter(Boolean).join(", ");
    if (!albums && !pictures) say("There is nothing to look at in here.");
    showDocuments(main, manifest ? "manifest.json" : "collection.json", installedViewers);
    follow();
  }

  // ---- one image ------------------------------------------------------------------------------------------------
  const dialog = $("viewer");
  let current = -1;
  let turn = 0;
  let deep = null;
  let library = null;
  // Resolves to OpenSeadragon, or null when the viewer folder does not have it.
  function deepZoom() {
    library ??= new Promise((resolve) => {
      if (!Object.hasOwn(installedViewers, "openseadragon")) { resolve(null); return; }
      const script = make("script", { src: viewers + "openseadragon/openseadragon.min.js" });
      script.addEventListener("load", () => resolve(window.OpenSeadragon || null));
      script.addEventListener("error", () => resolve(null));
      document.head.append(script);
    });
    return library;
  }
  function clearStage() {
    if (deep) deep.destroy();
    deep = null;
    dialog.classList.remove("deep-zoom");
    $("stage").replaceChildren();
    sayInViewer("");
  }
  function sayInViewer(text) {
    $("viewer-message").textContent = text;
    $("viewer-message").hidden = !text;
  }
  function showPlain(image) {
    const url = isWeb(image.service) ? `${local(image.service)}/full/!1600,1600/0/default.jpg` : local(image.body?.id ?? "");
    const element = make("img", { alt: image.name, draggable: false });
    element.addEventListener("error", () => sayInViewer("This image could not be loaded."));
    element.src = url;
    $("stage").replaceChildren(element);
  }
  function showPlayed(image) {
    const isVideo = image.body.type === "Video";
    const element = make(isVideo ? "video" : "audio", { controls: true, preload: "metadata" });
    if (isVideo) element.playsInline = true;
    element.setAttribute("aria-label", image.name);
    if (isVideo && image.thumbnail) element.poster = image.thumbnail;
    element.src = local(image.body.id);
    $("stage").replaceChildren(element);
  }
  async function showDeep(image, ours) {
    const service = local(image.service);
    const [OpenSeadragon, info] = await Promise.all([deepZoom(), fetch(service + "/info.json").then((r) => (r.ok ? r.json() : null), () => null)]);
    if (ours !== turn) return;
    if (!OpenSeadragon || !info) { showPlain(image); return; }
    if (info.id) info.id = service; else info["@id"] = service;
    const place = make("div", { className: "deep" });
    place.setAttribute("role", "img");
    place.setAttribute("aria-label", image.name);
    $("stage").replaceChildren(place);
    deep = OpenSeadragon({
      element: place, tileSources: [info], showNavigationControl: false, visibilityRatio: 0.5, minZoomImageRatio: 0.8,
      maxZoomPixelRatio: 4, animationTime: 0.6, gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true },
      gestureSettingsTouch: { clickToZoom: false, dblClickToZoom: true, flickEnabled: true }, preserveImageSizeOnResize: false,
    });
    deep.addOnceHandler("open-failed", () => { if (ours === turn) { clearStage(); showPlain(image); } });
    dialog.classList.add("deep-zoom");
  }
  function showLinks(image) {
    const links = [];
    if (image.original) links.push(make("a", { href: local(image.original.id), target: "_blank", rel: "noopener" }, "Original file"));
    if (isWeb(image.service)) links.push(make("a", { href: local(image.service) + "/info.json", target: "_blank", rel: "noopener" }, "info.json"));
    links.push(make("a", { href: "manifest.json", target: "_blank", rel: "noopener" }, "Manifest"));
    $("viewer-links").replaceChildren(...links);
  }
  function open(index, asStep) {
    const image = images[index];
    if (!image) return;
    const wasOpen = dialog.open;
    const ours = ++turn;
    current = index;
    const address = "#" + encodeURIComponent(image.key);
    if (asStep) history[wasOpen ? "replaceState" : "pushState"]({ inside: true }, "", address);
    clearStage();
    $("viewer-title").textContent = image.name;
    $("viewer-place").textContent = images.length > 1 ? `${(index + 1).toLocaleString()} of ${images.length.toLocaleString()}` : "";
    showLinks(image);
    const focused = document.activeElement;
    $("previous").disabled = index === 0;
    $("next").disabled = index === images.length - 1;
    if (!wasOpen) dialog.showModal();
    // A button that has just been disabled would let the focus fall out of the dialog.
    if (!wasOpen || focused?.disabled) $("stage").focus({ preventScroll: true });
    if (["Video", "Sound"].includes(image.body?.type) && isWeb(image.body.id)) showPlayed(image);
    else if (isWeb(image.service)) showDeep(image, ours);
    else if (isWeb(image.body?.id)) showPlain(image);
    else sayInViewer("There is no picture of this file.");
  }
  // Closed by a person: the entry that opening pushed is taken back, so that Back leaves the page and not the viewer.
  function close() {
    if (history.state?.inside) history.back();
    else {
      history.replaceState(null, "", location.pathname + location.search);
      follow();
    }
  }
  function shut() {
    if (!dialog.open) return;
    turn += 1;
    clearStage();
    dialog.close();
    const link = images[current]?.link;
    link?.scrollIntoView({ block: "nearest" });
    link?.focus();
    current = -1;
  }
  // The address decides what is open: on load, by Back and Forward, by an edited hash.
  function follow() {
    const key = decoded(location.hash.slice(1));
    const index = key ? images.findIndex((image) => image.key === key) : -1;
    if (index < 0) shut();
    else if (index !== current) open(index, false);
  }
  const step = (by) => { if (images[current + by]) open(current + by, true); };

  addEventListener("popstate", follow);
  $("close").addEventListener("click", close);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("zoom-in").addEventListener("click", () => deep?.viewport?.zoomBy(1.6));
  $("zoom-out").addEventListener("click", () => deep?.viewport?.zoomBy(1 / 1.6));
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); close(); });
  // Captured, because OpenSeadragon would pan with the arrow keys that turn the page here.
  dialog.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.target.tagName === "VIDEO") return;
    const moves = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), "+": () => deep?.viewport?.zoomBy(1.6), "-": () => deep?.viewport?.zoomBy(1 / 1.6), 0: () => deep?.viewport?.goHome() };
    if (!Object.hasOwn(moves, event.key)) return;
    event.preventDefault();
    event.stopPropagation();
    moves[event.key]();
  }, true);
  $("images").addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by) return;
    const at = images.findIndex((image) => image.link === document.activeElement);
    images[at + by]?.link?.focus();
  });

  // A swipe turns the page while the whole image is in view; while zoomed in, the finger moves the image.
  let start = null;
  const fingers = new Set();
  const wholeInView = () => !deep?.viewport || deep.viewport.getZoom(true) <= deep.viewport.getHomeZoom() * 1.05;
  $("stage").addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    fingers.add(event.pointerId);
    start = fingers.size === 1 && wholeInView() ? event : null;
  }, true);
  const lifted = (event) => {
    fingers.delete(event.pointerId);
    const from = start;
    start = null;
    if (!from || event.type === "pointercancel" || from.pointerId !== event.pointerId) return;
    const [across, down] = [event.clientX - from.clientX, event.clientY - from.clientY];
    if (Math.abs(across) > 60 && Math.abs(across) > 2 * Math.abs(down)) step(across < 0 ? 1 : -1);
    else if (down > 120 && down > 2 * Math.abs(across)) close();
  };
  $("stage").addEventListener("pointerup", lifted, true);
  $("stage").addEventListener("pointercancel", lifted, true);

  show().finally(() => $("main").setAttribute("aria-busy", "false"));
})();
