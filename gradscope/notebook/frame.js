/* What a frame takes from the notebook around it: whether that is dark, and room to be seen whole. */
(() => {
"use strict";
const root = document.documentElement;
const preferred = matchMedia("(prefers-color-scheme: dark)");

/** The element that holds this page; null where the notebook keeps its own page to itself. */
function holder() {
  try {
    return window.frameElement;
  } catch {
    return null;
  }
}

const frame = holder();
const ofDark = [...document.styleSheets]
  .flatMap((sheet) => [...sheet.cssRules])
  .filter((rule) => rule instanceof CSSMediaRule && rule.conditionText.includes("prefers-color-scheme: dark"));

/** How light a colour is, 0 to 255, in whichever of CSS's ways it is written. */
function lightness(colour) {
  const context = document.createElement("canvas").getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Whether the notebook is dark: its text is light then. */
const isDark = () => (frame ? lightness(getComputedStyle(frame.parentElement).color) > 128 : preferred.matches);

let shown = null;
function follow() {
  const dark = isDark();
  if (dark === shown) return;
  shown = dark;
  for (const rule of ofDark) rule.media.mediaText = dark ? "screen" : "not all";
  root.style.colorScheme = dark ? "dark" : "light";
  dispatchEvent(new Event("schemechange"));
}

follow();
preferred.addEventListener("change", follow);
if (!frame) return;

// a notebook changes its theme by an attribute, and may load the theme's colours a little later
const changed = () => [0, 300, 1500].forEach((wait) => setTimeout(follow, wait));
const outside = new frame.ownerDocument.defaultView.MutationObserver(changed);
for (const element of [frame.ownerDocument.documentElement, frame.ownerDocument.body]) {
  outside.observe(element, { attributes: true });
}
addEventListener("pagehide", () => outside.disconnect());

if (frame.dataset.fit !== undefined) {
  const fit = () => (frame.style.height = `${Math.ceil(root.getBoundingClientRect().height)}px`);
  new ResizeObserver(fit).observe(root);
}
})();
