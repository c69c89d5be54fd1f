"""The tools that hold the house together, and that each of them can fail."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)

import check_export
import run_tests
from check_notebooks import RULES, Chapter, check
from execute import ExecutionFailed, execute
from normal_form import normalise, serialise
from set_repository import (
    colab_cell,
    renamed,
    repository_url,
    set_repository,
    validate,
)

pytestmark = pytest.mark.unhooked

ROOT = Path(__file__).parent.parent
ADDRESS = "https://github.com/someone/a-fork"
SOLUTION = """#@title Solution
def double(x):
    ### BEGIN SOLUTION
    return 2 * x
    ### END SOLUTION"""
PROSE = r"""Text with a fraction `f(3.9)` and a value $f(3.8)$.

$$ y = 2x \tag{3.1} $$

Double, by (3.1); see Figure 3.1 and [the notes](../book/notes.md#top).
<!--book: {cite:p}`vaswani2017` -->"""


def code(id: str, source: str, *tags: str, **metadata) -> NotebookNode:
    """A code cell that was run, with a line of output."""
    if tags:
        metadata["tags"] = list(tags)
    return new_code_cell(
        source,
        id=id,
        execution_count=1,
        metadata=metadata,
        outputs=[new_output("stream", name="stdout", text="4\n")],
    )


def text(id: str, source: str) -> NotebookNode:
    return new_markdown_cell(source, id=id)


def grade(id: str, **more) -> dict:
    return {"grade_id": id, "schema_version": 3, **more}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A small book without chapters."""
    for folder in ("book", "chapters", "tools"):
        (tmp_path / folder).mkdir()
    (tmp_path / "_config.yml").write_text(
        f"title: A book\nrepository:\n  # where\n  url: {ADDRESS}\n"
    )
    shutil.copy(ROOT / "tools" / "colab_cell.py", tmp_path / "tools")
    (tmp_path / "book" / "notes.md").write_text("# Notes\n")
    (tmp_path / "book" / "references.bib").write_text(
        "@article{vaswani2017,\n title = {Attention}}\n"
    )
    return tmp_path


@pytest.fixture
def notebook(root: Path) -> NotebookNode:
    """A chapter with nothing wrong, to be broken in one place."""
    image = new_output("display_data", {"image/png": "aGVsbG8="})
    plot = code("plot", "plot()", mystnb={"image": {"alt": "A line."}})
    plot.outputs = [image]
    return new_notebook(
        cells=[
            text("title", "# 3 Doubles: a chapter"),
            code("colab", colab_cell(root, ADDRESS).strip(), "remove-cell"),
            code("default-exp", "#| default_exp doubles", "remove-cell"),
            text("prose", PROSE),
            code("export-double", "#| export\ndef double(x): return 2 * x"),
            code(
                "shown", "print(double(2))  # by (3.1)", "nbval-check-output"
            ),
            plot,
            text("caption", "**Figure 3.1.** A line that rises."),
            text("exercises", "## Exercises"),
            text("ch03-ex1-text", "### Exercise 3.1 ★★ (5 points) Double"),
            code("ch03-ex1-starter", "def double(x): ...", "starter"),
            code(
                "ch03-ex1",
                SOLUTION,
                "solution",
                "hide-input",
                cellView="form",
                nbgrader=grade("ch03-ex1", solution=True, grade=False),
            ),
            code(
                "ch03-ex1-check",
                "assert double(2) == 4, 'double 2'\nprint('3.1 passed')",
                "check",
                nbgrader=grade(
                    "ch03-ex1-check", solution=False, grade=True, points=5
                ),
            ),
            text(
                "ch03-ex2-text",
                "### Exercise 3.2 ★ Why?\n\n<details><summary>Answer"
                "</summary>\n\nBecause.\n\n</details>",
            ),
            text("sources", "## Sources"),
        ]
    )


def problems(root: Path, notebook: NotebookNode) -> list[str]:
    """What the rules say about a notebook, stored in normal form."""
    path = root / "chapters" / "03_doubles.ipynb"
    path.write_text(serialise(normalise(notebook)), encoding="utf-8")
    return check(Chapter(path, root))


def cell(notebook: NotebookNode, id: str) -> NotebookNode:
    return next(c for c in notebook.cells if c.id == id)


def test_good_chapter_passes(root: Path, notebook: NotebookNode) -> None:
    assert problems(root, notebook) == []


# --- every rule can fail -------------------------------------------------

Break = Callable[[NotebookNode], object]


def source(old: str, new: str) -> Break:
    """A break that replaces some of the cell's source."""

    def replace(c: NotebookNode) -> None:
        assert old in c.source
        c.source = c.source.replace(old, new)

    return replace


