"""Train and measure every reader of chapter 16: data/question_answering.json.

    python data/run_question_answering.py          # an hour on two cores
    python data/run_question_answering.py --smoke  # a minute: all of it, tiny

Finished runs are kept in data/cache/question_answering, so a broken-off
command goes on; a run with other settings is another run. Each has a process
with one thread. With --smoke every part has a few questions, and what comes
out is not stored.

Trained on questions made by rule (data/make_questions.py), chosen on the 100
validation questions written by hand, tested on the 191 gold questions, which
no choice has seen. A quarter of each has no answer. The systems:

    random     one to five words in a row, drawn at random
    overlap    the words around which most words of the question stand
    scratch    the book's 2 × 256 architecture from random weights
    ours       the same from the book's checkpoint, read on the addresses
    minilm     MiniLM, its new layer alone first, as in chapter 15
    blind      the same, trained and tested without the question

The last four are trained with three seeds; `random` is drawn with three. What
had to be chosen was chosen by the F1 of the best span on the validation
questions that have an answer, with seed 0: how questions are made
(`verbatim`, in the words of the passage, or `reworded`), by MiniLM; the
learning rate of `scratch` and `ours`; and the length of the answers of
`overlap`. The threshold of "no answer" is the one with the best F1 on all
validation questions. MiniLM's rate, and one epoch, were fixed beforehand.
Every trained reader also answers the gold questions with the question
deleted, and 150 questions made like those it was trained on, over the
addresses of the validation (`made_f1`).

An answer is stored as start and end in its passage, with its F1 and exact
match as if it were always given, and its doubt.
"""

import functools
import json
import math
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from make_questions import COUNT, VERBATIM, Rules, make_all
from runs import (
    SEEDS,
    command,
    digits,
    run_once,
    side_by_side,
    train_head_first,
    untrained,
)

from bertlib.checkpoint import replacing
from bertlib.classification import FineTuneSettings, fine_tune
from bertlib.question_answering import (
    Answer,
    BertForQuestionAnswering,
    Question,
    QuestionSplits,
    answerable_f1,
    best_threshold,
    f1_score,
    predict,
    question_answering_task,
    questions_at,
    reading_questions,
    squad_scores,
)

RULES = {"verbatim": VERBATIM, "reworded": Rules()}
HELD_OUT = 150  # questions made over the addresses of the validation
RATES = (3e-4, 1e-3)  # of the small encoders
SMALL = ("ours", "scratch")
MINILM_RATE, EPOCHS = 1e-4, 1
HEAD_STEPS = 50
WINDOW = 256  # tokens in training; less memory than 384
SIZES = range(1, 7)  # words of an answer of `overlap`
_WORD = re.compile(r"\w+(?:['’.,]\w+)*")


@functools.cache
def parts_of(smoke: bool) -> QuestionSplits:
    """The questions to choose by, the test, and those to train on."""
    parts = reading_questions()
    if not smoke:
        return parts
    return QuestionSplits(
        parts.train[:8], parts.validation[:4], parts.test[:4]
    )


@functools.cache
def made_questions(
    name: str, smoke: bool
) -> tuple[list[Question], list[Question]]:
    """Questions to train on, and further ones over other addresses."""
    counts = (8, 8) if smoke else (COUNT, HELD_OUT)
    return tuple(
        questions_at(make_all(count, RULES[name], for_validation))
        for count, for_validation in zip(counts, (False, True), strict=True)
    )


def without_question(questions: list[Question]) -> list[Question]:
    return [replace(q, question="") for q in questions]


class Work:
    """How much is done, and a folder with what was done already."""

    def __init__(self, folder: Path, smoke: bool):
        self.folder, self.smoke = folder, smoke
        self.seeds = SEEDS[:1] if smoke else SEEDS

    def run(self, make: Callable[..., dict], **given: Any) -> dict[str, Any]:
        """Do a run, or read what it left."""
        made = functools.partial(make, self.smoke)
        return run_once(self.folder, made, **given)

    def tuned(self, system: str, seed: int, questions: str, rate: float):
        """A run to be done: a reader is trained and measured."""
        return functools.partial(
            self.run, tuned, system=system, seed=seed, questions=questions,
            rate=rate, epochs=EPOCHS,
        )  # fmt: skip


