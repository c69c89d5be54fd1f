"""What each switch of a training step gives, and where its time goes.

    python benchmarks/bench_scaling.py    # about 7 minutes, idle machine

The switches are turned on one after the other, from the plain way to all of
them. Each state lives in a process of its own, for some switches change the
C library, and the processes take turns. Beside "rows", the result holds what
chapter 18 draws: the ladder, the machine's peak and bandwidths, single
operations, times against length, width and batch, memory, and two processes.
"""

import contextlib
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from bench_pretraining import (
    all_places,
    batch,
    kernel_attention,
    ours,
    peak,
    resident,
    step,
    torch_dropout,
)
from torch import distributed
from torch import multiprocessing as mp
from torch.nn import functional as F

from bertlib.bert import BertConfig
from bertlib.checkpoint import from_pretrained
from bertlib.classification import length_batches
from bertlib.corpora import (
    data_folder,
    movie_review_sentences,
    state_of_the_union,
)
from bertlib.multihead import dropout
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import make_optimizer
from bertlib.pretraining import accumulate_gradients, keep_freed_memory
from bertlib.pretraining_data import (
    PretrainingBatch,
    _BatchMaker,
    make_pairs,
    write_shards,
)
from bertlib.scaling import operation_shares
from bertlib.wordpiece import BertTokenizer

SHAPE = "2 × 128"  # as bench_pretraining names it
TOKENS = 32 * 128
LADDER = (  # each state keeps what the ones before it have
    "the plain way",
    "vocabulary only where masked",
    "attention weights by hand",
    "16 random bits for dropout",
    "fused AdamW",
    "freed memory kept",
    "bfloat16",
    "no dropout",
)
TRIED = ("torch.compile", "float16", "four parts", "one thread")
TURNS, STEPS = 10, 3  # the first step of each turn is not counted
SLOW_TURNS = {"float16": 2}  # emulated, seconds a step
COMPILE_SECONDS = 150


def say(text: str) -> None:
    print(text, flush=True)


# --- a process for each state


def without_dropout(model: torch.nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "num_attention_heads"):
            module.dropout = 0.0


def one_step(state: str, level: int) -> Callable[[], None]:
    """A training step in a state; patches and settings are made before."""
    inputs = batch(SHAPE)
    model, optimizer = ours(SHAPE)
    if level < LADDER.index("fused AdamW"):
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    if level >= LADDER.index("no dropout"):
        without_dropout(model)
    dtype = torch.float32
    if level >= LADDER.index("bfloat16"):
        dtype = torch.bfloat16
    if state == "torch.compile":
        model = torch.compile(model)
    if state not in ("four parts", "float16"):
        return lambda: step(model, optimizer, inputs, dtype)

    whole = PretrainingBatch(attention_mask=None, **inputs)
    parts, scaler = [whole], torch.amp.GradScaler("cpu", enabled=False)
    if state == "float16":
        dtype, scaler = torch.float16, torch.amp.GradScaler("cpu")
    else:
        parts = [whole.rows(first, first + 8) for first in range(0, 32, 8)]

    def run() -> None:
        accumulate_gradients(model, parts, dtype, scaler)
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)

    return run


def seconds_of(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def serve(state: str) -> None:
    """Answer commands from stdin: a number of steps to time, or shares."""
    level = LADDER.index(state) if state in LADDER else len(LADDER) - 1
    with contextlib.ExitStack() as patches:
        if level < LADDER.index("vocabulary only where masked"):
            patches.enter_context(all_places())
        if level < LADDER.index("attention weights by hand"):
            patches.enter_context(kernel_attention())
        if level < LADDER.index("16 random bits for dropout"):
            patches.enter_context(torch_dropout())
        if level >= LADDER.index("freed memory kept"):
            keep_freed_memory()
        if state == "one thread":
            torch.set_num_threads(1)
        run = one_step(state, level)
        print(json.dumps(seconds_of(run)), flush=True)
        run()
        for line in sys.stdin:
            if line.strip() == "shares":
                answer = operation_shares(run)
            else:
                answer = []
                while len(answer) < int(line) and sum(answer) < 4:
                    answer.append(seconds_of(run))
            print(json.dumps(answer), flush=True)


class Server:
    """A process in one state; `first` is the time of its first step."""

    def __init__(self, state: str, folder: str, limit: float = 60.0):
        self.process = subprocess.Popen(
            [sys.executable, __file__, "serve", state],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"TORCHINDUCTOR_CACHE_DIR": folder},
        )
        watch = threading.Timer(limit, self.process.kill)
        watch.start()
        first = self.process.stdout.readline()
        watch.cancel()
        self.first = json.loads(first) if first else None

    def ask(self, command: object):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def summary(seconds: list[float]) -> dict:
    low, middle, high = statistics.quantiles(seconds, n=4)
    return {
        "seconds": middle, "low": low, "high": high, "steps": len(seconds)
    }  # fmt: skip