def append(new: str) -> Break:
    def extend(c: NotebookNode) -> None:
        c.source += new

    return extend


def output(**fields) -> Break:
    return lambda c: c.outputs.append(new_output(**fields))


def metadata(**fields) -> Break:
    return lambda c: c.metadata.update(fields)


def grading(**fields) -> Break:
    return lambda c: c.metadata.nbgrader.update(fields)


def stream(content: str, name: str = "stdout") -> Break:
    return output(output_type="stream", name=name, text=content)


# Rule, cell, what is broken in it, and a part of the message.
BROKEN: list[tuple[str, str, Break, str]] = [
    ("size", "shown", stream("x" * 400_000), "at most 400,000"),
    (
        "executed",
        "shown",
        lambda c: c.update(execution_count=None),
        "cell shown: not executed",
    ),
    ("executed", "shown", lambda c: c.update(source=""), "empty code cell"),
    (
        "clean_outputs",
        "plot",
        output(output_type="error", ename="ValueError", evalue=""),
        "stored error: ValueError",
    ),
    ("clean_outputs", "shown", stream("hm", "stderr"), "wrote to stderr"),
    ("clean_outputs", "shown", stream("/tmp/x1"), "'/tmp/x1'"),
    ("clean_outputs", "shown", stream("/home/me/book"), "'/home/me'"),
    ("clean_outputs", "shown", stream("C:\\Users\\me"), "path of this"),
    (
        "checked_cells",
        "shown",
        lambda c: c.update(outputs=[]),
        "nbval-check-output without an output",
    ),
    ("opening", "title", source("# 3", "## 3"), "must be the title"),
    ("opening", "colab", lambda c: c.update(id="cola"), "second cell"),
    ("opening", "colab", metadata(tags=[]), "needs the tag remove-cell"),
    ("opening", "colab", source("a-fork", "b-fork"), "set-repository"),
    ("opening", "colab", append("\nprint()"), "tools/colab_cell.py"),
    (
        "exported",
        "export-double",
        append("  # " + "x" * 79),
        "columns, at most 79",
    ),
    ("exported", "default-exp", metadata(tags=[]), "tag remove-cell"),
    ("exported", "default-exp", source("#|", "#"), "0 cells with"),
    ("exported", "shown", source("print", "#| default_exp b\n"), "2 cells"),
    ("imports", "shown", append("\nfrom math import *"), "name what you"),
    ("equations", "prose", source("{3.1}", "{3.2}"), "are tagged ['3.2']"),
    ("equations", "prose", append("\n\nAs in (3.2)."), "no equation (3.2)"),
    ("equations", "shown", source("(3.1)", "(3.4)"), "no equation (3.4)"),
    (
        "equations",
        "prose",
        append(" (2.1) of [chapter 2]"),
        "no equation (2.1)",
    ),
    ("equations", "prose", append(" equation (2.1)"), "no equation (2.1)"),
    ("figures", "prose", append(" In Figure 2.7"), "no Figure 2.7"),
    ("figures", "caption", source("3.1", "3.2"), "numbered ['3.2']"),
    ("figures", "prose", append(" In Figure 3.7"), "no Figure 3.7"),
    ("figures", "plot", metadata(mystnb={}), "without alternative text"),
    ("figures", "caption", source("**Figure 3.1.**", "It"), "does not start"),
    (
        "figures",
        "plot",
        output(output_type="display_data", data={"image/png": "aGVsbG8="}),
        "2 images",
    ),
    ("plain_markdown", "prose", append("\n```{note}\nx\n```"), "```{"),
    ("plain_markdown", "prose", append("\n:::{note}\nx\n:::"), ":::"),
    ("plain_markdown", "prose", append(" {term}`token`"), "{term}`"),
    ("plain_markdown", "prose", append("\n\n(here)=\n"), "(here)="),
    ("citations", "prose", source("2017", "2016"), "'vaswani2016' is not"),
    ("links", "prose", source("notes.md", "no.md"), "../book/no.md"),
    ("links", "prose", append("![x](https://a.org/b.png)"), "elsewhere"),
    ("links", "prose", append('<img src="https://a.org/b">'), "elsewhere"),
    ("links", "prose", append("![x](attachment:b.png)"), "embedded image"),
    ("unique_ids", "ch03-ex1", grading(grade_id="ch03-ex1-check"), "2 times"),
    ("exercises", "ch03-ex2-text", source("3.2", "3.3"), "in order they are"),
    ("exercises", "ch03-ex2-text", source(" ★", ""), "heading must read"),
    ("exercises", "shown", metadata(tags=["check"]), "belongs to no exercise"),
    ("exercises", "ch03-ex1-starter", metadata(tags=[]), "not one of"),
    ("exercises", "ch03-ex1-check", metadata(tags=[]), "not one of"),
    ("exercises", "ch03-ex1-check", append("\nassert 1"), "without a message"),
    ("exercises", "ch03-ex1", source("#@title Solution", "# Hm"), "#@title"),
    ("exercises", "ch03-ex1", source("### END", "# END"), "one pair of"),
    ("exercises", "ch03-ex1", metadata(tags=["solution"]), "hide-input"),
    ("exercises", "ch03-ex1", metadata(cellView="x"), "cellView: form"),
    ("exercises", "ch03-ex1", grading(solution=False), "solution, not grade"),
    ("exercises", "ch03-ex1-check", grading(grade=False), "grade, not"),
    ("exercises", "ch03-ex1-check", grading(points=4), "4 points in the"),
    ("exercises", "ch03-ex1-check", grading(grade_id="a"), "must equal"),
    (
        "exercises",
        "ch03-ex1-check",
        lambda c: c.update(id="a"),
        "needs the id",
    ),
    ("exercises", "ch03-ex1-text", source(" (5 points)", ""), "no points"),
    ("exercises", "ch03-ex2-text", source("<details>", ""), "no solution"),
]


