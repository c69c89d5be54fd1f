"""Train and measure everything of chapter 17: data/tuning.json.

    python data/run_tuning.py          # about 40 minutes of one core, 20 of two
    python data/run_tuning.py --smoke  # seconds: all of it, tiny

Finished runs are kept in data/cache/tuning, so a broken-off command goes on;
a run with other settings is another run. With --smoke every part has a few
examples, and what comes out is printed, not stored.

The task is chapter 14's: in which of five eras was a sentence of the
addresses said? The systems:

    tfidf      words and pairs of words, logistic regression
    scratch    the book's 2 × 256 architecture from random weights
    ours       the same from the book's checkpoint

The runs:

    search     twelve trials for each system on 1,500 sentences, settings
               drawn at random, the same twelve for `scratch` and `ours`.
               What has the best accuracy on the 500 validation sentences is
               chosen. The accuracy on the test sentences is stored too, for
               one purpose: to show what choosing by it would have reported.
    curve      the chosen settings on 50, 150, 500, 1,500 and 5,000
               sentences, three seeds, each with its own nested subsets. A
               run takes at least 100 steps.
    sources    `ours`, 1,500 sentences, eight runs each in which one thing
               differs: the random head, the order of the examples with the
               dropout, or the sentences.
    epochs     `ours`, 1,500 sentences, six epochs, the logits of the
               validation sentences after each.
    paper      `ours`, 1,500 sentences, the learning rates of BERT's paper,
               batches of 16 and four epochs: the most steps of its grid.

No run chooses among its epochs: the last weights count, so that a curve
uses no labels but those it counts.
"""

