"use strict";
(() => {
  const manifestId = new URLSearchParams(location.search).get("manifest");
  const isWeb = manifestId && /^https?:\/\//i.test(manifestId);
  Mirador.viewer({ id: "mirador", windows: isWeb ? [{ manifestId }] : [], window: { sideBarOpen: false }, workspace: { showZoomControls: true } });
})();