@pytest.mark.parametrize(("rule", "id", "change", "message"), BROKEN)
def test_rule_can_fail(
    root: Path,
    notebook: NotebookNode,
    rule: str,
    id: str,
    change: Break,
    message: str,
) -> None:
    change(cell(notebook, id))
    path = root / "chapters" / "03_doubles.ipynb"
    path.write_text(serialise(normalise(notebook)), encoding="utf-8")
    by_name = {r.__name__: r for r in RULES}
    found = list(by_name[rule](Chapter(path, root)))
    assert any(message in problem for problem in found), found


def test_every_rule_is_shown_to_fail() -> None:
    tested = {rule for rule, *_ in BROKEN} | {"normal_form"}
    assert tested == {rule.__name__ for rule in RULES}


def test_refreshers_have_a_letter_in_their_numbers(
    root: Path, notebook: NotebookNode
) -> None:
    stored = serialise(normalise(notebook)).replace("3.1", "A1.1")
    stored = stored.replace("Exercise 3.2", "Exercise A1.2")
    path = root / "chapters" / "a1_doubles.ipynb"
    path.write_text(stored, encoding="utf-8")
    assert check(Chapter(path, root)) == []
    path.write_text(stored.replace("**Figure A1.1.**", "**Figure A1.2.**"))
    assert any("numbered ['A1.2']" in x for x in check(Chapter(path, root)))
    path.write_text(stored.replace("Exercise A1.2", "Exercise A1.3"))
    assert any("exercises are" in x for x in check(Chapter(path, root)))
    path.write_text(stored.replace("by (A1.1)", "by (A1.4)"))
    assert any("no equation (A1.4)" in x for x in check(Chapter(path, root)))


