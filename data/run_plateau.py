"""What ends the flat stretch sooner: short runs, three seeds each.

    python data/run_plateau.py            # about 40 minutes on two cores

Every run is a model of two layers, 128 wide, on the addresses, in rows of 64
pieces; one thing differs from the first row of RUNS. The rate rises over
`warmup` steps and then stays. On the way the loss at the held-out `[MASK]`
places, the largest mean attention weight on a direct neighbour, and the length
of a position row against that of a word row are noted.
Each finished run is kept in data/cache/plateau, so a broken-off command goes
on; at the end all of them are written to data/plateau.json, which chapter 12
draws.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from runs import run_all

from bertlib.checkpoint import replacing
from bertlib.corpora import BigramModel, data_folder
from bertlib.pretraining import (
    Run,
    Settings,
    held_out_batches,
    prepare_data,
)

BASE = {"learning_rate": 1e-3, "warmup": 200, "millions": 3.0}
RUNS = {  # name: what differs
    "our start": {},
    "positions random": {"position_init": "normal"},
    "weights of 0.02": {"initializer_range": 0.02},
    "rate 3e-3": {"learning_rate": 3e-3},
    "rate 3e-3, slow warm-up": {"learning_rate": 3e-3, "warmup": 1500},
    "four layers": {"model": {"num_hidden_layers": 4}},
    "batch of 128 rows": {"batch_size": 128, "warmup": 50},
    "always [MASK]": {},
}
EVERY = 0.125  # million tokens between two notes
SEQ_LEN = 64


def settings_of(name: str, seed: int) -> tuple[Settings, int, float]:
    """Return the settings of a run, its warm-up steps and its length."""
    changes = BASE | RUNS[name]
    model = {"max_position_embeddings": 128} | changes.pop("model", {})
    warmup, millions = changes.pop("warmup"), changes.pop("millions")
    settings = Settings(
        steps=1, seq_len=SEQ_LEN, seed=seed, dtype="bfloat16", model=model
    )
    return replace(settings, **changes), warmup, millions


def always_masked(batches, mask_id: int):
    """Hide every asked place, instead of 80 in 100."""
    for batch in batches:
        asked = batch.labels != -100
        yield replace(
            batch, input_ids=batch.input_ids.masked_fill(asked, mask_id)
        )


@torch.no_grad()
def note(run: Run, batches, mask_id: int) -> dict[str, float]:
    """Measure the losses where [MASK] stands and elsewhere, and the heads."""
    model = run.model.eval()
    sums, counts = [0.0, 0.0], [0, 0]
    rows = []
    for batch in batches:
        asked = batch.labels != -100
        is_mask = batch.input_ids[asked] == mask_id
        output = model(**vars(batch))
        losses = torch.nn.functional.cross_entropy(
            output.prediction_logits, batch.labels[asked], reduction="none"
        )
        for number, which in enumerate((is_mask, ~is_mask)):
            sums[number] += losses[which].sum().item()
            counts[number] += int(which.sum())
        rows += [r for r in batch.input_ids if len(r) == SEQ_LEN and r[-1] > 0]
    layers = model.bert(
        torch.stack(rows[:48]), output_attentions=True
    ).attentions
    neighbour = max(
        weights.diagonal(offset, 2, 3).mean((0, 2)).max().item()
        for weights in layers
        for offset in (-1, 1)
    )
    table = model.bert.embeddings
    ids = torch.cat([batch.input_ids.flatten() for batch in batches])
    words = table.word.weight[ids[ids > 4]].norm(dim=1).mean()
    positions = table.position.weight[:SEQ_LEN].norm(dim=1).mean()
    model.train()
    return {
        "millions": round(run.tokens / 1e6, 3),
        "mask_loss": round(sums[0] / counts[0], 4),
        "other_loss": round(sums[1] / counts[1], 4),
        "neighbour": round(neighbour, 4),
        "position_to_word": round((positions / words).item(), 4),
    }


def unigram_loss(shards, batches, mask_id: int) -> float:
    """Return the loss at [MASK] of a guess by the training frequencies."""
    ids = [
        ids
        for document in range(shards.num_documents)
        for ids in shards.segments(document)
    ]
    guess = BigramModel(np.concatenate(ids), shards.vocab_size).unigram
    targets = [b.labels[b.input_ids == mask_id] for b in batches]
    return float(-np.log(guess[torch.cat(targets).numpy()]).mean())


def train(name: str, seed: int, folder: Path) -> list[dict[str, float]]:
    """Make one run and return its notes."""
    settings, warmup, millions = settings_of(name, seed)
    tokenizer, shards, held_out = prepare_data(settings, folder)
    mask_id = tokenizer.vocab["[MASK]"]
    batches = held_out_batches(held_out, tokenizer, SEQ_LEN)[::20]
    run = Run(settings, tokenizer, shards, "cpu", torch.bfloat16)
    if name == "always [MASK]":
        run.batches["long"] = always_masked(run.batches["long"], mask_id)
    curve = [note(run, batches, mask_id)]
    while run.tokens < millions * 1e6:
        run.train_step(
            settings.learning_rate * min(1, (run.step + 1) / warmup)
        )
        if run.tokens >= EVERY * 1e6 * len(curve):
            curve.append(note(run, batches, mask_id))
    return curve


def main() -> None:
    folder = data_folder() / "cache" / "plateau"
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer, shards, held_out = prepare_data(
        settings_of("our start", 0)[0], folder
    )
    result = run_all(train, RUNS, folder)
    text = json.dumps(
        {
            "about": "made by data/run_plateau.py",
            "columns": list(result["our start"][0][0]),
            "unigram_loss": unigram_loss(
                shards,
                held_out_batches(held_out, tokenizer, SEQ_LEN)[::20],
                tokenizer.vocab["[MASK]"],
            ),
            "runs": {
                name: [
                    [list(point.values()) for point in curve]
                    for curve in curves
                ]
                for name, curves in result.items()
            },
        }
    ).replace("]], [[", "]],\n[[")
    with replacing(data_folder() / "plateau.json") as half:
        half.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main()
