"""Inference on the CPU: bertlib's BertModel against Hugging Face's (sdpa).

The same weights and inputs, without and with padding. Both models run in
every round, and take turns in going first, so that whatever else the machine
does meets both. Freed memory is kept (see `keep_freed_memory`): without that,
either model pays at random for large blocks that come and go, and the ratios
of the larger shapes moved by up to a tenth between runs. `ratio` is Hugging
Face's median time divided by bertlib's: above 1, bertlib is faster.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable

import torch
import transformers

from bertlib.bert import BertConfig, BertModel
from bertlib.checkpoint import save_pretrained
from bertlib.pretraining import keep_freed_memory

ROUNDS = 21
CONFIGS = {
    "tiny 2x128": BertConfig.tiny(),
    "MiniLM 6x384": BertConfig(30522, 384, 6, 12, 1536),
    "base, 4 of 12 layers": BertConfig.base(
        vocab_size=2000, num_hidden_layers=4
    ),
}
SHAPES = ((1, 16), (1, 128), (8, 64), (4, 256))  # (batch, seq)


def models(config: BertConfig) -> tuple[torch.nn.Module, torch.nn.Module]:
    """The same random weights in bertlib's and in Hugging Face's model."""
    ours = BertModel(config).eval()
    with tempfile.TemporaryDirectory() as folder:
        save_pretrained(ours, folder)
        theirs = transformers.BertModel.from_pretrained(
            folder, attn_implementation="sdpa"
        ).eval()
    return ours, theirs


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def measure(name: str, ours, theirs, batch: int, seq: int, padded: bool):
    """One row: median milliseconds of both, and their ratio."""
    ids = torch.randint(1, ours.config.vocab_size, (batch, seq))
    mask = torch.ones_like(ids)
    if padded:
        lengths = torch.linspace(seq // 2, seq, batch).long()
        mask = (torch.arange(seq) < lengths[:, None]).long()
    runs = {
        "bertlib": lambda: ours(ids, attention_mask=mask),
        "hugging_face": lambda: theirs(ids, attention_mask=mask),
    }
    results = {name: run().last_hidden_state for name, run in runs.items()}
    assert torch.allclose(*results.values(), atol=5e-5)
    times = {name: [] for name in runs}
    order = list(runs)
    for _ in range(ROUNDS):
        for run_name in order:
            times[run_name].append(seconds(runs[run_name]))
        order.reverse()
    medians = {k: 1e3 * statistics.median(v) for k, v in times.items()}
    return {
        "what": f"inference, {name}, batch {batch} × {seq}"
        + (", padded" if padded else ""),
        "ours": medians["bertlib"],
        "reference": medians["hugging_face"],
        "unit": "ms",
        "ratio": medians["hugging_face"] / medians["bertlib"],
    }


def main() -> None:
    keep_freed_memory()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    rows = []
    for name, config in CONFIGS.items():
        ours, theirs = models(config)
        for batch, seq in SHAPES:
            for padded in (False, True):
                with torch.inference_mode():
                    row = measure(name, ours, theirs, batch, seq, padded)
                rows.append(row)
                print(f"{row['what']}: {row['ratio']:.2f}", flush=True)
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