def test_second_id_is_found(root: Path, notebook: NotebookNode) -> None:
    problems(root, notebook)  # stores the chapter
    path = root / "chapters" / "03_doubles.ipynb"
    stored = path.read_text(encoding="utf-8")
    path.write_text(stored.replace('"id": "plot"', '"id": "shown"'))
    with pytest.warns(nbformat.warnings.DuplicateCellId):
        found = check(Chapter(path, root))
    assert "the id 'shown' occurs 2 times" in found


def test_code_and_comments_are_no_references(
    root: Path, notebook: NotebookNode
) -> None:
    prose = cell(notebook, "prose")
    prose.source += "\n\n`(3.9)` $(3.8)$ f(3.7) <!-- (3.6) [a](b.md) -->"
    prose.source += "\n\n```\n(3.5) [a](b.md)\n```\n"
    assert problems(root, notebook) == []


# --- normal form -----------------------------------------------------------


def messy(notebook: NotebookNode) -> NotebookNode:
    """The same notebook as another program would have stored it."""
    notebook.metadata = {"widgets": {"x": 1}, "kernelspec": {"name": "mine"}}
    for place, c in enumerate(notebook.cells):
        c.metadata["ExecuteTime"] = "now"
        if c.cell_type == "code":
            c.execution_count = 10 + place
    shown = cell(notebook, "shown")
    shown.outputs = [
        new_output("stream", name="stdout", text="10 %\r100"),
        new_output("stream", name="stdout", text=" %\n"),
        new_output(
            "execute_result",
            {
                "text/plain": "<Axes at 0x7f8e12345678>",
                "text/html": "bertviz-" + 32 * "a" + "bertviz-" + 32 * "b",
                "application/vnd.jupyter.widget-view+json": {},
            },
            execution_count=77,
        ),
    ]
    return notebook


def test_normal_form(root: Path, notebook: NotebookNode) -> None:
    result = normalise(messy(notebook))
    assert set(result.metadata) == {"kernelspec", "language_info"}
    assert result.metadata.kernelspec.name == "python3"
    assert not any("ExecuteTime" in c.metadata for c in result.cells)
    counts = [c.execution_count for c in result.cells if "outputs" in c]
    assert counts == list(range(1, len(counts) + 1))
    printed, value = cell(result, "shown").outputs
    assert printed.text == "100 %\n"
    assert value.execution_count == cell(result, "shown").execution_count
    assert value.data["text/plain"] == "<Axes at 0x0>"
    assert set(value.data) == {"text/plain", "text/html"}
    assert len(set(value.data["text/html"].split("bertviz-"))) == 3


def test_normal_form_is_stable(notebook: NotebookNode) -> None:
    once = serialise(normalise(messy(notebook)))
    again = serialise(normalise(nbformat.reads(once, as_version=4)))
    assert once == again
    assert once.endswith("}\n")


def test_normal_form_does_not_hide_an_unexecuted_cell(
    notebook: NotebookNode,
) -> None:
    cell(notebook, "plot").execution_count = None
    assert cell(normalise(notebook), "plot").execution_count is None


def test_rule_normal_form_can_fail(root: Path, notebook: NotebookNode) -> None:
    path = root / "chapters" / "03_doubles.ipynb"
    nbformat.write(messy(notebook), path)
    assert any("make execute" in x for x in check(Chapter(path, root)))


