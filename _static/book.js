// Three small things that CSS cannot do.
(function () {
  "use strict";

  // A box that scrolls sideways can be reached with the keyboard.
  const boxes =
    "pre, .output, .pst-scrollable-table-container, .math, mjx-container, " +
    ".sig, dl.py";
  function reachable() {
    for (const box of document.querySelectorAll(boxes)) {
      const style = getComputedStyle(box);
      const scrolls =
        box.scrollWidth > box.clientWidth + 1 &&
        /auto|scroll/.test(style.overflowX);
      if (scrolls && box.tabIndex < 0) {
        box.tabIndex = 0;
        box.dataset.reachable = "";
      } else if (!scrolls && "reachable" in box.dataset) {
        box.removeAttribute("tabindex");
        delete box.dataset.reachable;
      }
    }
  }
  window.addEventListener("load", () => {
    reachable();
    const ready = window.MathJax && window.MathJax.startup;
    if (ready && ready.promise) ready.promise.then(reachable);
  });
  window.addEventListener("resize", reachable);
  document.addEventListener("toggle", reachable, true);

  // A link to something inside a folded box unfolds it.
  function unfold() {
    const name = decodeURIComponent(location.hash.slice(1));
    let box = name && document.getElementById(name);
    if (!box) return;
    const target = box;
    let opened = false;
    while ((box = box.parentElement)) {
      if (box.tagName === "DETAILS" && !box.open) opened = box.open = true;
    }
    if (opened) target.scrollIntoView();
  }
  window.addEventListener("hashchange", unfold);
  document.addEventListener("DOMContentLoaded", unfold);

  // Paper is white and cannot unfold: print in light mode, and everything.
  const page = document.documentElement;
  let theme;
  window.addEventListener("beforeprint", () => {
    theme = page.dataset.theme;
    page.dataset.theme = "light";
    for (const box of document.querySelectorAll("article details"))
      box.open = true;
  });
  window.addEventListener("afterprint", () => {
    page.dataset.theme = theme;
  });
})();
