"use strict";
(() => {
  const manifest = new URLSearchParams(location.search).get("manifest");
  if (manifest && /^https?:\/\//i.test(manifest)) UV.init("uv", { manifest, embedded: true });
})();
