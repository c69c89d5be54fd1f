"""Hold the chapters to the form that the book, Colab and class rely on.

    python tools/check_notebooks.py [chapters/03_positions.ipynb ...]

Each rule below is a function that takes a chapter and yields what is wrong
with it. tests/test_house.py shows for every rule that it can fail.
"""

import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from normal_form import normalise, read, serialise
from set_repository import colab_cell, repository_url

ROOT = Path(__file__).resolve().parent.parent
SIZE_LIMIT = 400_000  # bytes
COLUMNS = 79

MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|Users|work|opt|private/var)/[\w.-]+"
    r"|\b[A-Z]:\\Users\\|site-packages|\.venv\b"
)
BOOK_COMMENT = re.compile(r"<!--\s*book:(.*?)-->", re.DOTALL)
HTML_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
CODE_FENCE = re.compile(r"^(```+|~~~+).*?^\1", re.DOTALL | re.MULTILINE)
CODE_SPAN = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
MATHS = re.compile(r"\$\$.*?\$\$|\$[^$\n]+\$", re.DOTALL)
MYST = re.compile(
    r"^\s*(?:```+|~~~+)\{"  # a directive in a fence
    r"|^\s*:::"  # a directive with colons
    r"|^\([\w:-]+\)=\s*$"  # a target
    r"|\{[a-zA-Z][\w:.+-]*\}`"  # a role
    r"|^\+\+\+"  # a block break
    r"|^% ",  # a comment
    re.MULTILINE,
)
CITATION = re.compile(r"\{cite(?::\w+)?\}`([^`]+)`")
BIB_ENTRY = re.compile(r"^\s*@\w+\s*\{\s*([^,\s]+)\s*,", re.MULTILINE)
LINK = re.compile(r"(!?)\[(?:[^\[\]]|\[[^\]]*\])*\]\(\s*<?([^)\s>]+)>?[^)]*\)")
HTML_LINK = re.compile(r"<(img|a)\b[^>]*?\b(?:src|href)=[\"']([^\"']+)[\"']")
TAG = re.compile(r"\\tag\{([^}]*)\}")
NUMBER = r"(?:\d{1,2}|[A-Z]\d)\.\d{1,2}"  # 3.1, or A1.2 in a refresher
REFERENCE = re.compile(rf"(?<![\w)\]])\(({NUMBER})\)")
EQUATION_BEFORE = re.compile(rf"[Ee]quations?\s+\(({NUMBER})\)")
CHAPTER_AFTER = re.compile(
    rf"\(({NUMBER})\)\s+(?:of|in|from)\s+\[?(?:chapter|refresher)"
)
CAPTION = re.compile(rf"\*\*Figure ({NUMBER})\.\*\*")
FIGURE = re.compile(rf"\bFigures? ({NUMBER})\b")
STAR_IMPORT = re.compile(r"^\s*from\s+\S+\s+import\s+\*", re.MULTILINE)
EXERCISE = re.compile(
    rf"### Exercise ({NUMBER}) ★{{1,3}}(?: \((\d+) points?\))? \S"
)
EXERCISE_TAGS = {"starter", "solution", "check"}
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"


@dataclass(frozen=True)
class Exercise:
    """Number, points (None where ungraded) and cells, the statement first."""

    number: str
    points: int | None
    cells: list[NotebookNode]


@dataclass(frozen=True)
class Chapter:
    """A notebook, its text on disk and the book it belongs to."""

    path: Path
    root: Path = ROOT

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def notebook(self) -> NotebookNode:
        return read(self.path)

    @property
    def number(self) -> str:
        """As the text writes it: 3 for 03_positions, A1 for a1_pytorch."""
        return self.path.name.split("_")[0].lstrip("0").upper() or "0"

    @property
    def code(self) -> list[NotebookNode]:
        return [c for c in self.notebook.cells if c.cell_type == "code"]

    @property
    def prose(self) -> list[NotebookNode]:
        return [c for c in self.notebook.cells if c.cell_type == "markdown"]

    def equations(self) -> list[str]:
        """The numbers of the equations, in the order of the text."""
        return [tag for c in self.prose for tag in TAG.findall(c.source)]

    def figures(self) -> list[str]:
        """The numbers of the figures' captions, in the order of the text."""
        captions = [CAPTION.match(c.source) for c in self.prose]
        return [match[1] for match in captions if match]

    def sibling(self, reference: str) -> "Chapter | None":
        """The chapter that a number such as 3.1 belongs to, if it is there."""
        number = reference.split(".")[0]
        if number == self.number:
            return self
        paths = self.path.parent.glob(f"{number.lower().zfill(2)}_*.ipynb")
        return next((Chapter(path, self.root) for path in paths), None)

    def exercises(self) -> list[Exercise]:
        """The exercises; one ends where the next or a new part begins."""
        found: list[Exercise] = []
        inside = False
        for cell in self.notebook.cells:
            if cell.cell_type == "markdown":
                if heading := EXERCISE.match(cell.source):
                    points = int(heading[2]) if heading[2] else None
                    found.append(Exercise(heading[1], points, []))
                    inside = True
                elif re.match("#{1,3} ", cell.source):
                    inside = False
            if inside:
                found[-1].cells.append(cell)
        return found


def tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def grading(cell: NotebookNode) -> NotebookNode:
    return cell.metadata.get("nbgrader", NotebookNode())


def directives(cell: NotebookNode) -> list[str]:
    """The `#|` lines at the top of a cell, without their mark."""
    lines = cell.source.split("\n")
    return [x[2:].strip() for x in lines if x.startswith("#|")]


def output_text(cell: NotebookNode) -> str:
    """All that a cell stored as text, whatever its kind."""
    parts = [o.get("text", "") for o in cell.outputs]
    for output in cell.outputs:
        for kind, value in output.get("data", {}).items():
            if not kind.startswith("image/"):
                parts.append(
                    value if isinstance(value, str) else json.dumps(value)
                )
    return "\n".join(parts)


def without_code(markdown: str) -> str:
    """Markdown without comments and code."""
    for pattern in (HTML_COMMENT, CODE_FENCE, CODE_SPAN):
        markdown = pattern.sub(" ", markdown)
    return markdown


# --- rules ---------------------------------------------------------------


def size(chapter: Chapter) -> Iterator[str]:
    """A notebook stays small enough for GitHub to show it."""
    count = len(chapter.text.encode())
    if count > SIZE_LIMIT:
        yield f"{count:,} bytes; at most {SIZE_LIMIT:,} are allowed"


def normal_form(chapter: Chapter) -> Iterator[str]:
    """The file is as `make execute` writes it."""
    if chapter.text != serialise(normalise(chapter.notebook)):
        yield "not in normal form; run `make execute`"


def executed(chapter: Chapter) -> Iterator[str]:
    """Every code cell holds something and was run."""
    for cell in chapter.code:
        if not cell.source.strip():
            yield f"cell {cell.id}: an empty code cell"
        elif cell.execution_count is None:
            yield f"cell {cell.id}: not executed"


def clean_outputs(chapter: Chapter) -> Iterator[str]:
    """No error, no stderr, no path of the machine that ran the notebook."""
    for cell in chapter.code:
        for output in cell.outputs:
            if output.output_type == "error":
                yield f"cell {cell.id}: a stored error: {output.ename}"
            if output.get("name") == "stderr":
                yield f"cell {cell.id}: wrote to stderr: {output.text[:60]!r}"
        for match in MACHINE_PATH.finditer(output_text(cell)):
            yield f"cell {cell.id}: a path of this machine: {match[0]!r}"


def checked_cells(chapter: Chapter) -> Iterator[str]:
    """A cell whose output is compared has one: nbval passes an empty one."""
    for cell in chapter.code:
        checked = "nbval-check-output" in tags(cell)
        if checked and not output_text(cell).strip():
            yield f"cell {cell.id}: nbval-check-output without an output"


def opening(chapter: Chapter) -> Iterator[str]:
    """Title, then Colab's cell, the same in all chapters."""
    cells = chapter.notebook.cells
    if not cells or not re.match(r"# \S", cells[0].source):
        yield "the first cell must be the title: `# ...`"
    if len(cells) < 2 or cells[1].id != "colab":
        yield "the second cell must be Colab's, with the id 'colab'"
        return
    if "remove-cell" not in tags(cells[1]):
        yield "cell colab: needs the tag remove-cell"
    address = repository_url(chapter.root)
    if cells[1].source != colab_cell(chapter.root, address).rstrip():
        yield (
            "cell colab: not the text of tools/colab_cell.py with the address "
            f"in _config.yml, {address}; run `make set-repository URL=...`"
        )


def exported(chapter: Chapter) -> Iterator[str]:
    """Exported cells fit a page; the cell that names the module is hidden."""
    names = [
        c
        for c in chapter.code
        if any(d.startswith("default_exp") for d in directives(c))
    ]
    cells = [c for c in chapter.code if "export" in directives(c)]
    if len(names) > 1 or (cells and not names):
        yield f"{len(names)} cells with `#| default_exp`; one is needed"
    for cell in names:
        if "remove-cell" not in tags(cell):
            yield f"cell {cell.id}: default_exp needs the tag remove-cell"
    for cell in cells:
        for line in cell.source.split("\n"):
            if len(line) > COLUMNS:
                yield (
                    f"cell {cell.id}: {len(line)} columns, at most {COLUMNS} "
                    f"are allowed: {line.strip()[:40]}..."
                )


