"""From a notebook to a page: what the book shows differently.

A chapter is one notebook that must also look right in Jupyter, in Colab and
on GitHub. Four things are adapted while the book is built, never in the file:

- `<!--book: X-->` in a markdown cell becomes X (citations, glossary links,
  index entries: markup that would show raw elsewhere);
- lines such as `#| export`, `#@title` and `### BEGIN SOLUTION` disappear
  from the code;
- `$$ … $$` reaches MathJax as it stands, so that `\\tag` works with `\\\\`;
- a paragraph that starts with a bold "Figure 3.1." or "Table 3.1." becomes a
  caption that can be linked to.
"""

import json
import re

from docutils import nodes
from sphinx import addnodes

COMMENT = re.compile(r"<!--\s*book:\s*(.*?)\s*-->", re.S)
TERM = re.compile(r"\{term\}`(?:[^<`]*<)?([^<>`]+)>?`")
CAPTION = re.compile(r"(Figure|Table) (\d+|[A-Z]\d+)\.(\d+)\.?$")
CLOSING = re.compile(r"[.,;:)!?’”]+")
MARKER = re.compile(
    r"#\|"
    r"|#@(title|markdown|param)\b"
    r"|###\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)\b"
)


def unwrap(text):
    """Replace each `<!--book: X-->` by X.

    The comments follow the word without a space, because the notebook would
    show the space. A `{cite…}` gets one here. An `{index}` entry becomes
    invisible, as it is in the notebook. A `{term}` turns the words before
    it, which the notebook shows, into the link:
    `two tokens<!--book: {term}`token`-->` links the word "tokens".
    """
    parts = COMMENT.split(text)
    done = parts[0]
    for markup, after in zip(parts[1::2], parts[2::2], strict=True):
        term = TERM.fullmatch(markup)
        if term:
            done = link_last_words(done, term[1].strip())
        elif markup.startswith("{index}`"):
            if not after[:1].isalnum():
                done = done.rstrip(" ")
            done += markup.replace("{index}`", "{hidden-index}`")
        elif markup.startswith("{cite") and done[-1:] not in {"", " ", "\n"}:
            done += " " + markup
        else:
            done += markup
        done += after
    return done


def link_last_words(text, term):
    """Turn the last words of `text`, as many as `term` has, into its link."""
    part = r"[^\s`*_()\[\]{}<>,.;:\"“”]*"
    word = part + r"\w" + part
    words = r"\s+".join([word] * len(term.split()))
    found = re.search(rf"({words})([*_]*)\s*$", text)
    if not found:
        raise ValueError(f"no word before the book comment for {term!r}")
    shown = " ".join(found[1].split())
    return f"{text[: found.start()]}{{term}}`{shown} <{term}>`{found[2]}"


def unwrap_notebook(source):
    """Do the same in the markdown cells of a notebook, given as JSON."""
    notebook = json.loads(source)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = unwrap("".join(cell["source"]))
    return json.dumps(notebook, ensure_ascii=False)


def tidy_code(code):
    """Leave out the lines that speak to tools rather than to readers."""
    lines = [
        line for line in code.split("\n") if not MARKER.match(line.strip())
    ]
    return re.sub(r"\n{3,}", "\n\n\n", "\n".join(lines)).strip("\n")


def caption_id(text):
    """`Figure 3.1.` gives `figure-3-1`; any other text gives None."""
    found = CAPTION.match(text.strip())
    return found and "-".join(found.groups()).lower()


def hidden_index(name, rawtext, text, lineno, inliner, *_):
    """A role: an index entry that shows nothing, `a; b` for a sub-entry."""
    env = inliner.document.settings.env
    target = f"index-{env.new_serialno('index')}"
    kind = "pair" if ";" in text else "single"
    index = addnodes.index(entries=[(kind, text, target, "", None)])
    return [index, nodes.target("", "", ids=[target])], []


def on_source_read(app, docname, source):
    if not re.search(r"<!--\s*book:", source[0]):
        return
    notebook = str(app.env.doc2path(docname)).endswith(".ipynb")
    source[0] = (unwrap_notebook if notebook else unwrap)(source[0])


def on_doctree_read(app, doctree):
    for box in list(doctree.findall(nodes.container)):
        if "cell_input" in box["classes"]:
            for block in list(box.findall(nodes.literal_block)):
                code = tidy_code(block.astext())
                if code:
                    block.rawsource = code
                    block[:] = [nodes.Text(code)]
                else:
                    box.parent.remove(box)
    for block in doctree.findall(nodes.math_block):
        if not block.get("nowrap"):
            block["nowrap"] = True
            block[:] = [nodes.Text(f"\\[{block.astext()}\\]")]
    for formula in list(doctree.findall(nodes.math)):
        after = formula.next_node(descend=False, siblings=True)
        stop = isinstance(after, nodes.Text) and CLOSING.match(after)
        if stop:  # no line may start with the full stop of a formula
            after.parent.replace(after, nodes.Text(after[stop.end() :]))
            together = nodes.inline(classes=["nobr"])
            formula.parent.replace(formula, together)
            together += [formula, nodes.Text(stop[0])]
    for strong in doctree.findall(nodes.strong):
        paragraph = strong.parent
        name = caption_id(strong.astext())
        if name and paragraph.astext().startswith(strong.astext()):
            paragraph["classes"].append("caption-by-hand")
            paragraph["ids"].append(name)


def setup(app):
    app.add_role("hidden-index", hidden_index)
    app.connect("source-read", on_source_read)
    app.connect("doctree-read", on_doctree_read)
    return {"version": "1", "parallel_read_safe": True}
