"""One pretraining step on the CPU: bertlib against Hugging Face (sdpa).

The same configuration and batch (15 % masked, no padding), forward, backward,
clipping and AdamW with dropout 0.1, in float32 and bfloat16. The models take
turns, and turn by turn another one goes first. Then what each trick gave: the
same step of bertlib with one of them taken away. Memory is measured in fresh
processes. `ratio` is above 1 where bertlib is better.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from torch.nn import functional as F

from bertlib.bert import BertConfig
from bertlib.multihead import MultiHeadAttention
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import make_optimizer
from bertlib.pretraining import keep_freed_memory

STEPS = 21
SHAPES = {  # name: layers, width, vocabulary, rows of 128 tokens
    "2 × 128": (2, 128, 8192, 32),
    "4 × 256": (4, 256, 8192, 32),
    "base": (12, 768, 30522, 2),
}


def config(name: str) -> BertConfig:
    layers, width, vocab, _ = SHAPES[name]
    return BertConfig(vocab, width, layers, width // 64, 4 * width)


def batch(name: str) -> dict[str, torch.Tensor]:
    """Rows of 128 tokens, 19 of them asked for."""
    _, _, vocab, rows = SHAPES[name]
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocab, (rows, 128), generator=generator)
    labels = torch.full_like(ids, -100)
    places = torch.rand(ids.shape, generator=generator).argsort(1)[:, :19]
    labels.scatter_(1, places, ids.gather(1, places))
    types = (torch.arange(128) > 60).long().repeat(rows, 1)
    return {
        "input_ids": ids,
        "token_type_ids": types,
        "labels": labels,
        "next_sentence_label": torch.randint(
            0, 2, (rows,), generator=generator
        ),
    }


def ours(name: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = BertForPreTraining(config(name)).train()
    return model, make_optimizer(model, 1e-4)


def theirs(name: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    c = config(name)
    model = transformers.BertForPreTraining._from_config(
        transformers.BertConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.hidden_size,
            num_hidden_layers=c.num_hidden_layers,
            num_attention_heads=c.num_attention_heads,
            intermediate_size=c.intermediate_size,
        ),
        attn_implementation="sdpa",
    ).train()
    return model, torch.optim.AdamW(model.parameters(), lr=1e-4)


def step(model, optimizer, inputs, dtype) -> None:
    """Forward, backward, clip, AdamW."""
    half = dtype == torch.bfloat16
    with torch.autocast("cpu", dtype, enabled=half):
        loss = model(**inputs).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def interleaved(steps: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Median seconds of each, in turns."""
    order = list(steps)
    times = {name: [] for name in order}
    for round_ in range(STEPS + 2):
        for name in order:
            start = time.perf_counter()
            steps[name]()
            if round_ >= 2:
                times[name].append(time.perf_counter() - start)
        order.reverse()
    return {name: statistics.median(t) for name, t in times.items()}


def compare(name: str, dtype: torch.dtype) -> dict:
    """One row: tokens a second of both."""
    inputs = batch(name)
    models = {"bertlib": ours(name), "hugging_face": theirs(name)}
    seconds = interleaved(
        {
            who: lambda pair=pair: step(*pair, inputs, dtype)
            for who, pair in models.items()
        }
    )
    tokens = inputs["input_ids"].numel()
    kind = str(dtype).removeprefix("torch.")
    return {
        "what": f"pretraining step, {name}, "
        f"batch {len(inputs['labels'])} × 128, {kind}",
        "ours": tokens / seconds["bertlib"],
        "reference": tokens / seconds["hugging_face"],
        "unit": "tokens/s",
        "ratio": seconds["hugging_face"] / seconds["bertlib"],
    }


# --- what each trick gives: the step without it


@contextlib.contextmanager
def all_places():
    """Project every place onto the vocabulary, as a plain model does."""
    import bertlib.objectives as module

    selected = module._masked_lm

    def projected(head, hidden_states, table, labels):
        logits = head(hidden_states, table)
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten())
        return logits, loss

    module._masked_lm = projected
    try:
        yield
    finally:
        module._masked_lm = selected


@contextlib.contextmanager
def kernel_attention():
    """Take torch's attention kernel, with the dropout it has."""
    plain = MultiHeadAttention.forward

    def forward(self, hidden_states, mask=None, output_attentions=False):
        query, key, value = (
            part.unflatten(-1, (self.num_attention_heads, -1)).transpose(1, 2)
            for part in self.qkv(hidden_states).chunk(3, -1)
        )
        context = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=self.dropout
        )
        return self.output(context.transpose(1, 2).flatten(2)), None

    MultiHeadAttention.forward = forward
    try:
        yield
    finally:
        MultiHeadAttention.forward = plain