def ladder(folder: str) -> tuple[list[dict], dict, dict]:
    """Rows, medians of all states, and shares of time in some."""
    servers, first = {}, {}
    for state in (*TRIED, *LADDER):
        limit = COMPILE_SECONDS if state == "torch.compile" else 60
        server = Server(state, folder, limit)
        first[state] = server.first
        if server.first is None:
            say(f"{state}: failed, or not ready within {limit} s")
            server.stop()
        else:
            servers[state] = server
            say(f"{state}: first step {server.first:.2f} s")
    times = {state: [] for state in servers}
    order = list(servers)
    for turn in range(TURNS):
        for state in order:
            if turn >= SLOW_TURNS.get(state, TURNS):
                continue
            found = servers[state].ask(STEPS)
            times[state] += found[1:] if len(found) > 1 else found
        order.reverse()
    shares = {
        state: servers[state].ask("shares")
        for state in ("the plain way", "freed memory kept", "no dropout")
    }
    for server in servers.values():
        server.stop()
    states = {state: summary(found) for state, found in times.items()}
    for state, found in states.items():
        found["first"] = first[state]
    states |= {state: None for state in TRIED if state not in states}
    rows = []

    def add(name: str, state: str, before: str) -> None:
        if states[state] is None:
            return
        speed, reference = (
            TOKENS / states[s]["seconds"] for s in (state, before)
        )
        rows.append(
            {
                "what": f"step, {SHAPE}, {name}",
                "ours": speed,
                "reference": reference,
                "unit": "tokens/s",
                "ratio": speed / reference,
            }
        )
        say(f"{rows[-1]['what']}: {rows[-1]['ratio']:.2f}")

    for before, state in pairwise(LADDER):
        add(f"then {state}", state, before)
    add("all of these", LADDER[-1], LADDER[0])
    for state in TRIED:
        add(f"all of these and {state}", state, LADDER[-1])
    return rows, states, shares


# --- the machine, and single operations


def best_of(run: Callable[[], object], repeats: int = 9) -> float:
    run()
    return min(seconds_of(run) for _ in range(repeats))


def machine_limits() -> dict:
    """Operations a second in large products, bytes a second in copies."""
    peaks = {}
    for dtype in (torch.float32, torch.bfloat16):
        found = []
        for size in (512, 1024, 2048):
            a = torch.randn(size, size).to(dtype)
            out = torch.empty_like(a)
            seconds = best_of(lambda a=a, out=out: torch.mm(a, a, out=out))
            found.append(2 * size**3 / seconds)
        peaks[str(dtype).removeprefix("torch.")] = max(found)
    source, target = torch.ones(2**25), torch.zeros(2**25)
    copies = []
    for power in range(14, 26):
        a, b = source[: 2**power], target[: 2**power]
        seconds = best_of(lambda a=a, b=b: b.copy_(a), 15)
        copies.append({"bytes": 4 * 2**power, "rate": 8 * 2**power / seconds})
    return {"peak": peaks, "copies": copies}


