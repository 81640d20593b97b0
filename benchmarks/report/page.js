"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () =>
    root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
  const show = () => button.setAttribute("aria-pressed", String(dark()));
  // A page opened from a file may have no storage; then the choice lasts as long as the page.
  try {
    const kept = localStorage.getItem("edgekit-theme");
    if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  } catch (_) {}
  button.hidden = false;
  show();
  button.addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    try {
      localStorage.setItem("edgekit-theme", root.dataset.theme);
    } catch (_) {}
    show();
  });
  // On paper nothing can be opened.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const one of closed) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of closed) one.open = false;
    closed = [];
  });
})();
