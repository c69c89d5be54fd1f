"""What the scripts of stored runs share.

A model before training, runs that are kept on disk as they end (one by one,
or on all cores), and the command line.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from bertlib.checkpoint import from_pretrained, read_config, replacing
from bertlib.classification import FineTuneSettings, Task, fine_tune
from bertlib.corpora import data_folder, minilm_folder
from bertlib.pretraining import keep_freed_memory
from bertlib.wordpiece import BertTokenizer

SEEDS = range(3)
HEAD_RATE = 1e-2  # where the new layer is trained alone first
CHECKPOINT = data_folder() / "checkpoints" / "addresses-2x256"
TERM = r"\w+(?:['’]\w+)*"  # a word, for TF-IDF


def labels(examples: Iterable[Any]) -> np.ndarray:
    """The numbers of the examples' labels."""
    return np.array([example.label for example in examples])


def digits(numbers: Iterable[int]) -> str:
    """Numbers of labels, one digit each."""
    return "".join(str(int(number)) for number in numbers)


def untrained(
    cls: type[nn.Module], system: str, seed: int, head: str, **changes: Any
) -> tuple[nn.Module, BertTokenizer]:
    """A model before training, and its tokenizer.

    Args:
        cls: what it is to be, with the new layer `head`.
        system: "scratch", the book's 2 × 256 architecture from random
            weights; "ours", the same from the book's checkpoint; "minilm".
        seed: of the random weights.
        changes: to the configuration; there is a dropout of 0.1 everywhere.
    """
    torch.manual_seed(seed)
    folder = minilm_folder() if system == "minilm" else CHECKPOINT
    changes |= {
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    if system == "scratch":
        config = read_config(folder / "config.json")
        model = cls(replace(config, **changes))
    else:
        model = from_pretrained(cls, folder, new=(head,), **changes)
    return model, BertTokenizer.from_pretrained(folder)


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

    def timed() -> dict[str, Any]:
        start = time.perf_counter()
        result = given | make(**given)
        result["seconds"] = round(time.perf_counter() - start, 1)
        numbers = [
            f"{key} {value:.4f}" if key != "seconds" else f"{value} s"
            for key, value in result.items()
            if isinstance(value, float) and key not in given
        ]
        print(f"{name}: {', '.join(numbers)}", flush=True)
        return result

    return _kept(folder / f"{name}.json", timed)


def run_all(
    train: Callable[[str, int, Path], Any], names: Iterable[str], folder: Path
) -> dict[str, list]:
    """Call `train(name, seed, folder)` for all names and SEEDS.

    Each call has a process with one thread. What it returns is kept in
    `folder` as JSON, and a run that is there already is not made again.

    Returns:
        What each run returned, as JSON gives it: a list by seed, by name.
    """
    found = {name: [None] * len(SEEDS) for name in names}
    with one_thread_pool() as pool:
        jobs = {
            pool.submit(_run_one, train, name, seed, folder): (name, seed)
            for seed in SEEDS
            for name in found
        }
        for count, job in enumerate(as_completed(jobs), 1):
            name, seed = jobs[job]
            found[name][seed] = job.result()
            print(f"{count}/{len(jobs)}: {name}-{seed}", flush=True)
    return found


@contextmanager
def side_by_side(
    one_by_one: bool = False,
) -> Iterator[Callable[[Iterable[Callable[[], Any]]], list[Any]]]:
    """Yield a function that calls functions, and returns what they return.

    Each call has a process with one thread, as many at a time as there are
    cores; with `one_by_one`, all are made here.
    """
    if one_by_one:
        yield lambda functions: [function() for function in functions]
        return
    with one_thread_pool() as pool:
        yield lambda functions: [
            job.result() for job in [pool.submit(f) for f in functions]
        ]


def train_head_first(
    model: nn.Module, task: Task, settings: FineTuneSettings, steps: int
) -> nn.Module:
    """Train the new layer alone, at HEAD_RATE; then all can be trained."""
    first = replace(
        settings, epochs=None, steps=steps, learning_rate=HEAD_RATE
    )
    model.bert.requires_grad_(False)
    model, _ = fine_tune(model, task, first, progress=False)
    model.bert.requires_grad_(True)
    return model


def one_thread_pool() -> ProcessPoolExecutor:
    """Processes with one thread each, as many as there are cores."""
    return ProcessPoolExecutor(os.cpu_count(), initializer=_one_thread)


def _one_thread() -> None:
    torch.set_num_threads(1)
    keep_freed_memory()


def _run_one(train, name: str, seed: int, folder: Path) -> Any:
    return _kept(
        folder / f"{name}-{seed}.json", lambda: train(name, seed, folder)
    )


def _kept(path: Path, make: Callable[[], Any]) -> Any:
    """Read JSON, or make it and write it first."""
    if not path.is_file():
        result = make()
        with replacing(path) as half:
            half.write_text(json.dumps(result) + "\n", "utf-8")
    return json.loads(path.read_text("utf-8"))


def command(
    name: str, description: str, make: Callable[[Path, bool, Path], None]
) -> None:
    """Make data/NAME.json or, with --smoke, a tiny one that is not kept.

    Args:
        make: gets the folder of finished runs, whether all shall be tiny,
            and the path of the result.
    """
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--smoke", action="store_true", help="a tiny subset")
    if parser.parse_args().smoke:
        with tempfile.TemporaryDirectory() as folder:
            make(Path(folder), True, Path(folder) / "out.json")
        return
    folder = data_folder() / "cache" / name
    folder.mkdir(parents=True, exist_ok=True)
    make(folder, False, data_folder() / f"{name}.json")