def imports(chapter: Chapter) -> Iterator[str]:
    """Names are imported one by one."""
    for cell in chapter.code:
        if match := STAR_IMPORT.search(cell.source):
            yield f"cell {cell.id}: {match[0].strip()!r}; name what you import"


def equations(chapter: Chapter) -> Iterator[str]:
    """Equations are numbered in order and references lead to one.

    A number in brackets counts as a reference where it starts with this
    chapter's number, or where the words around it name an equation.
    """
    found = chapter.equations()
    wanted = [f"{chapter.number}.{i + 1}" for i in range(len(found))]
    if found != wanted:
        yield f"equations are tagged {found}, in order they are {wanted}"
    for cell in chapter.notebook.cells:
        if cell.cell_type == "markdown":
            text = MATHS.sub(" ", without_code(cell.source))
        else:
            text = "\n".join(re.findall(r"#(.*)", cell.source))
        own = {
            reference
            for reference in REFERENCE.findall(text)
            if reference.startswith(f"{chapter.number}.")
        }
        named = set(
            EQUATION_BEFORE.findall(text) + CHAPTER_AFTER.findall(text)
        )
        for reference in sorted(own | named):
            other = chapter.sibling(reference)
            if other is None or reference not in other.equations():
                yield f"cell {cell.id}: there is no equation ({reference})"


def figures(chapter: Chapter) -> Iterator[str]:
    """Figures have alternative text and captions, numbered in order."""
    found = chapter.figures()
    wanted = [f"{chapter.number}.{i + 1}" for i in range(len(found))]
    if found != wanted:
        yield f"figures are numbered {found}, in order they are {wanted}"
    for cell in chapter.notebook.cells:
        if cell.cell_type == "markdown":
            for reference in FIGURE.findall(without_code(cell.source)):
                other = chapter.sibling(reference)
                if other is None or reference not in other.figures():
                    yield f"cell {cell.id}: there is no Figure {reference}"

    cells = chapter.notebook.cells
    for cell, after in zip(cells, [*cells[1:], None], strict=True):
        images = [
            k for o in cell.get("outputs", ()) for k in o.get("data", ())
        ]
        count = sum(kind.startswith("image/") for kind in images)
        if not count:
            continue
        if count > 1:
            yield f"cell {cell.id}: {count} images; one a cell can have a text"
        image = cell.metadata.get("mystnb", {}).get("image", {})
        if not image.get("alt", "").strip():
            yield f"cell {cell.id}: an image without alternative text"
        in_exercise = EXERCISE_TAGS & set(tags(cell))
        if not in_exercise and not (after and CAPTION.match(after.source)):
            yield (
                f"cell {cell.id}: an image, but the next cell does not start "
                f"with **Figure {chapter.number}.k.**"
            )


def plain_markdown(chapter: Chapter) -> Iterator[str]:
    """MyST shows raw in Colab: it may only stand in `<!--book: ... -->`."""
    for cell in chapter.prose:
        text = MATHS.sub(" ", BOOK_COMMENT.sub(" ", cell.source))
        for match in MYST.finditer(text):
            yield f"cell {cell.id}: MyST in plain view: {match[0].strip()!r}"


def citations(chapter: Chapter) -> Iterator[str]:
    """Every cited key is in the bibliography."""
    bibliography = chapter.root / "book" / "references.bib"
    known = set(BIB_ENTRY.findall(bibliography.read_text(encoding="utf-8")))
    for cell in chapter.prose:
        for keys in CITATION.findall(cell.source):
            for key in keys.split(","):
                if key.strip() not in known:
                    yield (
                        f"cell {cell.id}: {key.strip()!r} is not in "
                        "book/references.bib"
                    )


def links(chapter: Chapter) -> Iterator[str]:
    """Relative links lead to a file; no image comes from elsewhere."""
    for cell in chapter.prose:
        text = without_code(cell.source)
        found = [(bool(mark), target) for mark, target in LINK.findall(text)]
        found += [(kind == "img", x) for kind, x in HTML_LINK.findall(text)]
        for is_image, target in found:
            if re.match(r"(?:[a-z]+:)?//", target):
                if is_image:
                    yield f"cell {cell.id}: an image from elsewhere: {target}"
                continue
            if re.match(r"[a-z]+:", target):
                if is_image:
                    yield f"cell {cell.id}: an embedded image: {target[:40]}"
                continue
            file = target.partition("#")[0]
            if file and not (chapter.path.parent / file).exists():
                yield f"cell {cell.id}: a link to {file}, which is not there"