# --- execution -------------------------------------------------------------


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., Path]:
    """Store a notebook of the given code cells."""

    def store(*sources: str) -> Path:
        cells = [
            new_code_cell(s, id=f"cell-{i}") for i, s in enumerate(sources)
        ]
        nbformat.write(new_notebook(cells=cells), tmp_path / "script.ipynb")
        return tmp_path / "script.ipynb"

    return store


def test_execute_runs_in_an_empty_folder(script) -> None:
    path = script("import os\nprint(os.listdir())", "1 + 1")
    result = nbformat.reads(execute(path), as_version=4)
    assert result.cells[0].outputs[0].text == "[]\n"
    assert result.cells[1].outputs[0].data["text/plain"] == "2"
    assert result.cells[1].metadata == {}


def test_failed_execution_names_the_cell(script) -> None:
    path = script("x = 1", "raise ValueError('no such x')")
    before = path.read_bytes()
    with pytest.raises(ExecutionFailed, match=r"cell-1.*\n(?s:.*)no such x"):
        execute(path)
    assert path.read_bytes() == before


# --- export ----------------------------------------------------------------


@pytest.fixture
def exported(root: Path, notebook: NotebookNode) -> Path:
    """A small book whose chapter has been exported."""
    problems(root, notebook)  # stores the chapter
    shutil.copy(ROOT / "pyproject.toml", root)
    (root / "bertlib").mkdir()
    (root / "bertlib" / "__init__.py").write_text('__version__ = "0.1.0"\n')
    fresh = root / "fresh"
    check_export.export(root, fresh)
    shutil.copytree(fresh / "bertlib", root / "bertlib", dirs_exist_ok=True)
    return root


def test_fresh_export_has_no_drift(exported: Path) -> None:
    assert (exported / "bertlib" / "doubles.py").exists()
    assert check_export.check(exported) == []


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("doubles.py", "edit", "is not what its chapter exports"),
        ("_modidx.py", "edit", "is not what its chapter exports"),
        ("halves.py", "edit", "comes from no chapter"),
        ("doubles.py", "delete", "is missing"),
    ],
)
def test_drift_is_found(
    exported: Path, name: str, change: str, message: str
) -> None:
    path = exported / "bertlib" / name
    if change == "delete":
        path.unlink()
    else:
        with path.open("a") as file:
            file.write("# by hand\n")
    [problem] = check_export.check(exported)
    assert name in problem
    assert message in problem


# --- the address of the repository ------------------------------------------


@pytest.mark.parametrize(
    "address",
    [
        "github.com/a/b",
        "http://github.com/a/b",
        "https://github.com/a",
        "https://github.com/a/b/c",
        "https://github.com/a/b c",
        'https://github.com/a/b"',
        "",
    ],
)
def test_bad_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must read https://"):
        validate(address)


def test_address_is_shortened() -> None:
    assert validate(f"{ADDRESS}.git") == validate(f"{ADDRESS}/") == ADDRESS


def test_renamed_changes_whole_addresses_only() -> None:
    old, new = "https://github.com/a/b", "https://github.com/c/d"
    before = (
        "https://github.com/a/b. https://github.com/a/b.git "
        "https://github.com/a/b-c https://github.com/a/b.js "
        "https://colab.research.google.com/github/a/b/blob/main/x.ipynb "
        "https://a.github.io/b/intro.html"
    )
    assert renamed(before, old, new) == (
        "https://github.com/c/d. https://github.com/c/d.git "
        "https://github.com/a/b-c https://github.com/a/b.js "
        "https://colab.research.google.com/github/c/d/blob/main/x.ipynb "
        "https://c.github.io/d/intro.html"
    )


def test_set_repository_keeps_the_chapters_in_order(
    root: Path, notebook: NotebookNode
) -> None:
    assert problems(root, notebook) == []
    changed = set_repository("https://github.com/x/y", root)
    assert repository_url(root) == "https://github.com/x/y"
    chapter = root / "chapters" / "03_doubles.ipynb"
    assert chapter in changed
    assert check(Chapter(chapter, root)) == []


