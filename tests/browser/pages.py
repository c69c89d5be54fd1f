"""What a page of the built book must hold to, and the browser to see it.

`inspect` opens one page and gives everything that is wrong with it, check by
check. The tests use it on the book and, to prove that each check can fail,
on a page that breaks every rule.
"""

import contextlib
import functools
import http.server
import os
import re
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HTML = Path(os.environ.get("BOOK_HTML", ROOT / "_build" / "html"))
AXE = ROOT / "third_party" / "js" / "axe-core" / "axe.min.js"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
FLAGS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-gpu",
]
NO_CHROMIUM = (
    "no Chromium found: install one (Debian and Ubuntu: "
    "apt-get install chromium) or name it in the environment variable CHROMIUM"
)
NO_BOOK = f"no built book in {HTML}: run `make book` first"


# ---------------------------------------------------------------- machinery


def chromium_path():
    """The program named in CHROMIUM, or Chromium's usual names, or None."""
    named = os.environ.get("CHROMIUM")
    usual = ["chromium", "chromium-browser", "google-chrome"]
    found = map(shutil.which, [named] if named else usual)
    return next(filter(None, found), None)


@contextlib.contextmanager
def browser():
    path = chromium_path()
    if path is None:
        raise FileNotFoundError(NO_CHROMIUM)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass  # the browser left before the answer was complete


