"""The API page: one section for each module of `bertlib` that exists.

The line `<!-- modules -->` of book/api.md is replaced by a section for each
module, in the order of the chapters, so a new module needs no edit here.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = "book/api"
MARK = "<!-- modules -->"


def default_export(notebook):
    """The module that a notebook writes, or None."""
    for cell in json.loads(notebook.read_text("utf-8"))["cells"]:
        found = re.match(r"#\|\s*default_exp\s+(\w+)", "".join(cell["source"]))
        if found and cell["cell_type"] == "code":
            return found[1]
    return None


def modules(root):
    """Pairs (module, its chapter or None), in the order of the chapters."""
    pages = {
        default_export(path): path.name
        for path in sorted((root / "chapters").glob("*.ipynb"))
    }
    names = {path.stem for path in (root / "bertlib").glob("[!_]*.py")}
    ordered = [name for name in pages if name in names]
    ordered += sorted(names - set(ordered))
    return [(name, pages.get(name)) for name in ordered]


def sections(pairs):
    """Markdown for the modules."""
    text = []
    for name, chapter in pairs:
        text += [f"## `bertlib.{name}`", ""]
        if chapter:
            number = chapter.split("_")[0].lstrip("0") or "0"
            text += [f"From [chapter {number}](../chapters/{chapter}).", ""]
        text += [
            "```{eval-rst}",
            f".. automodule:: bertlib.{name}",
            "   :members:",
            "```",
            "",
        ]
    return "\n".join(text)


def on_source_read(app, docname, source):
    if docname == PAGE:
        source[0] = source[0].replace(MARK, sections(modules(ROOT)))


def setup(app):
    if str(ROOT) not in sys.path:
        sys.path.insert(0, str(ROOT))
    app.connect("source-read", on_source_read)
    # Read this page afresh in each build: a module may have been added.
    app.connect("env-get-outdated", lambda *_: [PAGE])
    return {"version": "1", "parallel_read_safe": True}