def every_run(work: Work) -> list[dict]:
    """Every run; what was not chosen has no answers to the test."""
    first, *others = work.seeds
    runs = [work.run(overlap, system="overlap")]
    runs += [
        work.run(random_span, system="random", seed=seed)
        for seed in work.seeds
    ]
    with side_by_side(work.smoke) as do:
        tried = do(work.tuned("minilm", first, q, MINILM_RATE) for q in RULES)
        questions = keep_best(tried)["questions"]
        runs += tried
        tuned = functools.partial(work.tuned, questions=questions)
        jobs = [
            tuned(system=system, seed=seed, rate=MINILM_RATE)
            for system, seeds in (("minilm", others), ("blind", work.seeds))
            for seed in seeds
        ]
        jobs += [
            tuned(system=system, seed=first, rate=rate)
            for system in SMALL
            for rate in RATES
        ]
        found = do(jobs)
        rates = {
            system: keep_best([r for r in found if r["system"] == system])
            for system in SMALL
        }
        found += do(
            tuned(system=system, seed=seed, rate=rates[system]["rate"])
            for system in SMALL
            for seed in others
        )
    return runs + found


def keep_best(tried: list[dict]) -> dict:
    """Return the run with the best validation; take the others' test."""
    best = max(tried, key=lambda run: run["validation"])
    for run in tried:
        if run is not best:
            del run["asked"], run["deleted"]
    return best


# --- systems: each returns what to store


def measured(
    spans: list[tuple[int, int]],
    questions: list[Question],
    doubts: list[float] | None = None,
) -> dict:
    """What is stored of some answers."""
    texts = {
        q.id: q.context[start:end]
        for q, (start, end) in zip(questions, spans, strict=True)
    }
    scores = squad_scores(texts, questions)
    stored = {
        "spans": [list(span) for span in spans],
        "f1": [round(float(f1), 4) for f1 in scores.f1],
        "exact": digits(scores.exact),
    }
    if doubts is not None:  # JSON knows no infinity
        stored["doubts"] = [round(min(doubt, 1e9), 3) for doubt in doubts]
    return stored


def random_span(smoke: bool, seed: int, **_) -> dict:
    """One to five words of the passage."""
    generator = random.Random(seed)
    found, test = [], parts_of(smoke).test
    for question in test:
        words = [m.span() for m in _WORD.finditer(question.context)]
        size = generator.randint(1, 5)
        first = generator.randrange(len(words) - size + 1)
        found.append((words[first][0], words[first + size - 1][1]))
    return {"asked": measured(found, test)}


def overlap(smoke: bool, **_) -> dict:
    """Count words; the length is chosen on the validation questions."""
    parts = parts_of(smoke)
    asked = [q for q in parts.validation if q.answers]

    def f1(size: int) -> float:
        scores = []
        for q in asked:
            start, end = overlap_answer(q.question, q.context, size)
            scores.append(f1_score(q.context[start:end], q.texts))
        return float(np.mean(scores))

    found = [round(f1(size), 4) for size in SIZES]
    size = SIZES[int(np.argmax(found))]
    answers = [overlap_answer(q.question, q.context, size) for q in parts.test]
    return {
        "size": size,
        "sizes_f1": found,
        "asked": measured(answers, parts.test),
    }


def overlap_answer(
    question: str, context: str, size: int = 3, reach: int = 15
) -> tuple[int, int]:
    """Answer by counting words: no training, no understanding.

    The answer is `size` words in a row, none of them in the question, near
    which most of the question stands. Each different word of the question
    counts ln(1 + 1 / how often the context has it), and the less the
    further away it is: nothing beyond `reach` words. Ties go to the left.

    Returns:
        Start and end in the context, in characters; (0, 0) if it has no
        `size` such words in a row.

    Source: Richardson et al. (2013), section 5, the weights; the rest is
    ours.
    """
    words = [(m[0].lower(), *m.span()) for m in _WORD.finditer(context)]
    asked = {word.lower() for word in _WORD.findall(question)}
    counts = Counter(word for word, _, _ in words)
    places = [i for i, (word, _, _) in enumerate(words) if word in asked]
    best, answer = -1.0, (0, 0)
    for i in range(len(words) - size + 1):
        last = i + size - 1
        if any(i <= place <= last for place in places):
            continue
        near: dict[str, float] = {}
        for place in places:
            gap = i - place if place < i else place - last
            share = max(1 - (gap - 1) / reach, 0.0)
            word = words[place][0]
            near[word] = max(near.get(word, 0.0), share)
        score = sum(
            share * math.log(1 + 1 / counts[word])
            for word, share in near.items()
        )
        if score > best:
            best, answer = score, (words[i][1], words[last][2])
    return answer


