"""The Sphinx hooks in _ext/: what they do to a page, piece by piece."""

import json
import sys
from pathlib import Path

import pytest
import yaml
from docutils import nodes
from docutils.utils import new_document

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "_ext"))

import api_page  # noqa: E402
import notebook_pages  # noqa: E402

import offline  # noqa: E402

# ------------------------------------------------- comments for the book only


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("no comment", "no comment"),
        ("a<!-- other -->b", "a<!-- other -->b"),
        ("so. <!--book: {cite:p}`x2017`-->", "so. {cite:p}`x2017`"),
        (
            "<!-- book: {cite:p}`a`-->;<!--book:{cite:p}`b` -->",
            "{cite:p}`a`; {cite:p}`b`",
        ),
        ("word<!--book: {cite:p}`x`-->.", "word {cite:p}`x`."),
        ("a <!--book: {index}`x`-->: b", "a{hidden-index}`x`: b"),
        ("a <!--book: {index}`x`-->b", "a {hidden-index}`x`b"),
        ("word<!--book: {index}`softmax` -->", "word{hidden-index}`softmax`"),
        ("a token<!--book: {term}`token`-->.", "a {term}`token <token>`."),
        (
            "Tokens <!--book: {term}`token` --> are",
            "{term}`Tokens <token>` are",
        ),
        (
            "a word  piece<!--book: {term}`word piece`-->",
            "a {term}`word piece <word piece>`",
        ),
        ("**logits**<!--book: {term}`logit`-->", "**{term}`logits <logit>`**"),
        ("(token<!--book: {term}`token`-->)", "({term}`token <token>`)"),
        (
            "tokens<!--book: {term}`tokens <token>`-->",
            "{term}`tokens <token>`",
        ),
        ("<!--book:\na table\nof two lines\n-->", "a table\nof two lines"),
    ],
)
def test_unwrap(written, shown):
    assert notebook_pages.unwrap(written) == shown


def test_a_term_without_a_word_before_it_is_refused():
    with pytest.raises(ValueError, match="'token'"):
        notebook_pages.unwrap("- <!--book: {term}`token`-->")


def test_notebook_keeps_everything_but_the_comments():
    awkward = 'quo"te \\ back\\\\slash $\\frac{1}{2}$ é — \u2028 </script>\n'
    notebook = {
        "cells": [
            {
                "cell_type": "markdown",
                "metadata": {"a": 1},
                "source": [awkward, 'x<!--book: {cite:p}`k"y`-->'],
            },
            {
                "cell_type": "code",
                "outputs": [{"text": awkward}],
                "source": ["print('<!--book: {cite:p}`k`-->')"],
            },
        ],
        "nbformat": 4,
    }
    after = json.loads(notebook_pages.unwrap_notebook(json.dumps(notebook)))
    assert after["cells"][0]["source"] == awkward + 'x {cite:p}`k"y`'
    assert after["cells"][0]["metadata"] == {"a": 1}
    assert after["cells"][1] == notebook["cells"][1]
    assert after["nbformat"] == 4


# ------------------------------------------------------------- code and pages


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("#| export\nx = 1", "x = 1"),
        ("#| default_exp positions", ""),
        ("#@title Solution\nx = 1", "x = 1"),
        (
            "def f():\n    ### BEGIN SOLUTION\n    return 1\n"
            "    ### END SOLUTION",
            "def f():\n    return 1",
        ),
        ("a\n### BEGIN HIDDEN TESTS\nb\n### END HIDDEN TESTS\nc", "a\nb\nc"),
        ("### a heading\nx", "### a heading\nx"),
        ("x = '#| not a directive'", "x = '#| not a directive'"),
        ("#@jit is no form", "#@jit is no form"),
        ("    indented()", "    indented()"),
    ],
)
def test_tidy_code(written, shown):
    assert notebook_pages.tidy_code(written) == shown


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Figure 3.1.", "figure-3-1"),
        ("Table 12.4", "table-12-4"),
        ("Figure A1.2.", "figure-a1-2"),
        ("Figure", None),
        ("Claim 4, put to the test.", None),
    ],
)
def test_caption_id(text, name):
    assert notebook_pages.caption_id(text) == name


def paragraph(*children):
    document = new_document("test")
    document += nodes.paragraph("", "", *children)
    return document