@contextlib.contextmanager
def torch_dropout():
    """Drop numbers with torch's function instead of chapter 5's."""
    from bertlib import encoder, multihead

    sixteen_bits = multihead.dropout
    multihead.dropout = encoder.dropout = F.dropout
    try:
        yield
    finally:
        multihead.dropout = encoder.dropout = sixteen_bits


def tricks(name: str, dtype: torch.dtype) -> list[dict]:
    """Rows: the step without one trick, and with all of them."""
    inputs = batch(name)
    full = ours(name)
    loop, _ = ours(name)
    plain = torch.optim.AdamW(loop.parameters(), lr=1e-4)
    still, still_optimizer = ours(name)
    for module in still.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "num_attention_heads"):
            module.dropout = 0.0

    def within(context, pair=full):
        def run():
            with context():
                step(*pair, inputs, dtype)

        return run

    seconds = interleaved(
        {
            "all": lambda: step(*full, inputs, dtype),
            "logits at every place": within(all_places),
            "torch's attention kernel": within(kernel_attention),
            "torch's dropout": within(torch_dropout),
            "AdamW not fused": lambda: step(loop, plain, inputs, dtype),
            "no dropout": lambda: step(still, still_optimizer, inputs, dtype),
        }
    )
    tokens = inputs["input_ids"].numel()
    kind = str(dtype).removeprefix("torch.")
    return [
        {
            "what": f"pretraining step, {name}, {kind}, against: {other}",
            "ours": tokens / seconds["all"],
            "reference": tokens / value,
            "unit": "tokens/s",
            "ratio": value / seconds["all"],
        }
        for other, value in seconds.items()
        if other != "all"
    ]


# --- memory


def memory(who: str, name: str) -> float:
    """Growth of this process's largest resident size by training steps."""
    inputs = batch(name)
    model, optimizer = ours(name) if who == "bertlib" else theirs(name)
    before = resident()
    for _ in range(3):
        step(model, optimizer, inputs, torch.float32)
    return peak() - before


def peak() -> float:
    """Largest resident MB of this process since it started.

    Not ru_maxrss, which a new process inherits from its parent.
    """
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/self/status")


def resident() -> float:
    """Resident MB of this process now."""
    with Path("/proc/self/statm").open() as file:
        pages = int(file.read().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def compare_memory(name: str) -> dict:
    growth = {}
    for who in ("bertlib", "hugging_face"):
        runs = [
            float(
                subprocess.run(
                    [sys.executable, __file__, "memory", who, name],
                    capture_output=True,
                    check=True,
                    text=True,
                ).stdout.split()[-1]
            )
            for _ in range(3)
        ]
        growth[who] = statistics.median(runs)
    return {
        "what": f"memory that a pretraining step adds, {name}, float32",
        "ours": growth["bertlib"],
        "reference": growth["hugging_face"],
        "unit": "MB",
        "ratio": growth["hugging_face"] / growth["bertlib"],
    }


def kept() -> None:
    """Compare once more, in a process that keeps the memory it frees."""
    rows = []
    if keep_freed_memory():  # as the command of chapter 12 does
        for name in ("2 × 128", "4 × 256"):
            for dtype in (torch.float32, torch.bfloat16):
                row = compare(name, dtype)
                row["what"] += ", both keep freed memory"
                rows.append(row)
    print(json.dumps(rows))


def main() -> None:
    transformers.logging.set_verbosity_error()
    if sys.argv[1:2] == ["memory"]:
        print(memory(*sys.argv[2:]))
        return
    if sys.argv[1:] == ["kept"]:
        kept()
        return
    rows = []

    def add(*new: dict) -> None:
        for row in new:
            rows.append(row)
            print(f"{row['what']}: {row['ratio']:.2f}", flush=True)

    for name in SHAPES:
        for dtype in (torch.float32, torch.bfloat16):
            if name == "base" and dtype == torch.bfloat16:
                continue
            add(compare(name, dtype))
    done = subprocess.run(
        [sys.executable, __file__, "kept"],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    add(*json.loads(done.stdout.splitlines()[-1]))
    add(compare_memory("2 × 128"))
    for dtype in (torch.float32, torch.bfloat16):
        add(*tricks("2 × 128", dtype))
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
