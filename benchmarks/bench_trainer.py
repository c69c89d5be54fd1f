"""Ten minutes of pretraining: bertlib's command against Hugging Face's Trainer.

    python benchmarks/bench_trainer.py             # about 65 minutes
    MINUTES=1 SEEDS=1 python benchmarks/bench_trainer.py

Same text, vocabulary, shape (2 × 128), rows of 64 tokens, number type, rate,
warm-up and decay; no dropout; three seeds. bertlib starts from nothing: its
time includes learning the vocabulary. The Trainer gets that vocabulary for
nothing, its own collator and AdamW; its rate follows the clock, like ours.
Both are measured on the same held-out masks; for the Trainer with the watch
stopped, for bertlib with the watch running. On Linux the Trainer, too, runs
with a C library that keeps freed memory. Finished runs are kept in
data/cache/trainer, so a broken-off command goes on.
"""

import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bertlib.checkpoint import replacing
from bertlib.corpora import data_folder

MINUTES = float(os.environ.get("MINUTES", "10"))
SEEDS = range(int(os.environ.get("SEEDS", "3")))
TARGET = 5.5
SEQ_LEN = 64
RATE, WARMUP = 2e-3, 0.3
TOTAL = 60 * MINUTES  # seconds


def ours(folder: Path, seed: int) -> list[dict]:
    """Seconds, loss and accuracy from the log of a run."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    config = folder.parent / "config.toml"
    config.write_text(
        f"seq_len = {SEQ_LEN}\nlearning_rate = {RATE}\nwarmup = {WARMUP}\n"
    )
    subprocess.run(
        [
            sys.executable, "-m", "bertlib.pretraining",
            "--out", str(folder), "--preset", "tiny", "--vocab-size", "8192",
            "--minutes", str(MINUTES), "--seed", str(seed),
            "--dtype", "bfloat16", "--config", str(config),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    with (folder / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    curve = [
        {
            "seconds": float(row["seconds"]),
            "loss": float(row["held_out_mlm_loss"]),
            "accuracy": float(row["held_out_mlm_accuracy"]),
        }
        for row in rows
        if row["held_out_mlm_loss"]
    ]
    last = json.loads((folder / "evaluation.json").read_text())["held_out"]
    curve.append(
        {
            "seconds": 60 * MINUTES,
            "loss": last["mlm_loss"],
            "accuracy": last["mlm_accuracy"],
        }
    )
    return curve


def theirs(folder: str, seed: str) -> None:
    """Run the Trainer on the data of a run of ours; print its curve."""
    import torch
    import transformers
    from transformers import (
        DataCollatorForLanguageModeling,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    from bertlib.optimisation import warmup_linear
    from bertlib.pretraining import held_out_batches, keep_freed_memory
    from bertlib.pretraining_data import TokenShards
    from bertlib.wordpiece import BertTokenizer

    keep_freed_memory()

    transformers.logging.set_verbosity_error()
    run = Path(folder)
    tokenizer = transformers.BertTokenizerFast(
        str(run / "vocab.txt"), model_max_length=SEQ_LEN
    )
    shards = TokenShards(run / "data" / "train")
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    blocks = []
    for document in range(shards.num_documents):
        ids = [i for s in shards.segments(document) for i in s.tolist()]
        blocks += [
            {"input_ids": [cls, *ids[start : start + SEQ_LEN - 2], sep]}
            for start in range(0, len(ids) - SEQ_LEN // 4, SEQ_LEN - 2)
        ]
    fixed = held_out_batches(
        TokenShards(run / "data" / "held_out"),
        BertTokenizer.from_pretrained(run),
        SEQ_LEN,
    )
    sample = fixed[::3]
    torch.manual_seed(int(seed))
    model = transformers.BertForMaskedLM(
        transformers.BertConfig(
            vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=2,
            num_attention_heads=2, intermediate_size=512,
            hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip

    @torch.no_grad()
    def measure(batches) -> tuple[float, float]:
        model.eval()
        loss = right = count = 0
        for batch in batches:
            with torch.autocast("cpu", torch.bfloat16):
                hidden = model.bert(
                    batch.input_ids,
                    attention_mask=batch.attention_mask,
                    token_type_ids=batch.token_type_ids,
                ).last_hidden_state
                asked = batch.labels != -100
                logits = model.cls(hidden[asked]).float()
            targets = batch.labels[asked]
            loss += torch.nn.functional.cross_entropy(
                logits, targets, reduction="sum"
            ).item()
            right += int((logits.argmax(-1) == targets).sum())
            count += len(targets)
        model.train()
        return loss / count, right / count

    class Watch(TrainerCallback):
        """Measures every 30 seconds, and stops at the end of the time."""

        def __init__(self):
            self.curve, self.paused, self.next = [], 0.0, 30.0
            self.start = time.perf_counter()

        def seconds(self) -> float:
            return time.perf_counter() - self.start - self.paused

        def on_train_begin(self, *_, **__):
            self.start = time.perf_counter()

        def on_step_end(self, args, state, control, **_):
            if self.seconds() >= self.next:
                now = time.perf_counter()
                seconds = self.seconds()
                loss, accuracy = measure(sample)
                self.curve.append(
                    {"seconds": seconds, "loss": loss, "accuracy": accuracy}
                )
                self.next += 30
                self.paused += time.perf_counter() - now
            if self.seconds() >= TOTAL:
                control.should_training_stop = True

    watch = Watch()

    class ClockTrainer(Trainer):
        """The Trainer, with a rate that rises and falls by the clock."""

        def create_scheduler(self, num_training_steps, optimizer=None):
            self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(
                optimizer or self.optimizer,
                lambda _: warmup_linear(
                    min(watch.seconds(), TOTAL), TOTAL, WARMUP * TOTAL
                ),
            )
            return self.lr_scheduler

    with tempfile.TemporaryDirectory() as place:
        trainer = ClockTrainer(
            model=model,
            args=TrainingArguments(
                place,
                max_steps=1_000_000,  # the clock ends it
                per_device_train_batch_size=32,
                learning_rate=RATE,
                weight_decay=0.01,
                adam_beta2=0.98,
                max_grad_norm=1.0,
                bf16=True,
                use_cpu=True,
                seed=int(seed),
                save_strategy="no",
                logging_strategy="no",
                report_to=[],
                disable_tqdm=True,
            ),
            train_dataset=blocks,
            data_collator=DataCollatorForLanguageModeling(tokenizer),
            callbacks=[watch],
        )
        trainer.train()
    loss, accuracy = measure(fixed)
    watch.curve.append(
        {"seconds": 60 * MINUTES, "loss": loss, "accuracy": accuracy}
    )
    print(json.dumps(watch.curve))


def start_theirs(folder: Path, seed: int) -> list[dict]:
    """Run the Trainer in a process of its own and return its curve."""
    done = subprocess.run(
        [sys.executable, __file__, "theirs", str(folder), str(seed)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def time_to(curve: list[dict], target: float) -> float:
    """Seconds until the loss is below the target; infinite where it is not."""
    return min(
        (p["seconds"] for p in curve if p["loss"] <= target),
        default=float("inf"),
    )


def main() -> None:
    if sys.argv[1:2] == ["theirs"]:
        theirs(*sys.argv[2:])
        return
    work = data_folder() / "cache" / "trainer"
    curves = {"bertlib": [], "hugging_face": []}
    for seed in SEEDS:
        folder = work / f"{MINUTES:g}-minutes-{seed}"
        for who, run in (("bertlib", ours), ("hugging_face", start_theirs)):
            stored = folder / f"{who}.json"
            if not stored.is_file():
                curve = run(folder / "run", seed)
                with replacing(stored) as half:
                    half.write_text(json.dumps(curve), "utf-8")
            curves[who].append(json.loads(stored.read_text("utf-8")))
            print(f"seed {seed}, {who}: {curves[who][-1][-1]}", flush=True)
    last = {
        who: statistics.mean(curve[-1]["loss"] for curve in found)
        for who, found in curves.items()
    }
    right = {
        who: statistics.mean(curve[-1]["accuracy"] for curve in found)
        for who, found in curves.items()
    }
    reached = {
        who: statistics.mean(
            min(time_to(curve, TARGET), 60 * MINUTES) for curve in found
        )
        for who, found in curves.items()
    }
    what = f"{MINUTES:g} minutes of pretraining, 2 × 128, {len(SEEDS)} seeds: "
    rows = [
        {
            "what": what + "held-out MLM loss",
            "ours": last["bertlib"],
            "reference": last["hugging_face"],
            "unit": "nats",
            "ratio": last["hugging_face"] / last["bertlib"],
        },
        {
            "what": what + "held-out MLM accuracy",
            "ours": right["bertlib"],
            "reference": right["hugging_face"],
            "unit": "share",
            "ratio": right["bertlib"] / right["hugging_face"],
        },
        {
            "what": what
            + f"time to loss {TARGET} (not reached: all the time)",
            "ours": reached["bertlib"],
            "reference": reached["hugging_face"],
            "unit": "s",
            "ratio": reached["hugging_face"] / reached["bertlib"],
        },
    ]
    print(json.dumps({"rows": rows, "curves": curves}))


if __name__ == "__main__":
    main()
