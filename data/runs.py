"""Many small runs on all cores, each kept on disk as it ends."""

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import torch

from bertlib.checkpoint import replacing
from bertlib.pretraining import keep_freed_memory

SEEDS = range(3)


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
