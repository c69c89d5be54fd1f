"""Runs that are kept on disk as they end: one by one, or on all cores."""

import json
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from bertlib.checkpoint import replacing
from bertlib.pretraining import keep_freed_memory

SEEDS = range(3)


def run_once(
    folder: Path, make: Callable[..., dict[str, Any]], **given: Any
) -> dict[str, Any]:
    """Call `make(**given)`, or read what the same call left in `folder`.

    Prints a line when a run ends, with the single numbers of its result.

    Returns:
        `given`, then what `make` returned, then "seconds", as JSON gives it.
    """
    name = ",".join(
        f"{value:g}" if isinstance(value, int | float) else str(value)
        for value in given.values()
    )
    path = folder / f"{name}.json"
    if not path.is_file():
        start = time.perf_counter()
        result = given | make(**given)
        result["seconds"] = round(time.perf_counter() - start, 1)
        with replacing(path) as half:
            half.write_text(json.dumps(result) + "\n", "utf-8")
        numbers = [
            f"{key} {value:.4f}" if key != "seconds" else f"{value} s"
            for key, value in result.items()
            if isinstance(value, float) and key not in given
        ]
        print(f"{name}: {', '.join(numbers)}", flush=True)
    return json.loads(path.read_text("utf-8"))


def run_all(
    train: Callable[[str, int, Path], Any], names: Iterable[str], folder: Path
) -> dict[str, list]:
    """Call `train(name, seed, folder)` for all names and SEEDS.

    Each call has a process with one thread. What it returns is kept in
    `folder` as JSON, and a run that is there already is not made again.

    Returns:
        What each run returned, as JSON gives it: a list by seed, by name.
    """
    work = [(name, seed) for seed in SEEDS for name in names]
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        jobs = [pool.submit(_run_one, train, *job, folder) for job in work]
        for count, job in enumerate(as_completed(jobs), 1):
            print(f"{count}/{len(jobs)}: {job.result()}", flush=True)
    return {
        name: [
            json.loads(_path(folder, name, seed).read_text("utf-8"))
            for seed in SEEDS
        ]
        for name in names
    }


def _path(folder: Path, name: str, seed: int) -> Path:
    return folder / f"{name}-{seed}.json"


def _run_one(train, name: str, seed: int, folder: Path) -> str:
    path = _path(folder, name, seed)
    if not path.is_file():
        torch.set_num_threads(1)
        keep_freed_memory()
        result = train(name, seed, folder)
        with replacing(path) as half:
            half.write_text(json.dumps(result), "utf-8")
    return path.stem
