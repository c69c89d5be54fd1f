"""Train with and without bias correction and write data/correction.json.

    python data/make_correction.py    # ten minutes on one core

A fresh BERT of 2 layers, 128 wide, takes 150 steps on the State of the Union
addresses, 15 of them warm-up: seven rates, with and without bias correction,
three seeds. Stored is the loss on held-out addresses, masked words and next
sentence together, and what it would be for a guess by frequencies alone. The
script can be stopped: started again, it runs what is missing.
"""

import itertools
import json
import math
import tempfile
from collections import Counter

import torch

from bertlib.bert import BertConfig
from bertlib.corpora import data_folder, split_documents, state_of_the_union
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import decay_groups, warmup_linear
from bertlib.pretraining_data import (
    PretrainingBatches,
    fixed_batches,
    write_shards,
)
from bertlib.wordpiece import BertTokenizer, train_wordpiece

STEPS, WARMUP, BATCH, LENGTH, VOCABULARY = 150, 15, 16, 64, 4096
RATES = (3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)


class PlainAdamW:
    """AdamW with or without bias correction: the class of chapter 11."""

    def __init__(self, groups, corrected, betas=(0.9, 0.999), eps=1e-6):
        self.groups, self.betas, self.eps = groups, betas, eps
        self.corrected, self.t = corrected, 0
        self.averages = {
            p: (torch.zeros_like(p), torch.zeros_like(p))
            for group in groups
            for p in group["params"]
        }

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        self.t += 1
        beta1, beta2 = self.betas
        for group in self.groups:
            for p in group["params"]:
                m, v = self.averages[p]
                m.mul_(beta1).add_((1 - beta1) * p.grad)
                v.mul_(beta2).add_((1 - beta2) * p.grad**2)
                if self.corrected:
                    m = m / (1 - beta1**self.t)
                    v = v / (1 - beta2**self.t)
                u = m / (v.sqrt() + self.eps)
                p -= learning_rate * (u + group["weight_decay"] * p)


def loss_of(model, batch) -> torch.Tensor:
    return model(
        batch.input_ids,
        batch.token_type_ids,
        batch.attention_mask,
        batch.labels,
        batch.next_sentence_label,
    ).loss


def train(config, batches, held_out, rate, corrected, seed) -> float:
    """Return the mean loss on the held-out batches after training."""
    torch.manual_seed(seed)
    model = BertForPreTraining(config)
    optimizer = PlainAdamW(decay_groups(model, 0.01), corrected)
    for step in range(STEPS):
        model.zero_grad()
        loss_of(model, next(batches)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step(rate * warmup_linear(step, STEPS, WARMUP))
    model.eval()
    with torch.no_grad():
        losses = [loss_of(model, batch).item() for batch in held_out]
    return sum(losses) / len(losses)


def by_frequency(shards, held_out) -> float:
    """The loss of a guess that knows only how frequent each answer is."""
    counts = Counter()
    for document in range(shards.num_documents):
        for segment in shards.segments(document):
            counts.update(segment.tolist())
    total = sum(counts.values()) + shards.vocab_size  # one more of each
    losses = []
    for batch in held_out:
        labels = batch.labels[batch.labels != -100].tolist()
        words = [-math.log((counts[i] + 1) / total) for i in labels]
        losses.append(sum(words) / len(words))
    share = torch.cat([b.next_sentence_label for b in held_out]).double()
    p = share.mean().item()
    pairs = -p * math.log(p) - (1 - p) * math.log(1 - p)
    return sum(losses) / len(losses) + pairs


def main() -> None:
    torch.set_num_threads(1)
    path = data_folder() / "correction.json"
    seen, unseen = split_documents(state_of_the_union())
    texts = [document.text for document in seen[::4]]
    tokenizer = BertTokenizer(train_wordpiece(texts, VOCABULARY))
    config = BertConfig.tiny(vocab_size=VOCABULARY)
    runs = json.loads(path.read_text())["runs"] if path.exists() else []
    done = {(r["seed"], r["rate"], r["corrected"]) for r in runs}
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(unseen, tokenizer, f"{folder}/unseen")
        batches = fixed_batches(shards, tokenizer, BATCH, LENGTH, seed=0)
        held_out = batches[:400:20]
        shards = write_shards(seen, tokenizer, f"{folder}/seen")
        frequency = round(by_frequency(shards, held_out), 4)
        settings = itertools.product(range(3), RATES, (True, False))
        for seed, rate, corrected in settings:
            if (seed, rate, corrected) in done:
                continue
            loss = train(
                config,
                PretrainingBatches(shards, tokenizer, BATCH, LENGTH, seed),
                held_out,
                rate,
                corrected,
                seed,
            )
            run = {"seed": seed, "rate": rate, "corrected": corrected}
            runs.append(run | {"held_out": round(loss, 4)})
            print(runs[-1], flush=True)
            runs.sort(key=lambda r: (r["seed"], r["rate"], not r["corrected"]))
            rows = ",\n".join(json.dumps(run) for run in runs)
            half = path.with_suffix(".part")
            half.write_text(
                f'{{"steps": {STEPS}, "warmup": {WARMUP}, '
                f'"by_frequency": {frequency}, "runs": [\n{rows}\n]}}\n'
            )
            half.replace(path)


if __name__ == "__main__":
    main()
