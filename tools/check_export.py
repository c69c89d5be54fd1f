"""Compare bertlib with a fresh export of the chapters.

Unlike `git diff`, this also finds modules that were never added and modules
whose chapter is gone, and it leaves the tree as it is.
"""

import filecmp
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BY_HAND = "__init__.py"  # the only file of bertlib that is not generated


def export(root: Path, target: Path) -> None:
    """Export the chapters of `root` into a clean `target`/bertlib."""
    (target / "bertlib").mkdir(parents=True)
    shutil.copy(root / "pyproject.toml", target)
    shutil.copy(root / "bertlib" / BY_HAND, target / "bertlib")
    shutil.copytree(
        root / "chapters",
        target / "chapters",
        ignore=shutil.ignore_patterns(".*"),
    )
    subprocess.run(
        [
            sys.executable,
            "-c",
            "from nbdev.doclinks import nbdev_export; nbdev_export()",
        ],
        cwd=target,
        check=True,
    )


def differences(fresh: Path, stored: Path) -> Iterator[str]:
    """Say in which files the stored package differs from the fresh one."""
    expected = {path.name for path in fresh.glob("*.py")}
    found = {path.name for path in stored.glob("*.py")}
    for name in sorted(expected - found):
        yield f"bertlib/{name} is missing; run `make export`"
    for name in sorted(found - expected):
        yield f"bertlib/{name} comes from no chapter; delete it"
    for name in sorted(expected & found):
        if not filecmp.cmp(fresh / name, stored / name, shallow=False):
            yield (
                f"bertlib/{name} is not what its chapter exports; "
                "change the chapter and run `make export`"
            )


def check(root: Path = ROOT) -> list[str]:
    """Return what is wrong with bertlib; nothing where it is as exported."""
    with tempfile.TemporaryDirectory() as folder:
        export(root, Path(folder))
        return list(differences(Path(folder) / "bertlib", root / "bertlib"))


def main() -> int:
    problems = check()
    for problem in problems:
        print(problem)
    if not problems:
        print("bertlib is what the chapters export")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
