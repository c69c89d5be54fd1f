"""The stored measurements and the table that the book shows."""

import json
import runpy
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
RESULTS = BENCHMARKS / "results"


def test_every_benchmark_has_a_stored_result() -> None:
    scripts = {
        p.stem.removeprefix("bench_") for p in BENCHMARKS.glob("bench_*.py")
    }
    assert scripts == {path.stem for path in RESULTS.glob("*.json")}


def test_ratios_follow_from_their_numbers() -> None:
    for path in RESULTS.glob("*.json"):
        for row in json.loads(path.read_text("utf-8"))["results"]["rows"]:
            quotient = row["ours"] / row["reference"]
            assert (
                min(
                    abs(row["ratio"] - quotient),
                    abs(row["ratio"] - 1 / quotient),
                )
                < 0.02 * row["ratio"]
            ), f"{path.name}: {row['what']}"


def test_the_table_in_the_book_is_the_stored_results() -> None:
    table = runpy.run_path(str(BENCHMARKS / "run.py"))["table"]
    assert (RESULTS / "table.md").read_text("utf-8") == table(RESULTS)