def operations(width: int, rows: int, vocab: int) -> list[dict]:
    """Operations of a step: how many, bytes to move, seconds.

    What is not a product is counted roughly: a root, an exponential and an
    error function as one operation each.
    """
    length, head, inner = 128, 64, 4 * width
    tokens, heads, masked = rows * length, width // head, 19 * rows
    x, w = torch.randn(tokens, width), torch.randn(width, inner)
    f = torch.empty(tokens, inner)
    y, table = torch.randn(masked, width), torch.randn(vocab, width)
    logits = torch.empty(masked, vocab)
    q = torch.randn(rows * heads, length, head)
    scores = torch.empty(rows * heads, length, length)
    norm = torch.nn.LayerNorm(width)
    parameter = torch.nn.Parameter(torch.randn(12 * width, width))
    parameter.grad = torch.randn_like(parameter)
    adam = torch.optim.AdamW([parameter], fused=True)
    n, s, e, p = tokens * width, scores.numel(), f.numel(), parameter.numel()
    found = {
        "feed-forward product": (
            2 * n * inner, 4 * (n + w.numel() + e),
            lambda: torch.mm(x, w, out=f),
        ),
        "vocabulary product": (
            2 * masked * width * vocab,
            4 * (y.numel() + table.numel() + logits.numel()),
            lambda: torch.mm(y, table.T, out=logits),
        ),
        "attention scores": (
            2 * s * head, 4 * (2 * n + s),
            lambda: torch.bmm(q, q.transpose(1, 2), out=scores),
        ),
        "softmax": (5 * s, 8 * s, lambda: scores.softmax(-1)),
        "GELU": (5 * e, 8 * e, lambda: F.gelu(f)),
        "layer norm": (7 * n, 8 * n, lambda: norm(x)),
        "dropout": (3 * s, 8 * s, lambda: dropout(scores, 0.1)),
        "addition": (n, 8 * n, lambda: x + x),  # x is read once
        "AdamW": (14 * p, 28 * p, adam.step),
    }  # fmt: skip
    with torch.no_grad():
        return [
            {
                "name": name, "width": width, "operations": count,
                "bytes": size, "seconds": best_of(run, 15),
            }
            for name, (count, size, run) in found.items()
        ]  # fmt: skip


# --- time against length, width and batch


