"""Fine-tuning and inference of a classifier against Hugging Face.

    python benchmarks/bench_classification.py            # about 18 minutes
    SEEDS=1 python benchmarks/bench_classification.py

Fine-tuning: MiniLM with its pooler and a new head, one epoch of the rated
film-review sentences. `fine_tune` against `Trainer`, each in a process of its
own: the same sentences, batch of 32, limit of 128 tokens, bfloat16, rate 5e-5,
warm-up, decay, clipping and dropout; both measure the validation sentences
after the epoch. The Trainer pads each batch to its longest sentence
(`DataCollatorWithPadding`): with random batches, its default, three seeds, and
once with `group_by_length`. The time of `fine_tune` includes cutting the text
into tokens; that of the Trainer is `Trainer.train` alone. On Linux both keep
freed memory. Finished runs are kept in data/cache/bench_classification, so a
broken-off command goes on.

Inference: 1,500 review sentences and 500 of the addresses, shuffled, by
`predict` and by `pipeline("text-classification")` with the batch size, of
five, that was fastest for it; in turns. `ratio` is above 1 where bertlib is
better.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time

from bertlib.checkpoint import replacing
from bertlib.corpora import data_folder

SEEDS = range(int(os.environ.get("SEEDS", "3")))
FEW = "FEW" in os.environ  # a few sentences, to see that it runs
ROUNDS = 3
LIMIT = 128
RUNS = [("bertlib", seed) for seed in SEEDS]
RUNS += [("random", seed) for seed in SEEDS]
RUNS += [("group_by_length", 0)]


def sentences() -> tuple[list, list, list]:
    """Training, validation and test examples."""
    from bertlib.classification import sentiment

    parts = sentiment()
    step = 100 if FEW else 1
    return parts.train[::step], parts.validation[::step], parts.test[::step]


def ours(seed: int) -> dict:
    """Seconds and test accuracy of `fine_tune`."""
    import torch

    from bertlib.checkpoint import from_pretrained
    from bertlib.classification import (
        BertForSequenceClassification,
        FineTuneSettings,
        classification_task,
        fine_tune,
        predict,
    )
    from bertlib.corpora import minilm_folder
    from bertlib.wordpiece import BertTokenizer

    train, validation, test = sentences()
    torch.manual_seed(seed)
    model = from_pretrained(
        BertForSequenceClassification, minilm_folder(), new=("classifier",)
    )
    start = time.perf_counter()
    tokenizer = BertTokenizer.from_pretrained(minilm_folder())
    task = classification_task(model, tokenizer, train, validation, LIMIT)
    settings = FineTuneSettings(epochs=1, seed=seed, dtype="bfloat16")
    model, result = fine_tune(model, task, settings, progress=False)
    seconds = time.perf_counter() - start
    found = predict(model, tokenizer, [e.text for e in test])
    right = [
        p.label == f"LABEL_{e.label}" for p, e in zip(found, test, strict=True)
    ]
    return {
        "seconds": seconds,
        "accuracy": statistics.mean(right),
        "steps": result.steps,
    }


def theirs(seed: int, sampling: str) -> dict:
    """Seconds and test accuracy of the Trainer."""
    import numpy as np
    import torch
    import transformers

    from bertlib.corpora import minilm_folder
    from bertlib.pretraining import keep_freed_memory

    keep_freed_memory()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    train, validation, test = sentences()
    tokenizer = transformers.AutoTokenizer.from_pretrained(minilm_folder())

    def encode(examples) -> list[dict]:
        rows = tokenizer(
            [e.text for e in examples], truncation=True, max_length=LIMIT
        )
        return [
            {name: values[i] for name, values in rows.items()}
            | {"labels": example.label}
            for i, example in enumerate(examples)
        ]

    torch.manual_seed(seed)
    model = transformers.BertForSequenceClassification.from_pretrained(
        minilm_folder(), num_labels=2, attn_implementation="sdpa"
    )
    with tempfile.TemporaryDirectory() as place:
        trainer = transformers.Trainer(
            model=model,
            args=transformers.TrainingArguments(
                place,
                num_train_epochs=1,
                per_device_train_batch_size=32,
                per_device_eval_batch_size=32,
                train_sampling_strategy=sampling,
                learning_rate=5e-5,
                warmup_steps=0.1,
                lr_scheduler_type="linear",
                weight_decay=0.01,
                adam_epsilon=1e-6,
                max_grad_norm=1.0,
                bf16=True,
                use_cpu=True,
                seed=seed,
                eval_strategy="epoch",
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=encode(train),
            eval_dataset=encode(validation),
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )
        start = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - start
        steps = trainer.state.global_step
        logits = trainer.predict(encode(test)).predictions
    right = np.argmax(logits, axis=1) == [e.label for e in test]
    return {
        "seconds": seconds,
        "accuracy": float(right.mean()),
        "steps": steps,
    }


def in_own_process(*arguments: str) -> dict:
    """Run a part of this file in a process of its own; keep what it says."""
    name = ",".join([*arguments, *(["few"] if FEW else [])])
    path = data_folder() / "cache" / "bench_classification" / f"{name}.json"
    if not path.is_file():
        done = subprocess.run(
            [sys.executable, __file__, *arguments],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as half:
            half.write_text(done.stdout.splitlines()[-1], "utf-8")
    found = json.loads(path.read_text("utf-8"))
    print(f"{name}: {found}", flush=True)
    return found


def compare_training() -> list[dict]:
    """Rows: seconds against both ways of the Trainer, and accuracy."""
    found = {"bertlib": [], "random": [], "group_by_length": []}
    order = list(RUNS)
    random.Random(0).shuffle(order)
    for way, seed in order:
        found[way].append(in_own_process(way, str(seed)))
    steps = {run["steps"] for runs in found.values() for run in runs}
    assert len(steps) == 1, steps
    seconds = {
        way: statistics.median(run["seconds"] for run in runs)
        for way, runs in found.items()
    }
    right = {
        way: statistics.mean(run["accuracy"] for run in runs)
        for way, runs in found.items()
    }
    what = "fine-tuning MiniLM, an epoch of 7,741 sentences, bfloat16"
    rows = [
        {
            "what": f"{what}, against {name}",
            "ours": seconds["bertlib"],
            "reference": seconds[way],
            "unit": "s",
            "ratio": seconds[way] / seconds["bertlib"],
        }
        for way, name in (
            ("random", "Trainer"),
            ("group_by_length", "Trainer by length, one seed"),
        )
    ]
    accuracy = {
        "what": f"the same: test accuracy, {len(SEEDS)} seeds",
        "ours": right["bertlib"],
        "reference": right["random"],
        "unit": "share",
        "ratio": right["bertlib"] / right["random"],
    }
    return [*rows, accuracy]


def mixed_sentences() -> list[str]:
    from bertlib.classification import era_sentences

    texts = [e.text for e in sentences()[2]]
    texts += [e.text for e in era_sentences(1, 1, 1 if FEW else 100).test]
    random.Random(0).shuffle(texts)
    return texts


def compare_inference(dtype: str) -> dict:
    """One row: sentences a second of `predict` and of the pipeline."""
    import torch
    import transformers

    from bertlib.checkpoint import from_pretrained, save_pretrained
    from bertlib.classification import BertForSequenceClassification, predict
    from bertlib.corpora import minilm_folder
    from bertlib.pretraining import keep_freed_memory
    from bertlib.wordpiece import BertTokenizer

    keep_freed_memory()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    texts = mixed_sentences()
    torch.manual_seed(0)
    model = from_pretrained(
        BertForSequenceClassification, minilm_folder(), new=("classifier",)
    )
    torch.nn.init.normal_(model.classifier.weight, std=1.0)
    tokenizer = BertTokenizer.from_pretrained(minilm_folder())
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(model, folder)
        tokenizer.save_pretrained(folder)
        pipe = transformers.pipeline(
            "text-classification",
            model=transformers.BertForSequenceClassification.from_pretrained(
                folder,
                attn_implementation="sdpa",
                dtype=getattr(torch, dtype),
            ),
            tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
            device="cpu",
        )
    limits = {"truncation": True, "max_length": LIMIT}

    def timed(run) -> tuple[float, list]:
        start = time.perf_counter()
        result = run()
        return time.perf_counter() - start, result

    pipe(texts[:64], batch_size=8, **limits)  # warms up
    trials = {
        size: timed(lambda s=size: pipe(texts[:400], batch_size=s, **limits))[
            0
        ]
        for size in (1, 4, 8, 16, 32)
    }
    best = min(trials, key=trials.get)
    print(f"{dtype}: pipeline fastest at batch size {best}", flush=True)

    def fresh_predict() -> list:  # nothing of the texts is remembered
        cutter = BertTokenizer(tokenizer.vocab)
        return predict(model, cutter, texts, max_length=LIMIT, dtype=dtype)

    runs = {
        "bertlib": fresh_predict,
        "pipeline": lambda: pipe(texts, batch_size=best, **limits),
    }
    times, results, order = {name: [] for name in runs}, {}, list(runs)
    for _ in range(ROUNDS):
        for name in order:
            seconds, results[name] = timed(runs[name])
            times[name].append(seconds)
        order.reverse()
    largest = max(
        abs(one.probability - other["score"])
        for one, other in zip(
            results["bertlib"], results["pipeline"], strict=True
        )
    )
    print(f"{dtype}: largest difference of a probability {largest:.1e}")
    assert largest < 1e-3 or dtype != "float32"
    speed = {
        name: len(texts) / statistics.median(t) for name, t in times.items()
    }
    return {
        "what": f"classifying {len(texts):,} sentences with MiniLM, {dtype}, "
        f"against pipeline at batch size {best}",
        "ours": speed["bertlib"],
        "reference": speed["pipeline"],
        "unit": "sentences/s",
        "ratio": speed["bertlib"] / speed["pipeline"],
    }


def main() -> None:
    way, *rest = sys.argv[1:] or [""]
    if way == "bertlib":
        print(json.dumps(ours(int(rest[0]))))
    elif way in ("random", "group_by_length"):
        print(json.dumps(theirs(int(rest[0]), way)))
    elif way == "inference":
        print(json.dumps(compare_inference(rest[0])))
    else:
        rows = compare_training()
        for dtype in ("float32", "bfloat16"):
            rows.append(in_own_process("inference", dtype))
        for row in rows:
            print(f"{row['what']}: {row['ratio']:.2f}", flush=True)
        print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
