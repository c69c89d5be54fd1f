"""Every check accepts its solution and rejects what students get wrong.

tests/wrong_solutions/NN_name.py holds, per chapter, `WRONG`: the id of a
check cell -> sources of wrong solutions. Each cell runs in a fresh namespace,
so a solution and its check may use nothing from the rest of the chapter.
"""

import ast
import re
import runpy
import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from check_notebooks import BEGIN, END, Chapter, tags

pytestmark = pytest.mark.unhooked  # students run without the shape checks

ROOT = Path(__file__).parent.parent
WRONG_SOLUTIONS = Path(__file__).parent / "wrong_solutions"
SOLUTION_BODY = re.compile(
    rf"^([ \t]*){re.escape(BEGIN)}.*?{re.escape(END)}[ \t]*$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Case:
    """The sources of an exercise with a check, and of its wrong solutions."""

    id: str
    starter: str
    solution: str
    check: str
    wrong: tuple[str, ...]


def cases() -> Iterator[Case]:
    """All exercises with a check, chapter by chapter."""
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        wrong = wrong_solutions(path.stem)
        for exercise in Chapter(path).exercises():
            cells = {tag: c for c in exercise.cells for tag in tags(c)}
            if "check" in cells:
                yield Case(
                    id=cells["check"].id,
                    starter=cells["starter"].source,
                    solution=cells["solution"].source,
                    check=cells["check"].source,
                    wrong=tuple(wrong.get(cells["check"].id, ())),
                )


def wrong_solutions(chapter: str) -> dict[str, list[str]]:
    path = WRONG_SOLUTIONS / f"{chapter}.py"
    return runpy.run_path(str(path))["WRONG"] if path.exists() else {}


CASES = tuple(cases())
each_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
each_wrong = pytest.mark.parametrize(
    ("case", "wrong"),
    [
        pytest.param(case, wrong, id=f"{case.id}-{number}")
        for case in CASES
        for number, wrong in enumerate(case.wrong, start=1)
    ],
)


class Namespace:
    """A fresh module in which cells run one after the other."""

    def __init__(self) -> None:
        self.module = types.ModuleType("exercise")

    def run(self, source: str, name: str) -> None:
        sys.modules["exercise"] = self.module  # dataclasses look it up
        try:
            exec(compile(source, f"<{name}>", "exec"), vars(self.module))
        finally:
            del sys.modules["exercise"]


def imports(source: str) -> str:
    """The import statements at the top level of a cell."""
    found = [
        node
        for node in ast.parse(source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return "\n".join(ast.unparse(node) for node in found)


def student_version(solution: str) -> str:
    """The solution as nbgrader hands it out: no body, only an error."""
    return SOLUTION_BODY.sub(r"\1raise NotImplementedError", solution)


def called(error: BaseException, name: str) -> bool:
    """Tell whether the error passed through the source of that name."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == f"<{name}>":
            return True
        trace = trace.tb_next
    return False


@each_case
def test_solution_passes_its_check(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace = Namespace()
    namespace.run(case.solution, "solution")
    namespace.run(case.check, "check")


@each_wrong
def test_check_rejects_wrong_solution(
    case: Case, wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an assertion with a message, or by an error inside the wrong code.

    An error of the check itself (an attribute of None, say) would tell a
    student nothing. A wrong solution that lacks a name or an import is
    broken, not wrong, and shows nothing about the check.
    """
    monkeypatch.chdir(tmp_path)
    namespace = Namespace()
    namespace.run(imports(case.solution), "imports")
    namespace.run(wrong, "wrong")
    try:
        namespace.run(case.check, "check")
    except AssertionError as error:
        assert str(error).strip(), "an assertion of the check has no message"
        return
    except (ImportError, NameError):
        raise
    except Exception as error:
        assert called(error, "wrong"), (
            f"the check itself fails with {error!r}: let an assertion with a "
            "message catch this first"
        )
        return
    pytest.fail(f"{case.id} accepts this wrong solution:\n{wrong}")


@each_case
@pytest.mark.parametrize("version", ["starter", "student's"])
def test_check_rejects_stub(
    case: Case, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stub = (
        case.starter
        if version == "starter"
        else student_version(case.solution)
    )
    with pytest.raises(Exception):  # noqa: B017 - any error will do
        namespace = Namespace()
        namespace.run(imports(case.solution), "imports")
        namespace.run(stub, "stub")
        namespace.run(case.check, "check")


@each_case
def test_check_has_wrong_solutions(case: Case) -> None:
    assert case.wrong, f"tests/wrong_solutions has none for {case.id}"


@pytest.mark.parametrize(
    "path", sorted(WRONG_SOLUTIONS.glob("*.py")), ids=lambda path: path.stem
)
def test_wrong_solutions_belong_to_a_check(path: Path) -> None:
    unknown = set(wrong_solutions(path.stem)) - {case.id for case in CASES}
    assert not unknown, f"no check has the id {sorted(unknown)}"