def curves() -> list[dict]:
    """Seconds of a whole step in float32, for many sizes."""
    # The smallest step: next to no arithmetic, only the calls.
    points = [("nothing", 8, 1, 8, p) for p in (0.0, 0.1)]
    for length in (32, 64, 128, 256, 512, 1024):
        for p in (0.0, 0.1):
            points.append(("length", 128, 4096 // length, length, p))
    for width in (64, 128, 256, 512, 768):
        points.append(("width", width, 8, 128, 0.0))
    for rows in (1, 2, 4, 8, 16, 32, 64):
        points.append(("batch", 128, rows, 128, 0.0))
    runs = []
    for _, width, rows, length, p in points:
        config = BertConfig(
            8192, width, 2, max(1, width // 64), 4 * width,
            hidden_dropout_prob=p, attention_probs_dropout_prob=p,
            max_position_embeddings=1024,
        )  # fmt: skip
        torch.manual_seed(0)
        model = BertForPreTraining(config).train()
        ids = torch.randint(5, 8192, (rows, length))
        labels = torch.full_like(ids, -100)
        count = round(0.15 * length)
        places = torch.rand(ids.shape).argsort(1)[:, :count]
        labels.scatter_(1, places, ids.gather(1, places))
        inputs = {
            "input_ids": ids,
            "token_type_ids": torch.zeros_like(ids),
            "labels": labels,
            "next_sentence_label": torch.zeros(rows, dtype=torch.long),
        }
        optimizer = make_optimizer(model, 1e-4)
        runs.append(
            lambda a=(model, optimizer, inputs): step(*a, torch.float32)
        )
    times = [[] for _ in runs]
    for turn in range(8):
        for run, seconds in zip(runs, times, strict=True):
            value = seconds_of(run)
            if turn:
                seconds.append(value)
    names = ("against", "width", "rows", "seq_len", "dropout")
    return [
        dict(zip(names, point, strict=True))
        | {"seconds": statistics.median(seconds)}
        for point, seconds in zip(points, times, strict=True)
    ]


# --- memory, and BERT-base


def one_memory(rows: int, p: float) -> None:
    """Print by how many bytes two steps make this process grow."""
    torch.manual_seed(0)
    model, optimizer = ours(SHAPE)
    if not p:
        without_dropout(model)
    inputs = {
        name: torch.cat([value] * (rows // 32 + 1))[:rows]
        for name, value in batch(SHAPE).items()
    }
    before = resident()
    for _ in range(2):
        step(model, optimizer, inputs, torch.float32)
    print((peak() - before) * 2**20)


def memory() -> list[dict]:
    found = []
    for p in (0.1, 0.0):
        for rows in (8, 32, 64):
            done = subprocess.run(
                [sys.executable, __file__, "memory", str(rows), str(p)],
                capture_output=True,
                check=True,
                text=True,
            )
            found.append(
                {
                    "rows": rows,
                    "dropout": p,
                    "growth": float(done.stdout.split()[-1]),
                }
            )
    return found


def base() -> dict[str, float]:
    """Tokens a second of BERT-base without dropout, 4 rows of 128."""
    inputs = {name: value[:2] for name, value in batch("base").items()}
    inputs = {name: torch.cat([v, v]) for name, v in inputs.items()}
    model, optimizer = ours("base")
    without_dropout(model)
    speeds = {}
    for dtype in (torch.float32, torch.bfloat16):
        step(model, optimizer, inputs, dtype)
        seconds = [
            seconds_of(lambda d=dtype: step(model, optimizer, inputs, d))
            for _ in range(3)
        ]
        name = str(dtype).removeprefix("torch.")
        speeds[name] = inputs["input_ids"].numel() / statistics.median(seconds)
    return speeds


# --- two processes


def one_reducer(rank: int, place: str) -> None:
    """Time the exchange of gradients of 2 × 128 and of BERT-base."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", f"file://{place}/meet", rank=rank, world_size=2
    )
    found = {}
    for name, count in ((SHAPE, 1_552_898), ("base", 110_106_428)):
        numbers = torch.ones(count)
        seconds = [
            seconds_of(lambda n=numbers: distributed.all_reduce(n))
            for _ in range(7)
        ]
        found[name] = {
            "bytes": 4 * count,
            "seconds": statistics.median(seconds[1:]),
        }
    if rank == 0:
        Path(place, "reduced.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


def run_seconds(folder: Path, corpus: Path, processes: int, threads: int):
    """Seconds a step of the command, from its log without its ends."""
    shutil.rmtree(folder, ignore_errors=True)
    arguments = [
        "-m", "bertlib.pretraining", "--out", str(folder), "--steps", "60",
        "--corpus", str(corpus), "--dtype", "bfloat16", "--device", "cpu",
        "--config", str(corpus.parent / "run.toml"),
    ]  # fmt: skip
    if processes > 1:
        arguments = [
            "-m", "torch.distributed.run", "--standalone",
            "--nproc-per-node", str(processes), *arguments,
        ]  # fmt: skip
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        capture_output=True,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    with (folder / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    seconds = {int(x["step"]): float(x["seconds"]) for x in lines}
    return (seconds[50] - seconds[10]) / 40


def two_processes(place: Path) -> dict:
    """Seconds a step of the same run, split differently over two cores."""
    corpus = place / "text"
    corpus.mkdir()
    for i, document in enumerate(state_of_the_union()[-40:]):
        (corpus / f"{i:02}.txt").write_text(document.text, "utf-8")
    (place / "run.toml").write_text(
        "seq_len = 128\nlog_every = 10\nevaluate_every = 1000\n"
        "evaluation_batches = 1\n[model]\nmax_position_embeddings = 128\n"
    )
    ways = {
        "one process, two threads": (1, 2),
        "two processes, one thread each": (2, 1),
        "one process, one thread": (1, 1),
    }
    times = {name: [] for name in ways}
    order = list(ways)
    for name in order + order[-2::-1]:
        times[name].append(run_seconds(place / "run", corpus, *ways[name]))
    mp.spawn(one_reducer, (str(place),), nprocs=2)
    reduced = json.loads((place / "reduced.json").read_text())
    return {
        "seconds": {name: min(found) for name, found in times.items()},
        "all_reduce": reduced,
    }


# --- rows of different lengths


def by_length(place: Path) -> dict:
    """Real tokens a second, rows in random order and by length."""
    home = data_folder() / "checkpoints" / "addresses-2x256"
    tokenizer = BertTokenizer.from_pretrained(home)
    shards = write_shards(
        state_of_the_union()[-60:], tokenizer, place / "shards", progress=False
    )
    rng = np.random.default_rng(0)
    pairs = make_pairs(shards, range(60), 128, rng)[:1600]
    lengths = pairs["a_length"] + pairs["b_length"] + 3
    make_batch = _BatchMaker(shards, tokenizer, 128)
    shuffled = np.array_split(rng.permutation(len(pairs)), len(pairs) // 32)
    orders = {
        "shuffled": shuffled,
        "by length": length_batches(lengths, 32, rng),
    }
    torch.manual_seed(0)
    config = BertConfig(
        8192, 128, 2, 2, 512,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    model = BertForPreTraining(config).train()
    optimizer = make_optimizer(model, 1e-4)
    result = {}
    for name, order in orders.items():
        batches = [vars(make_batch(pairs[rows], rng)) for rows in order]
        step(model, optimizer, batches[0], torch.bfloat16)
        seconds = sum(
            seconds_of(lambda b=b: step(model, optimizer, b, torch.bfloat16))
            for b in batches
        )
        places = sum(b["input_ids"].numel() for b in batches)
        result[f"pairs, {name}"] = {
            "padding": 1 - float(lengths.sum()) / places,
            "tokens_per_second": float(lengths.sum()) / seconds,
        }

    trained = from_pretrained(BertForPreTraining, home).eval()
    texts = [s.text for s in movie_review_sentences()[:3000]]
    sizes = np.array(
        [len(tokenizer.encode(t, max_length=128).ids) for t in texts]
    )
    orders = {
        "as they come": np.array_split(np.arange(3000), 94),
        "by length": length_batches(sizes, 32),
    }
    with torch.no_grad():
        for name, order in orders.items():
            batches = [
                tokenizer.encode_batch([texts[i] for i in rows], None, 128)
                for rows in order
            ]
            inputs = [
                (b.input_ids, b.token_type_ids, b.attention_mask)
                for b in batches
            ]
            trained.bert(*inputs[0])
            seconds = sum(
                seconds_of(lambda x=x: trained.bert(*x)) for x in inputs
            )
            places = sum(x[0].numel() for x in inputs)
            result[f"reviews, {name}"] = {
                "padding": 1 - float(sizes.sum()) / places,
                "tokens_per_second": float(sizes.sum()) / seconds,
            }
    return result


def rows_by_length(found: dict) -> list[dict]:
    rows = []
    for what, name, other in (
        ("training on pairs", "pairs, by length", "pairs, shuffled"),
        ("encoding reviews", "reviews, by length", "reviews, as they come"),
    ):
        ours_, reference = (
            found[key]["tokens_per_second"] for key in (name, other)
        )
        rows.append(
            {
                "what": f"{what}, batches by length against mixed ones",
                "ours": ours_,
                "reference": reference,
                "unit": "real tokens/s",
                "ratio": ours_ / reference,
            }
        )
    return rows


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2])
        return
    if sys.argv[1:2] == ["memory"]:
        one_memory(int(sys.argv[2]), float(sys.argv[3]))
        return
    start = time.perf_counter()

    def done(what: str) -> None:
        say(f"--- {what}: {time.perf_counter() - start:.0f} s so far")

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        rows, states, shares = ladder(str(place / "compiled"))
        done("ladder")
        processes = two_processes(place)
        done("two processes")
        sizes = memory()
        done("memory")
        keep_freed_memory()
        lengths = by_length(place)
        done("by length")
    rows += rows_by_length(lengths)
    alone, together, _ = processes["seconds"].values()
    rows.append(
        {
            "what": f"step, {SHAPE}, two processes against two threads",
            "ours": TOKENS / together,
            "reference": TOKENS / alone,
            "unit": "tokens/s",
            "ratio": alone / together,
        }
    )
    limits = machine_limits()
    done("machine")
    single = operations(128, 32, 8192) + operations(768, 4, 30522)
    done("operations")
    points = curves()
    done("curves")
    speeds = base()
    done("base")
    result = {
        "rows": rows,
        "ladder": states,
        "shares": shares,
        "machine": limits,
        "operations": single,
        "curves": points,
        "memory": sizes,
        "base": speeds,
        "processes": processes,
        "lengths": lengths,
        "threads": torch.get_num_threads(),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
