"""Next sentences with three kinds of false ones: three seeds each.

    python data/run_negatives.py      # about ten minutes on two cores

The encoder of data/checkpoints/addresses-2x256 gets a new pooler and a new
next-sentence layer, and all of it is trained on pairs of stretches of up to
60 pieces. The false second stretch comes from another address (as in BERT),
from another place of the same address, or is the true pair the wrong way
round. Beside it stands a rule that adds up how rare the shared pieces are,
with the threshold that fits 4,096 training pairs best. All are tested on the
same 1,024 held-out pairs of their kind. The result is data/negatives.json,
which chapter 12 draws; finished runs are kept in data/cache/negatives.
"""

import json
from pathlib import Path

import numpy as np
import torch
from runs import CHECKPOINT, run_all
from torch.nn import functional as F

from bertlib.checkpoint import from_pretrained, replacing
from bertlib.corpora import BigramModel, data_folder
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import make_optimizer, warmup_linear
from bertlib.pretraining import Settings, prepare_data
from bertlib.pretraining_data import TokenShards
from bertlib.wordpiece import BertTokenizer

KINDS = ("another address", "the same address", "swapped")
STEPS, EVERY, BATCH, RATE = 300, 30, 32, 3e-4
LENGTH = 60  # pieces of a stretch
TEST_PAIRS = 1024


def stretches(shards: TokenShards) -> list[list[np.ndarray]]:
    """Cut each document into stretches of whole sentences, LENGTH or less.

    A longer sentence is cut off.
    """
    documents = []
    for document in range(shards.num_documents):
        found, open_ = [], np.empty(0, np.int64)
        for sentence in shards.segments(document):
            if len(open_) and len(open_) + len(sentence) > LENGTH:
                found.append(open_[:LENGTH])
                open_ = np.empty(0, np.int64)
            open_ = np.concatenate([open_, sentence])
        documents.append([*found, open_[:LENGTH]])
    return [found for found in documents if len(found) > 3]


def draw_pair(documents, kind: str, rng) -> tuple[np.ndarray, np.ndarray, int]:
    """Return two stretches, and 0 where the second follows, else 1."""
    d = rng.integers(len(documents))
    own = documents[d]
    i = rng.integers(len(own) - 1)
    if rng.random() < 0.5:
        return own[i], own[i + 1], 0
    if kind == "another address":
        e = (d + rng.integers(1, len(documents))) % len(documents)
        return own[i], documents[e][rng.integers(len(documents[e]))], 1
    if kind == "the same address":
        j = rng.integers(len(own) - 2)  # neither i nor i + 1
        return own[i], own[j if j < i else j + 2], 1
    return own[i + 1], own[i], 1


def collate(pairs, tokenizer: BertTokenizer) -> dict[str, torch.Tensor]:
    """Return the inputs of a batch, padded."""
    cls, sep = tokenizer.vocab["[CLS]"], tokenizer.vocab["[SEP]"]
    rows = [
        (np.concatenate([[cls], a, [sep], b, [sep]]), len(a) + 2)
        for a, b, _ in pairs
    ]
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    types, mask = torch.zeros_like(ids), torch.zeros_like(ids)
    for row, (numbers, first) in enumerate(rows):
        ids[row, : len(numbers)] = torch.from_numpy(numbers)
        types[row, first : len(numbers)] = 1
        mask[row, : len(numbers)] = 1
    return {
        "input_ids": ids,
        "token_type_ids": types,
        "attention_mask": mask,
    }


def logits_of(model: BertForPreTraining, batch) -> torch.Tensor:
    """Return the next-sentence logits alone: no vocabulary is needed."""
    with torch.autocast("cpu", torch.bfloat16):
        pooled = model.bert(**batch).pooler_output
    return model.nsp(pooled.float())


@torch.no_grad()
def accuracy(model: BertForPreTraining, pairs, tokenizer) -> float:
    """Return the share of right verdicts on `pairs`."""
    model.eval()
    right = 0
    for start in range(0, len(pairs), 64):
        part = pairs[start : start + 64]
        verdicts = logits_of(model, collate(part, tokenizer)).argmax(1)
        right += int((verdicts == torch.tensor([p[2] for p in part])).sum())
    model.train()
    return right / len(pairs)


def shards_of(folder: Path):
    """Return the tokenizer and the stretches to train and to test on."""
    settings = Settings(steps=1)
    tokenizer, train, held_out = prepare_data(settings, folder)
    stored = BertTokenizer.from_pretrained(CHECKPOINT)
    if tokenizer.pieces != stored.pieces:
        raise ValueError("the checkpoint has another vocabulary")
    return tokenizer, stretches(train), stretches(held_out)


def train(kind: str, seed: int, folder: Path) -> list[tuple[int, float]]:
    """Make one run and return its accuracy by step."""
    tokenizer, training, held_out = shards_of(folder)
    rng = np.random.default_rng(0)
    test = [draw_pair(held_out, kind, rng) for _ in range(TEST_PAIRS)]
    torch.manual_seed(seed)
    model = from_pretrained(BertForPreTraining, CHECKPOINT).train()
    for part in (model.bert.pooler, model.nsp):
        for layer in part.modules():
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.02)
                torch.nn.init.zeros_(layer.bias)
    optimizer = make_optimizer(model, RATE)
    rng = np.random.default_rng(seed + 1)
    curve = [(0, accuracy(model, test, tokenizer))]
    for step in range(1, STEPS + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * warmup_linear(step - 1, STEPS, 0.1 * STEPS)
        pairs = [draw_pair(training, kind, rng) for _ in range(BATCH)]
        logits = logits_of(model, collate(pairs, tokenizer))
        loss = F.cross_entropy(logits, torch.tensor([p[2] for p in pairs]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % EVERY == 0:
            curve.append((step, accuracy(model, test, tokenizer)))
    return curve


def rule(kind: str, tokenizer, training, held_out) -> float:
    """Return the held-out accuracy of the rule on the same test pairs."""
    ids = np.concatenate([ids for own in training for ids in own])
    rarity = -np.log(BigramModel(ids, len(tokenizer.pieces)).unigram)

    def score(pairs) -> tuple[np.ndarray, np.ndarray]:
        shared = [set(a.tolist()) & set(b.tolist()) for a, b, _ in pairs]
        sums = np.array([sum(rarity[i] for i in ids) for ids in shared])
        return sums, np.array([random for _, _, random in pairs])

    rng = np.random.default_rng(99)
    fit, labels = score([draw_pair(training, kind, rng) for _ in range(4096)])
    threshold = max(np.unique(fit), key=lambda t: ((fit < t) == labels).mean())
    rng = np.random.default_rng(0)
    test, labels = score(
        [draw_pair(held_out, kind, rng) for _ in range(TEST_PAIRS)]
    )
    return float(((test < threshold) == labels).mean())


def main() -> None:
    folder = data_folder() / "cache" / "negatives"
    folder.mkdir(parents=True, exist_ok=True)
    data = shards_of(folder)
    curves = run_all(train, KINDS, folder)
    result = {
        kind: {"rule": rule(kind, *data), "curves": curves[kind]}
        for kind in KINDS
    }
    content = {
        "about": "made by data/run_negatives.py",
        "pairs": TEST_PAIRS,
        "kinds": result,
    }
    with replacing(data_folder() / "negatives.json") as half:
        half.write_text(json.dumps(content) + "\n", "utf-8")


if __name__ == "__main__":
    main()