@contextlib.contextmanager
def serve(folder):
    """Serve a folder on a free local port; gives the address."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = QuietServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def built_pages(folder=HTML):
    """Every page of the book, as a path relative to its folder."""
    folder = Path(folder)
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*.html")
        if "_static" not in path.parts
    )


def settled(tab):
    """Wait until the mathematics of a page is drawn and its fonts are in."""
    tab.wait_for_load_state("load")
    tab.evaluate(
        """async () => {
          const mathjax = window.MathJax && window.MathJax.startup;
          if (mathjax && mathjax.promise) await mathjax.promise;
          await document.fonts.ready;
        }"""
    )


# ------------------------------------------------------------------- checks

LOOK = """() => {
  const all = (what) => [...document.querySelectorAll(what)];
  const prose = document.body.cloneNode(true);
  prose.querySelectorAll("pre, code, script, style, svg, mjx-container")
    .forEach((node) => node.remove());
  const input = all("div.cell_input pre").map((node) => node.textContent);
  return {
    prose: prose.textContent,
    input: input.join("\\n"),
    links: all("a[href]").map((node) => node.href),
    images: all("img").filter((node) => node.getAttribute("src"))
      .filter((node) => !(node.complete && node.naturalWidth))
      .map((node) => node.getAttribute("src")),
    unnamed: all("div.cell_output img, article img")
      .filter((node) => !node.alt || /^_?images|\\.png$/.test(node.alt))
      .map((node) => node.getAttribute("src")),
    formulas: all(".math").filter((node) =>
      !node.querySelector("mjx-container")).map((node) => node.textContent),
    errors: all("mjx-merror, [data-mml-node=merror]").map((node) =>
      node.getAttribute("data-mjx-error") || node.textContent),
  };
}"""
LEFTOVERS = re.compile(
    r"\$\$|<!--|-->|:::|```|\\\[|\\\("
    r"|\{(?:cite|term|index|ref|eq|numref|doc|math|code-cell|note|eval-rst)\b"
)
MARKERS = re.compile(
    r"^\s*(?:#\||#@title|###\s*(?:BEGIN|END) (?:SOLUTION|HIDDEN))", re.M
)
# Contrast is a matter of classes, and a long page has thousands of coloured
# words: axe looks at one of each kind in each kind of box, and not inside the
# drawings of formulas, which are hidden from it anyway.
THIN = """() => {
  document.querySelectorAll("details").forEach((box) => (box.open = true));
  document.querySelectorAll("mjx-container > svg > *")
    .forEach((node) => node.remove());
  const seen = new Set();
  const kind = (node, what) => (node.closest(what) || {}).className;
  for (const word of document.querySelectorAll("pre span[class]")) {
    const key = [word.className, kind(word, "div.cell, dl, details"),
      kind(word, "div.cell_input, div.output")].join("|");
    if (seen.has(key)) word.remove();
    seen.add(key);
  }
}"""
AXE_RUN = """async (only) => {
  await Promise.all(document.getAnimations()
    .map((motion) => motion.finished.catch(() => 0)));
  const options = { resultTypes: ["violations"] };
  if (only) options.runOnly = { type: "rule", values: only };
  const found = await axe.run(document, options);
  return found.violations
    .filter((rule) => ["serious", "critical"].includes(rule.impact))
    .flatMap((rule) => rule.nodes.map((node) =>
      `${rule.id}: ${node.html.slice(0, 160)} (${node.any.concat(node.all)
        .map((check) => check.message).join("; ").slice(0, 200)})`));
}"""


@functools.cache
def anchors(path, _changed):
    """The ids that a link to this file can point to."""
    text = path.read_text("utf-8", errors="replace")
    return set(re.findall(r'\s(?:id|name)="([^"]+)"', text))


def broken_links(links, folder, address):
    """Links into the book whose file or anchor does not exist."""
    broken = []
    for link in links:
        url, anchor = urldefrag(link)
        if not url.startswith(address + "/"):
            continue
        path = Path(folder) / unquote(urlsplit(url).path).lstrip("/")
        if path.is_dir():
            path = path / "index.html"
        if not path.is_file():
            broken.append(link)
        elif anchor and path.suffix == ".html":
            known = anchors(path, path.stat().st_mtime_ns)
            if anchor not in known and unquote(anchor) not in known:
                broken.append(link)
    return sorted(set(broken))


def overflow(tab):
    """How far the page itself can be scrolled to the side, in words."""
    wide = tab.evaluate(
        """() => {
          window.scrollTo(9999, 0);
          const moved = window.scrollX;
          window.scrollTo(0, 0);
          const page = document.documentElement;
          const extra = Math.max(moved, page.scrollWidth - page.clientWidth);
          if (extra < 1) return null;
          const clipped = (node) => {
            for (let up = node.parentElement; up && up !== document.body;
                 up = up.parentElement)
              if (getComputedStyle(up).overflowX !== "visible") return true;
            return false;
          };
          const names = [...document.querySelectorAll("body *")]
            .filter((node) => node.getBoundingClientRect().right >
                              page.clientWidth + 1 && !clipped(node))
            .slice(-3).map((node) => node.outerHTML.slice(0, 120));
          return `${extra} px: ${names.join(" | ")}`;
        }"""
    )
    return [wide] if wide else []


def inspect(tab, page, folder, address):
    """Everything that is wrong with a page: {check: [problem, ...]}."""
    outside, errors = [], []

    def on_request(request):
        if not request.url.startswith((address, "data:", "blob:", "about:")):
            outside.append(request.url)

    def on_console(message):
        if message.type == "error":
            errors.append(message.text)

    def on_answer(answer):
        if answer.status >= 400:
            errors.append(f"{answer.status} {answer.url}")

    listeners = {
        "request": on_request,
        "console": on_console,
        "response": on_answer,
        "pageerror": lambda error: errors.append(str(error)),
    }
    for event, listener in listeners.items():
        tab.on(event, listener)
    tab.set_viewport_size(DESKTOP)
    tab.goto(f"{address}/{page}")
    settled(tab)
    seen = tab.evaluate(LOOK)
    problems = {
        "links": broken_links(seen["links"], folder, address),
        "images": seen["images"],
        "alternative text": seen["unnamed"],
        "mathematics": seen["formulas"] + seen["errors"],
        "leftovers": LEFTOVERS.findall(seen["prose"])
        + MARKERS.findall(seen["input"]),
    }
    tab.set_viewport_size(PHONE)
    problems["sideways scroll at 390 px"] = overflow(tab)
    tab.set_viewport_size(DESKTOP)
    tab.evaluate(THIN)
    tab.evaluate(AXE.read_text("utf-8"))
    problems["axe, light"] = tab.evaluate(AXE_RUN, None)
    tab.evaluate("document.documentElement.dataset.theme = 'dark'")
    problems["axe, dark"] = tab.evaluate(AXE_RUN, ["color-contrast"])
    problems["requests to other hosts"] = outside
    problems["errors in the console"] = errors
    for event, listener in listeners.items():
        tab.remove_listener(event, listener)
    return problems


def report(problems):
    """The problems as lines to read; empty where all is well."""
    return "\n".join(
        f"{check}: {problem}"
        for check, found in problems.items()
        for problem in found
    )
