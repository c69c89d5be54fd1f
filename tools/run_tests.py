"""Check everything the book says, in order, up to the first failing step.

    python tools/run_tests.py                  # all steps
    python tools/run_tests.py lint notebooks   # some of them

The last line sums up what passed and what failed.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
HOOK = "--jaxtyping-packages=bertlib,beartype.beartype"
SECONDS = 40  # the budget of a notebook; it is reported, not asserted
LONG_CHAPTERS, LONG_SECONDS = {"12", "14", "18"}, 120


@dataclass(frozen=True)
class Count:
    """How many checks passed, failed and were skipped."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: "Count") -> "Count":
        return Count(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
        )

    def __str__(self) -> str:
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def run(*command: str) -> Count:
    """Run a Python command of the environment; it counts as one check."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT)
    return Count(failed=1) if done.returncode else Count(passed=1)


def run_pytest(*arguments: str) -> Count:
    """Run pytest on the book's own tests and count them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.xml")
        done = subprocess.run(
            [sys.executable, *pytest_command(report), *arguments], cwd=ROOT
        )
        return count_tests(report, done.returncode)


def pytest_command(report: Path) -> tuple[str, ...]:
    return "-m", "pytest", "-q", f"--junitxml={report}"


def count_tests(report: Path, status: int) -> Count:
    """Count what pytest reports; a run that broke off counts as a failure."""
    count = Count()
    if report.exists():
        for suite in ElementTree.parse(report).iter("testsuite"):
            failed = int(suite.get("failures")) + int(suite.get("errors"))
            skipped = int(suite.get("skipped"))
            passed = max(int(suite.get("tests")) - failed - skipped, 0)
            count += Count(passed, failed, skipped)
    if status and not count.failed:
        count += Count(failed=1)
    return count


def export() -> Count:
    """bertlib is what the chapters export."""
    return run("tools/check_export.py")


def lint() -> Count:
    """Code and notebooks have the form that the book relies on."""
    return (
        run("-m", "ruff", "check", "--quiet", ".")
        + run("-m", "ruff", "format", "--quiet", "--check", ".")
        + run("tools/check_notebooks.py")
    )


def unit() -> Count:
    """Unit tests and doctests: shapes checked, then without the hook."""
    code = ("tests", "bertlib", "--ignore=tests/browser")
    hooked = run_pytest(*code, "--doctest-modules", "-m", "not unhooked", HOOK)
    if hooked.failed:
        return hooked
    return hooked + run_pytest(*code, "-m", "unhooked")


def notebooks() -> Count:
    """Every notebook runs alone, offline, and prints what it printed."""
    offline = offline_prefix()
    if not offline:
        print("The network cannot be switched off here: it stays on.")
    total = Count()
    rows = []
    for path in sorted((ROOT / "chapters").glob("*.ipynb")):
        count, seconds, memory = run_notebook(path, offline)
        number = path.name.split("_")[0]
        budget = LONG_SECONDS if number in LONG_CHAPTERS else SECONDS
        note = f"over its budget of {budget} s" if seconds > budget else ""
        rows.append((path.stem, count, seconds, memory, note))
        total += count
    print(f"\n{'notebook':24}{'seconds':>9}{'peak MB':>9}  cells")
    for name, count, seconds, memory, note in rows:
        print(f"{name:24}{seconds:9.1f}{memory:>9}  {count}  {note}".rstrip())
    return total


def offline_prefix() -> list[str]:
    """A command prefix that switches the network off, where there is one."""
    if not shutil.which("unshare"):
        return []
    prefix = ["unshare", "-rn", sys.executable, str(ROOT / "tools/offline.py")]
    probe = subprocess.run([*prefix, "true"], capture_output=True)
    return [] if probe.returncode else prefix


def run_notebook(path: Path, prefix: list[str]) -> tuple[Count, float, str]:
    """Run a notebook alone in an empty folder.

    Returns: its cells counted, seconds, and the peak memory of its largest
    process in MB ("-" where the system does not tell).
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory() as elsewhere,
    ):
        shutil.copy(path, folder)
        report = Path(elsewhere, "report.xml")
        environment = os.environ | {"IPYTHONDIR": elsewhere}
        environment.pop("PYTHONPATH", None)
        start = time.perf_counter()
        process = subprocess.Popen(
            [
                *prefix,
                sys.executable,
                *pytest_command(report),
                "-p",
                "no:cacheprovider",
                "--rootdir=.",
                "--nbval-lax",
                "--nbval-current-env",
                "--nbval-cell-timeout=600",
                f"--nbval-sanitize-with={ROOT / 'tools/nbval_sanitise.cfg'}",
                path.name,
            ],
            cwd=folder,
            env=environment,
        )
        memory = "-"
        if hasattr(os, "wait4"):
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            unit_size = 1e6 if sys.platform == "darwin" else 1e3
            memory = f"{usage.ru_maxrss / unit_size:.0f}"
        seconds = time.perf_counter() - start
        return count_tests(report, process.wait()), seconds, memory


def book() -> Count:
    """The book builds from nothing without a warning."""
    shutil.rmtree(ROOT / "_build", ignore_errors=True)
    build = "from jupyter_book.cli.main import main; main()"
    return run("-c", build, "build", ".", "-W", "-n", "--keep-going")


def browser() -> Count:
    """The pages of the built book, opened in a browser."""
    return run_pytest("tests/browser")


STEPS = (export, lint, unit, notebooks, book, browser)


def main(names: Sequence[str]) -> int:
    steps: dict[str, Callable[[], Count]] = {s.__name__: s for s in STEPS}
    if unknown := set(names) - set(steps):
        print(f"no step {sorted(unknown)}; there are {list(steps)}")
        return 2
    total = Count()
    times = []
    for name in names or steps:
        title = f"{name}: {steps[name].__doc__}"
        print(f"\n{title}\n{'=' * len(title)}", flush=True)
        start = time.perf_counter()
        count = steps[name]()
        total += count
        times.append(f"{name} {time.perf_counter() - start:.1f} s")
        print(f"{times[-1]}: {count}", flush=True)
        if count.failed:
            break
    print("\n" + ", ".join(times))
    if total.failed:
        print(f"Stopped at the step {name!r}.")
    print(total)
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