def answer_all(model, tokenizer, questions: list[Question]) -> list[Answer]:
    """The best span for each question, however doubtful."""
    return predict(
        model,
        tokenizer,
        [q.question for q in questions],
        [q.context for q in questions],
        threshold=None,
        dtype="bfloat16",
    )


def measure(model, tokenizer, questions: list[Question]) -> dict:
    answers = answer_all(model, tokenizer, questions)
    return measured(
        [(answer.start, answer.end) for answer in answers],
        questions,
        [answer.doubt for answer in answers],
    )


def tuned(
    smoke: bool, system: str, seed: int, questions: str, rate: float,
    epochs: int,
) -> dict:  # fmt: skip
    """Train a reader, choose its threshold, answer the gold questions."""
    test, validation = parts_of(smoke).test, parts_of(smoke).validation
    train, further = made_questions(questions, smoke)
    if system == "blind":
        train, validation, further = map(
            without_question, (train, validation, further)
        )
    start = "minilm" if system == "blind" else system
    model, tokenizer = untrained(
        BertForQuestionAnswering, start, seed, "qa_outputs", num_labels=2
    )
    window = min(WINDOW, model.config.max_position_embeddings)
    task = question_answering_task(model, tokenizer, train, validation, window)
    settings = FineTuneSettings(
        epochs=epochs, learning_rate=rate, seed=seed, dtype="bfloat16"
    )
    if start == "minilm":  # the new layer first, as in chapter 15
        steps = 2 if smoke else HEAD_STEPS
        model = train_head_first(model, task, settings, steps)
    model, result = fine_tune(model, task, settings, progress=False)
    answers = answer_all(model, tokenizer, validation)
    threshold, f1 = best_threshold(answers, validation)
    made = answer_all(model, tokenizer, further)
    stored = {
        "steps": result.steps,
        "fine_tuning_seconds": round(result.seconds, 1),
        "validation": round(answerable_f1(answers, validation), 4),
        "validation_f1": round(f1, 4),
        "threshold": min(max(round(threshold, 4), -1e9), 1e9),
        "made_f1": round(answerable_f1(made, further), 4),
        "deleted": measure(model, tokenizer, without_question(test)),
    }
    if system != "blind":
        stored["asked"] = measure(model, tokenizer, test)
    return stored


def store(work: Work, runs: list[dict], path: Path) -> None:
    """Write what the questions are, and the runs, a run a line."""
    gold = parts_of(work.smoke).test
    contexts = list(dict.fromkeys(q.context for q in gold))
    heads = {
        "answerable": digits(bool(q.answers) for q in gold),
        "passages": [contexts.index(q.context) for q in gold],
    }
    head = ",\n ".join(f'"{k}": {json.dumps(v)}' for k, v in heads.items())
    rows = ",\n  ".join(json.dumps(run) for run in runs)
    with replacing(path) as half:
        half.write_text(f'{{{head},\n "runs": [\n  {rows}]}}\n', "utf-8")
    minutes = sum(run["seconds"] for run in runs) / 60
    print(
        f"{len(runs)} runs, {minutes:.0f} core-minutes: {path.name}, "
        f"{path.stat().st_size / 1e3:.0f} kB"
    )


def main(folder: Path, smoke: bool, path: Path) -> None:
    work = Work(folder, smoke)
    store(work, every_run(work), path)


if __name__ == "__main__":
    command("question_answering", __doc__, main)