def test_doctree_hook():
    document = paragraph(
        nodes.strong("", "Figure 3.1."),
        nodes.Text(" See "),
        nodes.math("", "x"),
        nodes.Text(", here"),
        nodes.math("", "y"),
        nodes.Text(" there"),
    )
    box = nodes.container(classes=["cell_input"])
    box += nodes.literal_block("#| export\nx", "#| export\nx")
    empty = nodes.container(classes=["cell_input"])
    empty += nodes.literal_block("#| hide", "#| hide")
    document += [box, empty, nodes.math_block("", "a \\\\ b \\tag{3.1}")]
    notebook_pages.on_doctree_read(None, document)
    caption, *rest = document.children
    assert caption["ids"] == ["figure-3-1"]
    assert "caption-by-hand" in caption["classes"]
    assert caption.astext() == "Figure 3.1. See x, herey there"
    assert caption[2].astext() == "x,"
    assert caption[2]["classes"] == ["nobr"]
    assert [node.astext() for node in rest] == [
        "x",
        "\\[a \\\\ b \\tag{3.1}\\]",
    ]
    assert rest[0][0].rawsource == "x"  # else it is not highlighted
    assert rest[1]["nowrap"]


# ------------------------------------------------------------------- offline

BERTVIZ = """<script src="https://cdnjs.cloudflare.com/ajax/libs/require.js/2.3.6/require.min.js"></script>
d3: 'https://cdnjs.cloudflare.com/ajax/libs/d3/5.7.0/d3.min',
jquery: 'https://cdnjs.cloudflare.com/ajax/libs/jquery/2.0.0/jquery.min',
jquery: '//ajax.googleapis.com/ajax/libs/jquery/2.0.0/jquery.min',
<select id="layer">"""


def test_bertviz_loads_local_files():
    page = offline.clean(BERTVIZ, "../_static/vendor/")
    assert "//" not in page
    assert 'src="../_static/vendor/require.js"' in page
    assert "d3: '../_static/vendor/d3.min'" in page
    assert page.count("jquery: '../_static/vendor/jquery.min'") == 2
    assert 'aria-label="Layer"' in page
    assert offline.clean(page, "../_static/vendor/") == page


def test_thebe_and_preloaded_fonts_go():
    page = (
        '<p>a</p>\n<script>const THEBE_JS_URL = "https://cdn.example/x"; y'
        '</script>\n<script async src="../_static/sphinx-thebe.js?v=1">'
        '</script><link rel="preload" as="font" type="font/woff2" href="f">'
        '<script type="text/x-thebe-config">\n{}\n</script>'
        "<script>kernelName = 'python3'</script><script>keep()</script>"
    )
    assert offline.clean(page, "") == "<p>a</p><script>keep()</script>"


def test_a_long_signature_is_valid_html():
    page = '<dl>\n<dd><em class="sig-param">x</em>,</dd>\n</dl>'
    assert offline.clean(page, "") == (
        '<span class="sig-line"><em class="sig-param">x</em>,</span>\n'
    )


def test_everything_that_is_copied_exists():
    for source in offline.VENDORED:
        assert (ROOT / "third_party" / source).exists()


# ------------------------------------------------------ contents and API page


def test_every_chapter_is_in_the_contents():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text("utf-8"))
    listed = [contents["root"]] + [
        page["file"] for part in contents["parts"] for page in part["chapters"]
    ]
    assert len(listed) == len(set(listed))
    written = {path.stem for path in (ROOT / "chapters").glob("*.ipynb")}
    assert {
        page.split("/")[1] for page in listed if page.startswith("chapters/")
    } == written
    for page in listed:
        assert any((ROOT / (page + end)).exists() for end in (".md", ".ipynb"))


def test_api_page_lists_every_module():
    pairs = api_page.modules(ROOT)
    assert {name for name, _ in pairs} == {
        path.stem for path in (ROOT / "bertlib").glob("[!_]*.py")
    }
    page = (ROOT / "book" / "api.md").read_text("utf-8")
    assert page.count(api_page.MARK) == 1


def test_api_page_follows_the_chapters(tmp_path):
    (tmp_path / "chapters").mkdir()
    (tmp_path / "bertlib").mkdir()
    for number, module in (("00_z", "z"), ("01_a", "a"), ("02_new", "new")):
        cell = {"cell_type": "code", "source": [f"#| default_exp {module}"]}
        (tmp_path / "chapters" / f"{number}.ipynb").write_text(
            json.dumps({"cells": [cell]})
        )
    for module in ("__init__", "_modidx", "a", "z", "b"):
        (tmp_path / "bertlib" / f"{module}.py").touch()
    pairs = api_page.modules(tmp_path)
    assert pairs == [("z", "00_z.ipynb"), ("a", "01_a.ipynb"), ("b", None)]
    text = api_page.sections(pairs)
    assert "## `bertlib.z`" in text
    assert "[chapter 0](../chapters/00_z.ipynb)" in text
    assert ".. automodule:: bertlib.b\n   :members:" in text