def test_address_stands_once_in_the_configuration() -> None:
    text = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert text.count(repository_url()) == 1


def test_citation_and_colab_cell_name_the_same_repository() -> None:
    address = repository_url()
    for file in ("CITATION.cff", "tools/colab_cell.py"):
        text = (ROOT / file).read_text(encoding="utf-8")
        assert f'"{address}"' in text, f"run `make set-repository`: {file}"


# --- make and the test run --------------------------------------------------


def make(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run make as from a shell, also where these tests run under make."""
    outside = {k: v for k, v in os.environ.items() if "MAKE" not in k}
    return subprocess.run(
        ["make", *arguments],
        cwd=cwd,
        env=outside,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A folder with the Makefile and what the environment depends on."""
    for name in ("Makefile", "requirements.txt", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "fetch.py").touch()
    return tmp_path


def test_make_names_a_missing_python(house: Path) -> None:
    done = make("book", "PYTHON=python-of-nowhere", cwd=house)
    assert done.returncode != 0
    assert 'No "python-of-nowhere" here' in done.stderr
    assert not (house / ".venv").exists()


def test_make_refuses_an_old_python(house: Path) -> None:
    old = house / "old-python"
    fake = "import sys; sys.version_info = (3, 10); sys.version = '3.10.9 x'"
    script = f"""#!/bin/sh\nexec '{sys.executable}' -c "{fake}; $2"\n"""
    old.write_text(script)
    old.chmod(0o755)
    done = make("book", f"PYTHON={old}", cwd=house)
    assert done.returncode != 0
    assert "needs 3.11 or newer" in done.stderr
    assert not (house / ".venv").exists()


def test_unfinished_installation_is_not_ready(house: Path) -> None:
    (house / ".venv" / "bin").mkdir(parents=True)
    (house / ".venv" / "bin" / "python").symlink_to(sys.executable)
    ready = house / ".venv" / ".ready"
    ready.touch()
    os.utime(ready, (0, 0))  # older than requirements.txt
    done = make("book", f"PYTHON={sys.executable}", "PIP=false", cwd=house)
    assert "\nfalse install" in done.stdout
    assert done.returncode != 0
    assert not ready.exists()


def test_set_repository_needs_an_address(house: Path) -> None:
    (house / ".venv").mkdir()
    (house / ".venv" / ".ready").touch()
    done = make("set-repository", cwd=house)
    assert "usage: make set-repository URL=" in done.stderr


def test_notebook_that_prints_something_else_fails(tmp_path: Path) -> None:
    same = code("same", "object()", "nbval-check-output")
    same.outputs = [
        new_output(
            "execute_result",
            {"text/plain": "<object at 0x0>"},
            execution_count=1,
        )
    ]
    alone = code("alone", "import os\nassert os.listdir() == ['a.ipynb']")
    other = code("other", "print(5)", "nbval-check-output")  # stored: 4
    path = tmp_path / "a.ipynb"
    nbformat.write(new_notebook(cells=[same, alone, other]), path)
    count, seconds, _ = run_tests.run_notebook(path, [])
    assert count == run_tests.Count(passed=2, failed=1)
    assert seconds > 0


def test_summary_counts_what_pytest_reports(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuites><testsuite tests="7" failures="1" errors="1" '
        'skipped="2"/></testsuites>'
    )
    count = run_tests.count_tests(report, 1)
    assert str(count) == "3 passed, 2 failed, 2 skipped"
    assert count + run_tests.Count(1) == run_tests.Count(4, 2, 2)


def test_run_that_broke_off_counts_as_failed(tmp_path: Path) -> None:
    count = run_tests.count_tests(tmp_path / "none.xml", 3)
    assert str(count) == "0 passed, 1 failed"