def exercises(chapter: Chapter) -> Iterator[str]:
    """Exercises: statement, starter, solution, check, in this order."""
    found = chapter.exercises()
    owned = {cell.id for exercise in found for cell in exercise.cells}
    numbers = [exercise.number for exercise in found]
    wanted = [f"{chapter.number}.{i + 1}" for i in range(len(found))]
    if numbers != wanted:
        yield f"exercises are numbered {numbers}, in order they are {wanted}"
    for cell in chapter.notebook.cells:
        if EXERCISE_TAGS & set(tags(cell)) and cell.id not in owned:
            yield f"cell {cell.id}: belongs to no exercise"
        if re.match(r"#+ Exercise\b", cell.source) and cell.id not in owned:
            yield (
                f"cell {cell.id}: the heading must read '### Exercise "
                f"{chapter.number}.k ★ (n points) Title', or without points"
            )
    for exercise in found:
        for problem in _exercise(exercise):
            yield f"exercise {exercise.number}: {problem}"


def _exercise(exercise: Exercise) -> Iterator[str]:
    code = [c for c in exercise.cells if c.cell_type == "code"]
    kinds = [
        " ".join(EXERCISE_TAGS & set(tags(c))) or "untagged" for c in code
    ]
    allowed = [["starter", "solution", "check"]]
    if exercise.points is None:
        allowed += [["starter", "solution"], ["starter"], []]
    if kinds not in allowed:
        yield f"its code cells are {kinds}, not one of {allowed}"
        return
    if "solution" in kinds:
        yield from _solution(code[1])
    elif not any("<details>" in c.source for c in exercise.cells):
        yield "no solution: neither a cell nor <details> in the text"
    if "check" in kinds and code[2].id != f"{code[1].id}-check":
        yield (
            f"the check of solution {code[1].id!r} needs the id "
            f"'{code[1].id}-check', not {code[2].id!r}"
        )
    if "check" in kinds:
        for node in ast.walk(ast.parse(code[2].source)):
            if isinstance(node, ast.Assert) and node.msg is None:
                yield f"cell {code[2].id}: an assert without a message"
    graded = [c for c in code if grading(c)]
    if exercise.points is None:
        if graded:
            yield "has nbgrader metadata, but its heading names no points"
        return
    solution, check = grading(code[1]), grading(code[2])
    if not solution.get("solution") or solution.get("grade"):
        yield "the solution's nbgrader metadata must say: solution, not grade"
    if not check.get("grade") or check.get("solution"):
        yield "the check's nbgrader metadata must say: grade, not solution"
    if check.get("points") != exercise.points:
        yield (
            f"{check.get('points')} points in the metadata, "
            f"{exercise.points} in the heading"
        )
    for cell in graded:
        if grading(cell).get("grade_id") != cell.id:
            yield f"cell {cell.id}: grade_id must equal the cell's id"


def _solution(cell: NotebookNode) -> Iterator[str]:
    lines = cell.source.split("\n")
    if lines[0] != "#@title Solution":
        yield f"cell {cell.id}: the first line must be '#@title Solution'"
    markers = [x.strip() for x in lines if x.strip() in (BEGIN, END)]
    if markers != [BEGIN, END]:
        yield f"cell {cell.id}: needs one pair of {BEGIN!r} and {END!r}"
    if "hide-input" not in tags(cell):
        yield f"cell {cell.id}: needs the tag hide-input"
    if cell.metadata.get("cellView") != "form":
        yield f"cell {cell.id}: needs the metadata cellView: form"


def unique_ids(chapter: Chapter) -> Iterator[str]:
    """Cell ids and grade ids occur once; both are stable names."""
    # nbformat renames a second id while it reads, so look at the file.
    ids = [c.get("id") for c in json.loads(chapter.text)["cells"]]
    grades = [grading(c).get("grade_id") for c in chapter.notebook.cells]
    for kind, names in (("id", ids), ("grade_id", filter(None, grades))):
        for name, count in Counter(names).items():
            if count > 1:
                yield f"the {kind} {name!r} occurs {count} times"


RULES: tuple[Callable[[Chapter], Iterator[str]], ...] = (
    size,
    normal_form,
    executed,
    clean_outputs,
    checked_cells,
    opening,
    exported,
    imports,
    equations,
    figures,
    plain_markdown,
    citations,
    links,
    unique_ids,
    exercises,
)


def check(chapter: Chapter) -> list[str]:
    """Return what is wrong with a chapter, rule by rule."""
    return [problem for rule in RULES for problem in rule(chapter)]


def main(arguments: list[str]) -> int:
    paths = [Path(a).resolve() for a in arguments]
    count = 0
    for path in paths or sorted((ROOT / "chapters").glob("*.ipynb")):
        for problem in check(Chapter(path)):
            print(f"{path.name}: {problem}")
            count += 1
    print(f"notebooks: {count} problems" if count else "notebooks: in order")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
