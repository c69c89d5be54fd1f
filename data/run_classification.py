"""Train and measure every classifier of chapter 14: data/classification.json.

    python data/run_classification.py          # 70 minutes of one core
    python data/run_classification.py --smoke  # a minute: all of it, tiny

The stored runs had one thread beside another program; the three of MiniLM on
the reviews, which are timed, had two threads and nothing beside them.

Finished runs are kept in data/cache/classification, so a broken-off command
goes on; a run with other settings is another run. With --smoke every part has
a few examples, and what comes out is printed, not stored.

Three tasks: film-review sentences (positive or negative), sentences of the
State of the Union addresses (which of five eras), and pairs of sentences of
the addresses (does the second follow, or is it from elsewhere?). The systems:

    majority   the most frequent label
    tfidf      words and pairs of words, logistic regression; for a pair the
               terms of both, and the cosine of the two vectors
    scratch    the book's 2 × 256 architecture from random weights
    ours       the same from the book's checkpoint, read on the addresses
    frozen     mean vectors of MiniLM, logistic regression; for a pair both
               vectors, and their difference and product, place by place
    minilm     MiniLM, fine-tuned

`scratch`, `ours` and `minilm` are trained with three seeds. What had to be
chosen was chosen on the validation examples: C of the regressions; the
learning rate of `scratch` and `ours` (seed 0 only); among the epochs of one
run, the best. MiniLM's settings were fixed beforehand: rate 5e-5, two epochs.
Claim 10 again: `minilm` and `tfidf` with stop words taken out, in training
and test, once with and once without the negations among them.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import scipy.sparse
import torch
from runs import (
    SEEDS,
    TERM,
    command,
    digits,
    labels,
    run_once,
    untrained,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from bertlib.checkpoint import replacing
from bertlib.classification import (
    BertForSequenceClassification,
    Example,
    FineTuneSettings,
    MeanPooledClassifier,
    Splits,
    classification_task,
    era_sentences,
    fine_tune,
    following_pairs,
    read_labelled,
    rows_for,
    sentiment,
)
from bertlib.corpora import data_folder

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)  # C
RATES = (3e-4, 1e-3)  # of the small encoders
SMALL_EPOCHS, MINILM_EPOCHS, MINILM_RATE = 3, 2, 5e-5
NEGATION_TEXT = """
no not nor none never neither cannot don't doesn't didn't isn't aren't
wasn't weren't won't wouldn't can't couldn't shouldn't haven't hasn't
hadn't
"""
FUNCTION_WORD_TEXT = """
a about above after again all am an and any are as at be because been
before being below between both but by could did do does doing down
during each few for from further had has have having he her here hers
herself him himself his how i if in into is it its itself just me more
most my myself now of off on once only or other our ours ourselves out
over own same she should so some such than that the their theirs them
themselves then there these they this those through to too under until
up very was we were what when where which while who whom why will with
would you your yours yourself yourselves it's i'm you're he's she's
we're they're that's i've you've we've they've i'll you'll
"""
NEGATIONS = frozenset(NEGATION_TEXT.split())
STOP_WORDS = NEGATIONS | frozenset(FUNCTION_WORD_TEXT.split())


def without(parts: Splits, words: frozenset[str]) -> Splits:
    """The same examples with some words taken out, whatever their case."""

    def shorter(text: str) -> str:
        kept = re.sub(
            TERM,
            lambda m: "" if m[0].lower().replace("’", "'") in words else m[0],
            text,
        )
        return " ".join(kept.split())

    return replace_all(
        parts, lambda part: [replace(e, text=shorter(e.text)) for e in part]
    )


def replace_all(parts: Splits, change) -> Splits:
    return replace(
        parts,
        train=change(parts.train),
        validation=change(parts.validation),
        test=change(parts.test),
    )


def few(parts: Splits) -> Splits:
    """A handful of examples of each label."""

    def some(part: list[Example], number: int) -> list[Example]:
        return [
            e
            for label in range(len(parts.labels))
            for e in [e for e in part if e.label == label][:number]
        ]

    return replace(
        parts,
        train=some(parts.train, 12),
        validation=some(parts.validation, 3),
        test=some(parts.test, 4),
    )


def texts_and_pairs(
    examples: list[Example],
) -> tuple[list[str], list[str] | None]:
    pairs = [e.pair for e in examples]
    return [e.text for e in examples], None if None in pairs else pairs


def share(predictions: np.ndarray, examples: list[Example]) -> float:
    return round(float((predictions == labels(examples)).mean()), 6)


class Work:
    """The data, and a folder with what was done already."""

    def __init__(self, folder: Path, smoke: bool):
        self.folder, self.smoke = folder, smoke
        reviews = sentiment()
        self.tasks = {
            "reviews": reviews,
            "eras": era_sentences(),
            "pairs": following_pairs(),
            "no stop words": without(reviews, STOP_WORDS),
            "no stop words but negations": without(
                reviews, STOP_WORDS - NEGATIONS
            ),
        }
        if smoke:
            self.tasks = {n: few(parts) for n, parts in self.tasks.items()}
        path = data_folder() / "negation_pairs.tsv"
        self.negations, _ = read_labelled(path, reviews.labels)

    def run(self, task: str, system: str, make, **given) -> dict:
        """Do a run, or read what it left."""

        def whole(task: str, **given) -> dict:
            answer, result = make(self.tasks[task], task=task, **given)
            examples = self.tasks[task].test
            found = answer(examples)
            result["predictions"] = digits(found)
            if task == "reviews":
                result["negations"] = digits(answer(self.negations))
            result["accuracy"] = share(found, examples)
            return result

        return run_once(self.folder, whole, task=task, system=system, **given)

    def all_runs(self) -> list[dict]:
        """Every run, in order; those not chosen have no predictions."""
        runs = []
        seeds = SEEDS[:1] if self.smoke else SEEDS
        for task in self.tasks:
            stop = task.startswith("no stop words")
            for system, make in (
                ("majority", majority),
                ("tfidf", tfidf),
                ("frozen", frozen),
            ):
                if system == "tfidf" or not stop:
                    runs.append(self.run(task, system, make))
            for system in () if stop else ("scratch", "ours"):
                runs += self.small_runs(task, system, seeds)
            for seed in seeds:
                runs.append(
                    self.run(
                        task,
                        "minilm",
                        tuned,
                        seed=seed,
                        rate=MINILM_RATE,
                        epochs=1 if self.smoke else MINILM_EPOCHS,
                    )
                )
        return runs

    def small_runs(self, task: str, system: str, seeds) -> list[dict]:
        """Try the rates with the first seed; the other seeds get the best."""
        given = {"epochs": 1 if self.smoke else SMALL_EPOCHS}
        tried = [
            self.run(task, system, tuned, seed=seeds[0], rate=rate, **given)
            for rate in RATES
        ]
        best = max(tried, key=lambda run: max(run["validation"]))
        for run in tried:
            if run is not best:
                del run["predictions"]
                run.pop("negations", None)
        rate = best["rate"]
        return tried + [
            self.run(task, system, tuned, seed=seed, rate=rate, **given)
            for seed in seeds[1:]
        ]


# --- systems: each returns a function that answers, and what to store


def majority(parts: Splits, **_):
    most = int(np.bincount(labels(parts.train)).argmax())

    def answer(examples: list[Example]) -> np.ndarray:
        return np.full(len(examples), most)

    found = share(answer(parts.validation), parts.validation)
    return answer, {"validation": [found]}


def regression(parts: Splits, vectors):
    """Logistic regression on vectors, C chosen on the validation."""
    train, validation = vectors(parts.train), vectors(parts.validation)
    fitted = [
        LogisticRegression(C=strength, max_iter=2000).fit(
            train, labels(parts.train)
        )
        for strength in STRENGTHS
    ]
    found = [share(m.predict(validation), parts.validation) for m in fitted]
    best = int(np.argmax(found))
    return lambda examples: fitted[best].predict(vectors(examples)), {
        "strength": STRENGTHS[best],
        "validation": found,
    }


def tfidf(parts: Splits, **_):
    columns = [c for c in texts_and_pairs(parts.train) if c is not None]
    one = TfidfVectorizer(ngram_range=(1, 2), token_pattern=TERM)
    one.fit([text for column in columns for text in column])

    def vectors(examples: list[Example]):
        rows = [
            one.transform(column)
            for column in texts_and_pairs(examples)
            if column is not None
        ]
        if len(rows) == 2:  # both vectors are 1 long
            rows.append(rows[0].multiply(rows[1]).sum(axis=1))
        return scipy.sparse.hstack(rows).tocsr()

    return regression(parts, vectors)


def frozen(parts: Splits, **_):
    model, tokenizer = encoder("minilm", parts, seed=0)

    def vectors(examples: list[Example]) -> np.ndarray:
        rows = [
            rows_for(model, tokenizer, column, what="vectors").numpy()
            for column in texts_and_pairs(examples)
            if column is not None
        ]
        if len(rows) == 2:
            rows += [np.abs(rows[0] - rows[1]), rows[0] * rows[1]]
        return np.hstack(rows)

    return regression(parts, vectors)


def tuned(
    parts: Splits, task: str, system: str, seed: int, rate: float, epochs: int
):
    model, tokenizer = encoder(system, parts, seed)
    work = classification_task(model, tokenizer, parts.train, parts.validation)
    settings = FineTuneSettings(
        epochs=epochs, learning_rate=rate, seed=seed, dtype="bfloat16"
    )
    model, result = fine_tune(model, work, settings)

    def answer(examples: list[Example]) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16):
            logits = rows_for(model, tokenizer, *texts_and_pairs(examples))
        return logits.argmax(dim=1).numpy()

    return answer, {
        "steps": result.steps,
        "best_step": result.best_step,
        "fine_tuning_seconds": round(result.seconds, 1),
        "validation": [
            round(row["validation_accuracy"], 6) for row in result.log
        ],
    }


def encoder(system: str, parts: Splits, seed: int):
    """A classifier before training, and its tokenizer."""
    cls = BertForSequenceClassification
    if system == "minilm":
        cls = MeanPooledClassifier
    names = {"num_labels": len(parts.labels), "label_names": parts.labels}
    return untrained(cls, system, seed, "classifier", **names)


def store(work: Work, runs: list[dict], path: Path) -> None:
    """Write the true labels and the runs, a run a line."""
    truth = {
        task: digits(labels(parts.test))
        for task, parts in work.tasks.items()
        if not task.startswith("no stop words")
    }
    truth["negations"] = digits(labels(work.negations))
    rows = ",\n  ".join(json.dumps(run, ensure_ascii=False) for run in runs)
    heads = ",\n ".join(f'"{name}": "{row}"' for name, row in truth.items())
    with replacing(path) as half:
        half.write_text(
            f'{{"labels": {{\n {heads}}},\n "runs": [\n  {rows}]}}\n', "utf-8"
        )
    print(f"{len(runs)} runs: {path.name}, {path.stat().st_size / 1e3:.0f} kB")


def main(folder: Path, smoke: bool, path: Path) -> None:
    work = Work(folder, smoke)
    store(work, work.all_runs(), path)


if __name__ == "__main__":
    command("classification", __doc__, main)
