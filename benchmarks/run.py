"""Run every benchmark in a process of its own and store what it measured.

    python benchmarks/run.py               # all of benchmarks/bench_*.py
    python benchmarks/run.py wordpiece     # benchmarks/bench_wordpiece.py

A benchmark prints one JSON object on its last line: `{"rows": [...]}`, where
each row has `what`, `ours` and `reference` (numbers), their `unit`, and the
`ratio`, above 1 where bertlib is better. It is stored in
benchmarks/results/NAME.json beside a description of the machine, and
benchmarks/results/table.md, which the book shows, is written from all of them.
"""

import json
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = ("torch", "numpy", "transformers", "tokenizers")


def machine() -> dict[str, object]:
    """What the numbers depend on besides the code."""
    return {
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
    }


def cpu_name() -> str:
    """The processor's model name, as well as the system tells it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    return platform.processor() or "unknown"


def run(script: Path) -> Path:
    """Run one benchmark and return the path of its stored result.

    Raises: RuntimeError where it fails or its last line is not an object.
    """
    print(f"\n{script.stem}", flush=True)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        cwd=HERE.parent,
        stdout=subprocess.PIPE,
        text=True,
    )
    last = ""
    for line in process.stdout:
        print(line, end="", flush=True)
        last = line.strip() or last
    if process.wait():
        raise RuntimeError(f"{script.name} failed")
    try:
        results = json.loads(last)
    except json.JSONDecodeError:
        results = None
    if not isinstance(results, dict) or not results.get("rows"):
        raise RuntimeError(f"{script.name}: the last line is no result")

    target = HERE / "results" / f"{script.stem.removeprefix('bench_')}.json"
    target.parent.mkdir(exist_ok=True)
    stored = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": machine(),
        "results": results,
    }
    target.write_text(
        json.dumps(stored, indent=2, ensure_ascii=False) + "\n",
        encoding="utf-8",
    )
    return target


def table(folder: Path) -> str:
    """All stored results as one Markdown table."""
    lines = [
        "| what | bertlib | reference | unit | ratio | measured on |",
        "|---|---:|---:|---|---:|---|",
    ]
    for path in sorted(folder.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        where = "{cpu}, {cores} cores".format(**stored["machine"])
        for row in stored["results"]["rows"]:
            lines.append(
                f"| {row['what']} | {row['ours']:,.4g} | "
                f"{row['reference']:,.4g} | {row['unit']} | "
                f"**{row['ratio']:.2f}** | {where}, {stored['date']} |"
            )
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    scripts = [HERE / f"bench_{name}.py" for name in names]
    missing = [script.name for script in scripts if not script.exists()]
    if missing:
        print(f"not in benchmarks/: {', '.join(missing)}", file=sys.stderr)
        return 2
    failed = 0
    for script in scripts or sorted(HERE.glob("bench_*.py")):
        try:
            print(f"stored: {run(script).relative_to(HERE.parent)}")
        except RuntimeError as error:
            print(error, file=sys.stderr)
            failed += 1
    results = HERE / "results"
    if results.exists():
        (results / "table.md").write_text(table(results), encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
