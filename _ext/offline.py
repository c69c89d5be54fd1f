"""No page asks another host for anything.

MathJax, the fonts and what bertviz needs stand in third_party/. When the
build is done they are copied to _static/vendor, and the addresses in the
pages are rewritten to the copies. (They cannot simply lie in _static: every
script there would be added to every page.)
"""

import re
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENDORED = {
    "js/mathjax": "mathjax",
    "js/d3/d3.min.js": "d3.min.js",
    "js/jquery/jquery.min.js": "jquery.min.js",
    "js/requirejs/require.js": "require.js",
    "fonts": "fonts",
}
CDN = r"(?:https?:)?//(?:cdnjs\.cloudflare\.com|ajax\.googleapis\.com)"
REWRITE = [
    (
        re.compile(CDN + r"/ajax/libs/require\.js/[\d.]+/require\.min\.js"),
        "require.js",
    ),
    (re.compile(CDN + r"/ajax/libs/d3/[\d.]+/d3\.min"), "d3.min"),
    (re.compile(CDN + r"/ajax/libs/jquery/[\d.]+/jquery\.min"), "jquery.min"),
]
# Thebe is off, but its scripts (from a CDN) come all the same; a preloaded
# font is refused, with an error, where a page is opened from the disk.
UNWANTED = re.compile(
    r"\s*<script>const THEBE_JS_URL = .*?</script>"
    r"|\s*<script[^>]*sphinx-thebe\.js[^>]*></script>"
    r"|\s*<link[^>]*sphinx-thebe\.css[^>]*>"
    r'|\s*<script type="text/x-thebe-config">.*?</script>'
    r"|\s*<script>kernelName = .*?</script>"
    r'|\s*<link rel="preload" as="font"[^>]*>',
    re.S,
)
# Controls without a name that can be read aloud, or with a wrong one.
NAMES = [
    (
        ' primary-toggle btn btn-sm" title=',
        ' primary-toggle btn btn-sm" aria-label="Chapters" title=',
    ),
    (
        ' secondary-toggle btn btn-sm" title=',
        ' secondary-toggle btn btn-sm" aria-label="On this page" title=',
    ),
    (
        'search-button-field search-button__button" title="Search" '
        'aria-label="Search"',
        'search-button-field search-button__button"',
    ),
    ('<summary aria-label="Toggle hidden content">', "<summary>"),
    ('<div role="list" class="citation-list">', '<div class="citation-list">'),
    ('<select id="layer">', '<select id="layer" aria-label="Layer">'),
    ('<select id="filter">', '<select id="filter" aria-label="Attention">'),
]


# Sphinx sets a long signature as a <dl> of <dd> alone, which is not valid.
SIGNATURE = re.compile(r'<dl>\n(<dd><em class="sig-param">.*?)</dl>', re.S)


def signature(found):
    lines = found[1].replace("<dd>", '<span class="sig-line">')
    return lines.replace("</dd>", "</span>")


def clean(page, vendor):
    """A page that loads only what lies under the relative path `vendor`."""
    for address, local in REWRITE:
        page = address.sub(vendor + local, page)
    page = SIGNATURE.sub(signature, page)
    page = UNWANTED.sub("", page)
    for old, new in NAMES:
        page = page.replace(old, new)
    return page


def on_build_finished(app, error):
    if error or app.builder.format != "html":
        return
    out = Path(app.outdir)
    for source, target in VENDORED.items():
        source = ROOT / "third_party" / source
        target = out / "_static" / "vendor" / target
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    for path in out.rglob("*.html"):
        depth = len(path.relative_to(out).parts) - 1
        page = path.read_text("utf-8")
        cleaned = clean(page, "../" * depth + "_static/vendor/")
        if cleaned != page:
            path.write_text(cleaned, "utf-8")


def setup(app):
    app.connect("build-finished", on_build_finished)
    return {"version": "1", "parallel_read_safe": True}