import functools
import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from runs import (
    SEEDS,
    TERM,
    command,
    digits,
    labels,
    run_once,
    side_by_side,
    untrained,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bertlib.checkpoint import replacing
from bertlib.classification import (
    BertForSequenceClassification,
    Example,
    FineTuneSettings,
    Splits,
    Task,
    classification_task,
    era_sentences,
    fine_tune,
    rows_for,
)
from bertlib.tuning import (
    LogUniform,
    draw_trials,
    nested_subsets,
    search,
)
from bertlib.wordpiece import BertTokenizer

SIZES = (50, 150, 500, 1500, 5000)
SEARCH_SIZE, TRIALS, SOURCE_RUNS = 1500, 12, 8
LEAST_STEPS, EPOCHS = 100, 6
PAPER_RATES = (5e-5, 3e-5, 2e-5)
SPACES = {
    "tfidf": {"strength": LogUniform(0.1, 1000)},
    "scratch": {
        "learning_rate": LogUniform(1e-4, 3e-3),
        "batch_size": [16, 32],
        "epochs": [2, 3, 4, 5, 6],
    },
}
SPACES["ours"] = SPACES["scratch"]


class Plan:
    """How much is done: all of it, or with --smoke a little of each."""

    def __init__(self, folder: Path, smoke: bool):
        self.folder, self.smoke = folder, smoke
        self.sizes = (10, 20) if smoke else SIZES
        self.search_size = self.sizes[1] if smoke else SEARCH_SIZE
        self.trials = 2 if smoke else TRIALS
        self.seeds = range(2) if smoke else SEEDS
        self.source_runs = 2 if smoke else SOURCE_RUNS
        self.spaces = dict(SPACES)
        if smoke:
            small = SPACES["ours"] | {"epochs": [1], "batch_size": [16]}
            self.spaces |= {"scratch": small, "ours": small}

    def run(self, make: Callable[..., dict], **given: Any) -> dict[str, Any]:
        """Do a run, or read what it left; each function has its folder."""
        folder = self.folder / make.__name__
        folder.mkdir(exist_ok=True)
        return run_once(folder, make, **given, smoke=self.smoke)

    def search(self, system: str) -> list[dict[str, Any]]:
        """Search for the settings of a system; the trials as drawn."""
        given = {"system": system, "size": self.search_size} | seeds()

        def score(**settings: Any) -> float:
            return self.run(train, **given, **settings)["validation"]

        drawn = draw_trials(self.spaces[system], self.trials)
        found = search(score, drawn, self.folder / system, progress=False)
        rows = []
        for trial in sorted(found, key=lambda trial: trial.number):
            row = {"settings": trial.settings, "validation": trial.score}
            if trial.score is None:
                row["error"] = trial.error
            else:
                run = self.run(train, **given, **trial.settings)
                row |= {name: run[name] for name in ("test", "seconds")}
            rows.append(row)
        return rows

    def jobs(
        self, chosen: dict[str, dict]
    ) -> list[tuple[str, Callable, dict]]:
        """All runs after the search: part, function, arguments."""
        found = []
        for seed in self.seeds:
            for size in reversed(self.sizes):  # the longest first
                for system, settings in chosen.items():
                    given = {"system": system, "size": size}
                    seeded = seeds(sentences=seed, head=seed, loop=seed)
                    if system == "tfidf":
                        seeded = seeds(sentences=seed)
                    found.append(("curve", train, given | seeded | settings))
        given = {"system": "ours", "size": self.search_size}
        for source in seeds():
            found += [
                (
                    source,
                    train,
                    given | seeds(**{source: seed}) | chosen["ours"],
                )
                for seed in range(self.source_runs)
            ]
        paper = {"batch_size": 16, "epochs": 1 if self.smoke else 4}
        for rate in PAPER_RATES[: 1 if self.smoke else None]:
            settings = {"learning_rate": rate} | paper
            found.append(("paper", train, given | seeds() | settings))
        settings = chosen["ours"] | {"epochs": 2 if self.smoke else EPOCHS}
        found.append(("epochs", by_epoch, given | seeds() | settings))
        return found


def seeds(sentences: int = 0, head: int = 0, loop: int = 0) -> dict[str, int]:
    """What decides the sentences, the head, and both order and dropout."""
    return {"sentences": sentences, "head": head, "loop": loop}


@functools.cache
def parts(smoke: bool) -> Splits:
    if not smoke:
        return era_sentences()
    return era_sentences(train=4, validation=4, test=4)


def texts(examples: list[Example]) -> list[str]:
    return [e.text for e in examples]


def thousandths(logits) -> list[list[int]]:
    """Logits around their mean, in thousandths."""
    logits = np.asarray(logits, dtype=np.float64)
    centred = logits - logits.mean(axis=1, keepdims=True)
    return (centred * 1000).round().astype(int).tolist()


def measured(logits: dict[str, Any], smoke: bool) -> dict[str, Any]:
    """Logits and accuracy on validation and test."""
    found = {}
    for name, rows in logits.items():
        rows = thousandths(rows)
        right = np.argmax(rows, axis=1) == labels(getattr(parts(smoke), name))
        found[name] = round(float(right.mean()), 6)
        found[f"{name}_logits"] = rows
    return found


# --- runs


def train(
    system: str, size: int, sentences: int, head: int, loop: int, smoke: bool,
    **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Train a system and measure it on validation and test."""
    (chosen,) = nested_subsets(parts(smoke).train, [size], sentences)
    if system == "tfidf":
        return measured(tfidf(chosen, smoke, **settings), smoke)
    model, task, tokenizer = prepared(system, chosen, head, smoke)
    given = fine_tune_settings(len(chosen), loop, smoke, **settings)
    # One look at the end: the last weights are the best ones.
    given = replace(given, evaluate_every=given.steps)
    model, result = fine_tune(model, task, given, progress=False)
    with torch.autocast("cpu", torch.bfloat16):
        logits = {
            name: rows_for(
                model, tokenizer, texts(getattr(parts(smoke), name))
            )
            for name in ("validation", "test")
        }
    return {"steps": result.steps} | measured(logits, smoke)


def by_epoch(
    system: str, size: int, sentences: int, head: int, loop: int, smoke: bool,
    **settings: Any,
) -> dict[str, Any]:  # fmt: skip
    """Keep the logits of the validation sentences after each epoch."""
    (chosen,) = nested_subsets(parts(smoke).train, [size], sentences)
    model, task, tokenizer = prepared(system, chosen, head, smoke)
    kept = []

    def evaluate(model: torch.nn.Module) -> dict[str, float]:
        rows = rows_for(model, tokenizer, texts(parts(smoke).validation))
        kept.append(measured({"validation": rows}, smoke))
        return {"accuracy": kept[-1]["validation"]}

    watched = Task(task.lengths, task.collate, evaluate, ("accuracy",))
    given = fine_tune_settings(len(chosen), loop, smoke, **settings)
    given = replace(given, evaluate_every=given.steps // settings["epochs"])
    _, result = fine_tune(model, watched, given, progress=False)
    losses = [round(row["loss"], 4) for row in result.log]
    return {
        "training_loss": losses,
        "validation": [row["validation"] for row in kept],
        "validation_logits": [row["validation_logits"] for row in kept],
    }


def fine_tune_settings(
    examples: int, seed: int, smoke: bool,
    learning_rate: float, batch_size: int, epochs: int,
) -> FineTuneSettings:  # fmt: skip
    steps = epochs * -(-examples // batch_size)
    return FineTuneSettings(
        steps=max(1 if smoke else LEAST_STEPS, steps),
        batch_size=batch_size,
        learning_rate=learning_rate,
        seed=seed,
        device="cpu",
        dtype="bfloat16",
    )


def prepared(
    system: str, train: list[Example], seed: int, smoke: bool
) -> tuple[BertForSequenceClassification, Task, BertTokenizer]:
    """A classifier before training, its task and its tokenizer."""
    names = parts(smoke).labels
    model, tokenizer = untrained(
        BertForSequenceClassification, system, seed, "classifier",
        num_labels=len(names), label_names=names,
    )  # fmt: skip
    task = classification_task(
        model, tokenizer, train, parts(smoke).validation
    )
    return model, task, tokenizer


def tfidf(
    train: list[Example], smoke: bool, strength: float
) -> dict[str, np.ndarray]:
    terms = TfidfVectorizer(ngram_range=(1, 2), token_pattern=TERM)
    vectors = terms.fit_transform(texts(train))
    model = LogisticRegression(C=strength, max_iter=2000)
    model.fit(vectors, labels(train))
    return {
        name: model.predict_log_proba(
            terms.transform(texts(getattr(parts(smoke), name)))
        )
        for name in ("validation", "test")
    }


# --- all of it


def every_run(plan: Plan, one_by_one: bool = False) -> dict[str, Any]:
    """Do what is left to do, and return what the chapter needs."""
    with side_by_side(one_by_one) as do:
        searches = do(functools.partial(plan.search, s) for s in plan.spaces)
        trials = dict(zip(plan.spaces, searches, strict=True))
        chosen = {s: best(rows)["settings"] for s, rows in trials.items()}
        jobs = plan.jobs(chosen)
        first = {}  # some runs serve two parts
        for _, make, given in jobs:
            key = json.dumps([make.__name__, given])
            first[key] = functools.partial(plan.run, make, **given)
        found = dict(zip(first, do(first.values()), strict=True))
    runs = [
        {"part": part} | found[json.dumps([make.__name__, given])]
        for part, make, given in jobs
    ]
    return {"trials": trials, "chosen": chosen, "runs": runs}


def best(trials: list[dict[str, Any]]) -> dict[str, Any]:
    """The trial with the best validation accuracy, the earlier of equals."""
    good = [trial for trial in trials if trial["validation"] is not None]
    return max(good, key=lambda trial: trial["validation"])


def slim(run: dict[str, Any], size: int) -> dict[str, Any]:
    """What the chapter needs of a run: logits only for calibration."""
    kept = {k: v for k, v in run.items() if k != "smoke"}
    calibrates = run["system"] == "ours" and run["size"] == size
    if run["part"] == "epochs":
        return kept
    logits = kept.pop("test_logits")
    kept["predictions"] = digits(np.argmax(logits, axis=1))
    if run["part"] == "curve" and calibrates:
        kept["test_logits"] = logits
    else:
        del kept["validation_logits"]
    return kept


def store(plan: Plan, found: dict[str, Any], path: Path) -> None:
    """Write labels, trials and runs; a trial or a run a line."""
    truth = {
        name: digits(labels(getattr(parts(plan.smoke), name)))
        for name in ("validation", "test")
    }
    lines = {
        "trials": [
            {"system": system} | row
            for system, rows in found["trials"].items()
            for row in rows
        ],
        "runs": [slim(run, plan.search_size) for run in found["runs"]],
    }
    heads = {"labels": truth, "chosen": found["chosen"]}
    blocks = [f' "{name}": {json.dumps(row)}' for name, row in heads.items()]
    for name, rows in lines.items():
        inner = ",\n  ".join(
            json.dumps(row, separators=(",", ":")) for row in rows
        )
        blocks.append(f' "{name}": [\n  {inner}]')
    with replacing(path) as half:
        half.write_text("{\n" + ",\n".join(blocks) + "\n}\n", "utf-8")
    rows = itertools.chain.from_iterable(lines.values())
    total = sum(row.get("seconds", 0) for row in rows)
    print(
        f"{len(lines['runs'])} runs, {total / 60:.0f} core-minutes: "
        f"{path.name}, {path.stat().st_size / 1e3:.0f} kB"
    )


def main(folder: Path, smoke: bool, path: Path) -> None:
    plan = Plan(folder, smoke)
    store(plan, every_run(plan, one_by_one=smoke), path)


if __name__ == "__main__":
    command("tuning", __doc__, main)
