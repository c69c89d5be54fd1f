"""The tokenizer and its trainer against Hugging Face's, written in Rust.

    python benchmarks/bench_wordpiece.py [repetitions]

One thread on both sides, so processor time is measured: other programs on
the machine disturb it less. Every repetition starts with new tokenizers, so
with empty memories, and the sides take turns; medians are shown. Offsets and
word ids are read as lists on both sides.
"""

import os

# Read when the Rust library and torch start their threads.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"

import gc
import json
import sys
from collections.abc import Callable, Sequence
from statistics import median
from time import process_time

from tokenizers import BertWordPieceTokenizer, Tokenizer

from bertlib.corpora import minilm_folder, split_sentences, state_of_the_union
from bertlib.wordpiece import BertTokenizer, train_wordpiece

Encode = Callable[[str], object]
VOCAB_SIZE = 8192


def rust_encode() -> Encode:
    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer.encode


def our_encode() -> Encode:
    return BertTokenizer.from_pretrained(minilm_folder()).encode


def seconds(encode: Encode, texts: Sequence[str], places: bool) -> float:
    gc.collect()  # neither side pays for what the other left
    start = process_time()
    for text in texts:
        encoding = encode(text)
        _ = encoding.ids
        if places:
            _ = encoding.offsets, encoding.word_ids
    return process_time() - start


def rust_train(texts: Sequence[str]) -> None:
    BertWordPieceTokenizer(lowercase=True).train_from_iterator(
        texts, vocab_size=VOCAB_SIZE, min_frequency=2, show_progress=False
    )


def row(what: str, ours: float, reference: float, unit: str) -> dict:
    """One line of the table; a ratio above 1 means that bertlib is faster."""
    ratio = reference / ours if unit == "s" else ours / reference
    print(
        f"{what:44} bertlib {ours:6.2f}, Hugging Face {reference:6.2f} "
        f"{unit}: {ratio:.2f}",
        flush=True,
    )
    return {
        "what": what,
        "ours": round(ours, 3),
        "reference": round(reference, 3),
        "unit": unit,
        "ratio": round(ratio, 3),
    }


def main(repetitions: int) -> None:
    documents = [d.text for d in state_of_the_union()]
    quarter = documents[::4]
    samples = {
        "249 addresses": documents,
        "every fourth address": quarter,
        "its sentences": [s for d in quarter for s in split_sentences(d)],
    }
    rows = []
    for name, texts in samples.items():
        characters = sum(map(len, texts)) / 1e6
        for places in (False, True):
            rust, ours = [], []
            for _ in range(repetitions):
                rust.append(seconds(rust_encode(), texts, places))
                ours.append(seconds(our_encode(), texts, places))
            what = "ids, offsets and word ids" if places else "ids only"
            rows.append(
                row(
                    f"encode {name}, {what}",
                    characters / median(ours),
                    characters / median(rust),
                    "M characters/s",
                )
            )

    rust, ours = [], []
    for _ in range(repetitions):
        gc.collect()
        start = process_time()
        rust_train(documents)
        middle = process_time()
        train_wordpiece(documents, VOCAB_SIZE)
        rust.append(middle - start)
        ours.append(process_time() - middle)
    rows.append(
        row(
            f"learn {VOCAB_SIZE:,} pieces from 249 addresses",
            median(ours),
            median(rust),
            "s",
        )
    )
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
