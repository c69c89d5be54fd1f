"""Each check of the browser test, shown a page that breaks it."""

import pages
import pytest

pytestmark = pytest.mark.browser

GOOD = """<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>t</title>
<link rel="icon" href="data:,"></head><body><main><h1 id="top">Good</h1>
<p>One <a href="#top">link</a>.</p>{}</main></body></html>"""

CODE = '<div class="cell_input"><pre>{}</pre></div>'

BROKEN = {
    "links": '<a href="missing.html">a page</a>',
    "links, anchor": '<a href="page.html#nowhere">an anchor</a>',
    "images": '<img src="missing.png" alt="gone">',
    "alternative text": '<article><img src="dot.svg" alt=""></article>',
    "mathematics": '<span class="math">\\(x\\)</span>',
    "mathematics, error": '<i data-mml-node="merror">oops</i>',
    "leftovers": "<p>$$ x $$</p>",
    "leftovers, comment": "<p>&lt;!--book: x--&gt;</p>",
    "leftovers, role": "<p>{cite:p}<code>x</code></p>",
    "leftovers, directive": CODE.format("#| export"),
    "leftovers, solution": CODE.format("x\n  ### BEGIN SOLUTION"),
    "sideways scroll at 390 px": '<div style="width: 600px">wide</div>',
    "axe, light": '<p style="color: #bbb">pale</p>',
    "axe, light, name": "<button></button>",
    "axe, dark": "<style>html[data-theme=dark] p {color: #ccc}</style><p>pale</p>",
    "requests to other hosts": '<script src="https://example.org/x.js"></script>',
    "errors in the console": "<script>undefined.x</script>",
    "errors in the console, missing": '<script src="missing.js"></script>',
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dot.svg").write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'
    )
    with pages.serve(tmp_path) as address:
        yield tmp_path, address


def problems_of(tab, folder, body):
    path, address = folder
    (path / "page.html").write_text(GOOD.format(body), "utf-8")
    return pages.inspect(tab, "page.html", path, address)


def test_a_good_page_passes(tab, folder):
    problems = problems_of(tab, folder, "")
    assert not any(problems.values()), pages.report(problems)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_page_fails(tab, folder, name):
    check = ", ".join(name.split(", ")[: 2 if name.startswith("axe") else 1])
    assert problems_of(tab, folder, BROKEN[name])[check]


def test_no_browser_is_said_clearly(monkeypatch):
    monkeypatch.setenv("CHROMIUM", "/nowhere/chromium")
    assert pages.chromium_path() is None
    with pytest.raises(FileNotFoundError, match="install"), pages.browser():
        pass
