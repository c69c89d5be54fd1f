"""Shards, pairs by Google's rules, masks, batches: counts and exactness."""

import json
import math
import subprocess
import sys
import time
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertlib import pretraining_data
from bertlib.corpora import Document, split_sentences, state_of_the_union
from bertlib.pretraining_data import (
    PAIR,
    PretrainingBatches,
    TokenShards,
    fixed_batches,
    make_pairs,
    mask_tokens,
    read_corpus,
    vocab_fingerprint,
    write_shards,
)
from bertlib.wordpiece import SPECIAL_TOKENS, BertTokenizer, train_wordpiece

unhooked = pytest.mark.unhooked


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    texts = [d.text for d in state_of_the_union()[::20]]
    return BertTokenizer(train_wordpiece(texts, 1500))


@pytest.fixture(scope="module")
def shards(tokenizer, tmp_path_factory) -> TokenShards:
    """Forty addresses in several shards."""
    folder = tmp_path_factory.mktemp("shards")
    documents = state_of_the_union()[::6]
    return write_shards(documents, tokenizer, folder, 2**17, progress=False)


def toy_tokenizer(words: int = 50) -> BertTokenizer:
    pieces = [*SPECIAL_TOKENS, ".", *(f"w{i}" for i in range(words))]
    return BertTokenizer({piece: i for i, piece in enumerate(pieces)})


def toy_shards(folder, lengths, **settings) -> TokenShards:
    """Documents whose sentences have these lengths (the stop included)."""
    documents = [
        Document(
            str(number),
            "",
            "\n\n".join("w1 " * (length - 1) + "." for length in document),
        )
        for number, document in enumerate(lengths)
    ]
    settings = {"progress": False, **settings}
    return write_shards(documents, toy_tokenizer(), folder, **settings)


def assert_near(found: float, chance: float, trials: int) -> None:
    """`found` of `trials` lie within five standard deviations."""
    deviation = math.sqrt(trials * chance * (1 - chance))
    assert abs(found - trials * chance) < 5 * deviation, (found, trials)


def assert_uniform(numbers, kinds: int) -> None:
    """Chi-square within five of its standard deviations."""
    counts = np.bincount(numbers, minlength=kinds)
    expected = len(numbers) / kinds
    statistic = ((counts - expected) ** 2).sum() / expected
    assert statistic < kinds - 1 + 5 * math.sqrt(2 * (kinds - 1)), counts


def same(first, second) -> bool:
    return all(
        a is b is None or torch.equal(a, b)
        for a, b in zip(
            vars(first).values(), vars(second).values(), strict=True
        )
    )


# --- files ------------------------------------------------------------------


def test_a_file_holds_documents_between_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffOne.\r\nTwo é.\n\n \t\n\nThree.\n".encode())
    found = list(read_corpus(path))
    assert [d.text for d in found] == ["One.\nTwo é.", "Three."]
    assert len({d.id for d in found}) == 2


def test_a_folder_holds_a_document_a_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "c.txt").write_text("C.\n\nStill C.")
    (tmp_path / "b" / "x.txt").write_text("X.")
    (tmp_path / "a.md").write_text("no")
    (tmp_path / "one").write_text("One.\n\nTwo.")
    found = list(read_corpus([tmp_path, str(tmp_path / "one")]))
    assert [(d.id, d.text) for d in found] == [
        ("b/x.txt", "X."),
        ("c.txt", "C.\n\nStill C."),
        ("one#0", "One."),
        ("one#1", "Two."),
    ]


def test_a_corpus_is_read_as_a_stream(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_bytes(b"First.\n\nSecond.\n\n\xff")
    documents = read_corpus(path)
    assert next(documents).text == "First."  # before the damage is seen
    assert next(documents).text == "Second."
    with pytest.raises(ValueError, match="line 5, byte 17: 0xff"):
        next(documents)


@unhooked
@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"ok\nna\xefve\n", "line 2, byte 5: 0xef"),
        (b"ok\r\n\r\ncut \xe2\x82", "line 3, byte 10: 0xe2"),
        (b"\x80", "line 1, byte 0: 0x80"),
    ],
)
@pytest.mark.parametrize("inside", [True, False])
def test_bad_utf8_is_located(tmp_path, content, place, inside) -> None:
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.txt, {place}"):
        list(read_corpus(tmp_path if inside else path))


@unhooked
def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_corpus(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no \*\.txt"):
        read_corpus(tmp_path)
    with pytest.raises(ValueError, match="paths is empty"):
        read_corpus([])
    (tmp_path / "blank").write_text("\n \n")
    with pytest.raises(ValueError, match="blank holds no text"):
        list(read_corpus(tmp_path / "blank"))


# --- shards -----------------------------------------------------------------


def test_shards_hold_every_sentence(shards, tokenizer) -> None:
    documents = state_of_the_union()[::6]
    assert shards.num_documents == len(documents)
    sentences = 0
    for number, document in enumerate(documents):
        expected = [
            tokenizer.encode(sentence).ids[1:-1]
            for sentence in split_sentences(document.text)
        ]
        found = shards.segments(number)
        assert [s.tolist() for s in found] == expected
        assert shards.document_lengths[number] == sum(map(len, expected))
        sentences += len(expected)
    assert shards.num_segments == sentences
    assert shards.num_tokens == shards.document_lengths.sum()
    assert shards.vocab_size == len(tokenizer.pieces)
    assert shards.fingerprint == vocab_fingerprint(tokenizer)
    assert len(np.unique(shards.shard_of(np.arange(len(documents))))) > 2


@given(
    st.lists(
        st.lists(st.integers(1, 9), min_size=1, max_size=6),
        min_size=1,
        max_size=12,
    ),
    st.integers(1, 40),
)
def test_shards_of_any_size(tmp_path_factory, lengths, shard_tokens) -> None:
    folder = tmp_path_factory.mktemp("any")
    shards = toy_shards(folder, lengths, shard_tokens=shard_tokens)
    found = [
        [len(s) for s in shards.segments(number)]
        for number in range(shards.num_documents)
    ]
    assert found == lengths
    places = [shards.boundaries(n) for n in range(shards.num_documents)]
    assert places[0][0] == 0 and places[-1][-1] == shards.num_tokens
    for left, right in pairwise(places):
        assert left[-1] == right[0]


def test_numbers_need_no_more_bytes_than_the_vocabulary(tmp_path) -> None:
    document = Document("0", "", "w1 w69999.")
    for words, dtype in ((2**16 - 6, "uint16"), (70_000, "uint32")):
        tokenizer = toy_tokenizer(words)
        folder = tmp_path / dtype
        shards = write_shards([document], tokenizer, folder, progress=False)
        (ids,) = shards.segments(0)
        assert ids.dtype == dtype
        assert ids.tolist() == tokenizer.encode(document.text).ids[1:-1]


def test_empty_ones_are_left_out_and_counted(tmp_path, capsys) -> None:
    texts = ["w1 w2.\n\n\u200b\n\nw3.", " \n", "\u200b", "w4."]
    documents = [Document(str(i), "", text) for i, text in enumerate(texts)]
    shards = write_shards(documents, toy_tokenizer(), tmp_path)
    assert shards.num_documents == 2 and shards.num_segments == 3
    assert capsys.readouterr().out == (
        "2 documents, 3 sentences, 7 tokens in 1 shard(s); left out as "
        "empty: 2 documents, 2 sentences\n"
    )


def test_writing_again_replaces_the_old(tmp_path: Path) -> None:
    toy_shards(tmp_path, [[5]] * 9, shard_tokens=5)
    (tmp_path / "notes.txt").write_text("mine")
    shards = toy_shards(tmp_path, [[3], [4]])
    assert shards.num_tokens == 7
    assert {p.name for p in tmp_path.iterdir()} == {
        "notes.txt",
        "shards.json",
        "shard-00000.tokens",
        "shard-00000.segments",
        "shard-00000.documents",
    }


@unhooked
def test_a_writing_that_broke_off_is_not_opened(tmp_path: Path) -> None:
    toy_shards(tmp_path, [[3], [4]])

    def documents():
        yield Document("0", "", "w1.")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        write_shards(documents(), toy_tokenizer(), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"shards\.json is missing"):
        TokenShards(tmp_path)


@unhooked
@pytest.mark.parametrize("end", ["tokens", "segments", "documents"])
@pytest.mark.parametrize("change", [b"", b"1234567890" * 20, None])
def test_a_damaged_shard_is_named(tmp_path, end, change) -> None:
    toy_shards(tmp_path, [[3], [4], [5]], shard_tokens=6)
    path = tmp_path / f"shard-00001.{end}"
    if change is None:
        path.unlink()
        error = FileNotFoundError
    else:
        path.write_bytes(change)
        error = ValueError
    with pytest.raises(error, match=rf"shard-00001\.{end}"):
        TokenShards(tmp_path)


@unhooked
@pytest.mark.parametrize("end", ["segments", "documents"])
def test_wrong_offsets_are_named(tmp_path: Path, end: str) -> None:
    toy_shards(tmp_path, [[3], [4]])
    path = tmp_path / f"shard-00000.{end}"
    path.write_bytes(bytes(len(path.read_bytes())))
    with pytest.raises(ValueError, match=rf"shard-00000\.{end} runs from"):
        TokenShards(tmp_path)


@unhooked
@pytest.mark.parametrize("field", ["dtype", "shards", "vocab_size"])
def test_a_damaged_description_is_named(tmp_path: Path, field: str) -> None:
    toy_shards(tmp_path, [[3], [4]])
    path = tmp_path / "shards.json"
    about = json.loads(path.read_text())
    del about[field]
    for text in (json.dumps(about), path.read_text()[:-9], "", "[]"):
        path.write_text(text)
        with pytest.raises(ValueError, match=r"shards\.json is damaged"):
            TokenShards(tmp_path)


@unhooked
def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    for documents in ([], [Document("0", "", " ")]):
        with pytest.raises(ValueError, match="corpus is empty"):
            write_shards(documents, toy_tokenizer(), tmp_path)
    with pytest.raises(ValueError, match="shard_tokens"):
        toy_shards(tmp_path, [[3]], shard_tokens=0)


MEMORY = """
import resource, sys, tempfile
from bertlib.corpora import state_of_the_union
from bertlib.pretraining_data import PretrainingBatches, write_shards
from bertlib.wordpiece import BertTokenizer

def peak():  # megabytes
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6

documents = state_of_the_union()
tokenizer = BertTokenizer.from_pretrained(sys.argv[1])
for times in (1, 10):
    with tempfile.TemporaryDirectory() as folder:
        corpus = (d for _ in range(times) for d in documents)
        shards = write_shards(corpus, tokenizer, folder, 2**22, False)
        batches = PretrainingBatches(shards, tokenizer, 32, 128, seed=0)
        for _ in range(100):
            next(batches)
        print(shards.num_tokens, peak())
"""


def test_memory_is_flat(tokenizer, tmp_path: Path) -> None:
    """A corpus ten times as large: the peak grows by less than 200 MB."""
    tokenizer.save_pretrained(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
    )
    (tokens, before), (more, after) = (
        map(float, line.split()) for line in done.stdout.splitlines()
    )
    assert more == 10 * tokens
    assert after - before < 200


# --- pairs ------------------------------------------------------------------


def google_chunks(lengths, target, draw):
    """The places that Google's script cuts at, with lists as it does."""
    chunks, chunk, length, i = [], [], 0, 0
    while i < len(lengths):
        chunk.append(i)
        length += lengths[i]
        if i == len(lengths) - 1 or length >= target:
            a_end = 1
            if len(chunk) >= 2:
                a_end = 1 + int(draw() * (len(chunk) - 1))
            is_random = len(chunk) == 1 or draw() < 0.5
            if is_random:
                i -= len(chunk) - a_end
            chunks.append((chunk[:a_end], chunk[a_end:], is_random))
            chunk, length = [], 0
        i += 1
    return chunks


def google_truncate(a: list, b: list, room: int, draw) -> None:
    while len(a) + len(b) > room:
        longer = a if len(a) > len(b) else b
        if draw() < 0.5:
            del longer[0]
        else:
            longer.pop()


@pytest.mark.parametrize("max_length", [8, 21, 64, 128, 512])
def test_cuts_are_google_s(shards: TokenShards, max_length: int) -> None:
    """The same random numbers: the same A, the same true B, cut alike."""
    room = max_length - 3
    documents = np.arange(shards.num_documents)
    pairs = make_pairs(shards, documents, max_length, np.random.default_rng(7))
    draw = np.random.default_rng(7).random
    number = dropped = front = 0
    for document in documents.tolist():
        places = shards.boundaries(document)
        target = room
        if draw() < 0.1:
            target = 2 + int(draw() * (room - 1))
        for a, b, is_random in google_chunks(np.diff(places), target, draw):
            pair = pairs[number]
            number += 1
            assert pair["is_random"] == is_random
            token_a = list(range(places[a[0]], places[a[-1] + 1]))
            if is_random:
                assert token_a[0] <= pair["a_start"]
                end = pair["a_start"] + pair["a_length"]
                assert end <= token_a[-1] + 1
                continue
            token_b = list(range(places[b[0]], places[b[-1] + 1]))
            starts = token_a[0], token_b[0]
            long = len(token_a) + len(token_b)
            google_truncate(token_a, token_b, room, lambda: 1)
            assert pair["a_length"] == len(token_a)
            assert pair["b_length"] == len(token_b)
            dropped += max(0, long - room)
            front += pair["a_start"] + pair["b_start"] - sum(starts)
    assert number == len(pairs)
    assert_near(front, 0.5, dropped)  # the coin


def test_pairs_fit_and_lie_in_documents(shards: TokenShards) -> None:
    documents = np.arange(3, 30)
    pairs = make_pairs(shards, documents, 128, np.random.default_rng(0))
    assert pairs.dtype == PAIR
    assert (pairs["a_length"] + pairs["b_length"]).max() == 125
    assert min(pairs["a_length"].min(), pairs["b_length"].min()) >= 1
    starts = [shards.boundaries(n)[0] for n in range(shards.num_documents)]
    which = {}
    for side in "ab":
        start, length = pairs[f"{side}_start"], pairs[f"{side}_length"]
        which[side] = np.searchsorted(starts, start, "right") - 1
        last = np.searchsorted(starts, start + length - 1, "right") - 1
        assert (which[side] == last).all()
        assert np.isin(which[side], documents).all()
    # A random next comes from another document, a true one from the same.
    assert ((which["a"] != which["b"]) == pairs["is_random"]).all()


def test_the_random_next_can_be_any_segment(tmp_path: Path) -> None:
    """Nothing is dropped: B runs from a uniform segment to the end."""
    shards = toy_shards(tmp_path, [[3] * 8] * 6, shard_tokens=50)
    rng = np.random.default_rng(1)
    pairs = np.concatenate(
        [make_pairs(shards, range(6), 512, rng, 0.0) for _ in range(600)]
    )
    random = pairs[pairs["is_random"]]
    document, place = np.divmod(random["b_start"], 24)
    own = random["a_start"] // 24
    assert (document != own).all()
    assert_uniform((document - own) % 6 - 1, 5)
    assert (place % 3 == 0).all()
    assert_uniform(place // 3, 8)
    assert (random["b_length"] == 24 - place).all()


def test_the_random_next_aims_at_the_target(tmp_path: Path) -> None:
    """Segments are added until A and B reach the target, no further."""
    shards = toy_shards(tmp_path, [[4] * 50] * 5)
    rng = np.random.default_rng(1)
    pairs = make_pairs(shards, range(5), 43, rng, 0.0)  # 40 = 10 segments
    total = pairs["a_length"] + pairs["b_length"]
    last = np.isin(pairs["b_start"] + pairs["b_length"], range(200, 1001, 200))
    assert (total[pairs["is_random"] & ~last] == 40).all()


def test_unused_segments_are_put_back(tmp_path: Path) -> None:
    """Each segment occurs once as an A or as what truly follows."""
    lengths = np.random.default_rng(2).integers(1, 9, (20, 40)).tolist()
    shards = toy_shards(tmp_path, lengths)
    # So short that nothing is dropped: a chunk has at most 12 + 8 tokens.
    rng = np.random.default_rng(3)
    pairs = make_pairs(shards, range(20), 512, rng, 1.0)
    pairs = pairs[pairs["a_length"] + pairs["b_length"] < 509]
    seen = np.zeros(shards.num_tokens, int)
    for pair in pairs:
        a, b = pair["a_start"], pair["b_start"]
        seen[a : a + pair["a_length"]] += 1
        if not pair["is_random"]:
            assert b == a + pair["a_length"]
            seen[b : b + pair["b_length"]] += 1
    assert (seen == 1).all()


def test_a_chunk_of_one_segment_gets_a_random_next(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[30] * 20] * 3)
    pairs = make_pairs(shards, range(3), 16, np.random.default_rng(0))
    assert len(pairs) == 60 and pairs["is_random"].all()
    assert (pairs["a_length"] == 7).all() and (pairs["b_length"] == 6).all()


def test_half_of_the_others_are_random(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[2, 2]] * 4000)
    pairs = make_pairs(shards, range(4000), 64, np.random.default_rng(0), 0.0)
    # One pair from a document whose coin says next; otherwise the second
    # sentence is put back and makes a pair of its own, always random.
    first = pairs[pairs["a_start"] % 4 == 0]
    assert len(first) == 4000
    assert_near(first["is_random"].sum(), 0.5, 4000)
    assert len(pairs) == 4000 + first["is_random"].sum()


def test_a_tenth_of_the_documents_aims_shorter(tmp_path: Path) -> None:
    """The target is uniform in 2 … room, one for all pairs of a document."""
    shards = toy_shards(tmp_path, [[1] * 10] * 5000)
    pairs = make_pairs(shards, range(5000), 13, np.random.default_rng(0))
    total = pairs["a_length"] + pairs["b_length"]
    first = (pairs["a_start"] % 10 == 0) & ~pairs["is_random"]
    target = total[first]
    # Half of the first pairs are true; the short targets 2 … 9 show.
    assert_near((target < 10).sum(), 0.1 * 8 / 9, len(target))
    assert_uniform(target[target < 10] - 2, 8)


@given(st.integers(1, 40), st.integers(1, 40), st.integers(5, 30))
def test_room_is_shared_as_google_shares_it(a, b, room) -> None:
    kept = pretraining_data._share_room(np.array(a), np.array(b), room)
    tokens = list(range(a)), list(range(b))
    google_truncate(*tokens, room, lambda: 0)
    assert [int(k) for k in kept] == [len(t) for t in tokens]


@unhooked
def test_pairs_refuse_what_cannot_be(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[3, 3], [4, 4], [5]])
    rng = np.random.default_rng(0)
    for documents, length, message in (
        ([0, 1], 7, "max_length must be at least 8, not 7"),
        ([], 64, "documents is empty"),
        ([0, 3], 64, "0 … 2, found 0 … 3"),
        ([-1, 1], 64, "found -1 … 1"),
        ([1], 64, "one document"),
        ([1, 1], 64, "one document"),
    ):
        with pytest.raises(ValueError, match=message):
            make_pairs(shards, documents, length, rng)
    assert len(make_pairs(shards, [1], 64, rng, others=np.array([0, 1])))
    with pytest.raises(IndexError, match="document 3"):
        shards.segments(3)


# --- masks ------------------------------------------------------------------


def masked_rows(rows=4000, seq=40, vocab=500, seed=0, **settings):
    rng = np.random.default_rng(seed)
    ids = rng.integers(5, vocab, (rows, seq))
    maskable = np.ones((rows, seq), bool)
    maskable[:, [0, 20, -1]] = False
    masked, labels = mask_tokens(ids, maskable, vocab, 4, rng, **settings)
    return ids, maskable, masked, labels


def test_eighty_ten_ten() -> None:
    ids, maskable, masked, labels = masked_rows()
    chosen = labels != -100
    assert (labels[chosen] == ids[chosen]).all()
    assert (masked[~chosen] == ids[~chosen]).all()
    assert not (chosen & ~maskable).any()
    total = chosen.sum()
    hidden = (masked == 4)[chosen].sum()
    kept = (masked == ids)[chosen].sum()
    assert_near(hidden, 0.8 + 0.1 / 500, total)
    assert_near(kept, 0.1 + 0.1 / 500, total)
    other = masked[chosen & (masked != 4) & (masked != ids)]
    assert_uniform(masked[chosen & (masked != 4)], 500)  # as ids, uniform
    assert (other < 5).any()  # special tokens are in the vocabulary too


def test_every_place_is_chosen_alike() -> None:
    _, maskable, _, labels = masked_rows(rows=8000)
    counts = (labels != -100).sum(0)
    assert (counts[~maskable[0]] == 0).all()
    places = np.nonzero(labels != -100)[1]
    rank = np.cumsum(maskable[0]) - 1
    assert_uniform(rank[places], int(maskable[0].sum()))


@pytest.mark.parametrize("cap", [None, 1, 5, 20])
@pytest.mark.parametrize("probability", [0.15, 0.4])
def test_the_number_of_predictions(cap, probability) -> None:
    """As Python's round, which takes 2.5 to 2; with a row of every length."""
    rng = np.random.default_rng(0)
    lengths = np.arange(4, 301)
    columns = np.arange(300)
    maskable = (columns > 0) & (columns < lengths[:, None] - 1)
    ids = rng.integers(5, 99, maskable.shape)
    _, labels = mask_tokens(
        ids, maskable, 99, 4, rng, probability, cap, lengths=lengths
    )
    expected = [max(1, round(n * probability)) for n in lengths.tolist()]
    if cap is not None:
        expected = [min(cap, number) for number in expected]
    assert (labels != -100).sum(1).tolist() == expected


def test_rows_with_too_few_places() -> None:
    ids = np.full((3, 10), 7)
    maskable = np.zeros((3, 10), bool)
    maskable[1, 3], maskable[2, 3:5] = True, True
    for continuation in (None, np.zeros(9, bool)):
        _, labels = mask_tokens(
            ids,
            maskable,
            9,
            4,
            np.random.default_rng(0),
            0.5,
            continuation=continuation,
        )
        assert (labels != -100).sum(1).tolist() == [0, 1, 2]


def test_whole_words() -> None:
    """All pieces of a word or none; at most the number; nearly always it."""
    rng = np.random.default_rng(0)
    vocab, rows, seq = 100, 500, 64
    continuation = np.arange(vocab) >= 60  # 40 % of pieces
    ids = rng.integers(5, vocab, (rows, seq))
    maskable = np.ones((rows, seq), bool)
    maskable[:, [0, 30, -1]] = False
    masked, labels = mask_tokens(
        ids, maskable, vocab, 4, rng, continuation=continuation
    )
    chosen = labels != -100
    assert (labels[chosen] == ids[chosen]).all()
    assert not (chosen & ~maskable).any()
    counts = chosen.sum(1)
    assert counts.max() == 10 and (counts == 10).mean() > 0.9
    joined = continuation[ids[:, 1:]] & maskable[:, 1:] & maskable[:, :-1]
    assert (chosen[:, 1:] == chosen[:, :-1])[joined].all()
    assert_near((masked == 4)[chosen].sum(), 0.801, chosen.sum())


def test_a_word_that_overflows_is_passed_over() -> None:
    ids = np.array([[9, 9, 9, 9, 9, 9, 9, 9, 1, 1]])  # a word of 8, and two
    maskable = np.ones(ids.shape, bool)
    continuation = np.array([False] * 9 + [True])
    ids[0, 0] = 2
    for seed in range(20):
        _, labels = mask_tokens(
            ids,
            maskable,
            10,
            4,
            np.random.default_rng(seed),
            continuation=continuation,
        )
        assert (labels[0] != -100).tolist() == [False] * 8 + [True] * 2


@unhooked
def test_masks_refuse_what_cannot_be() -> None:
    ids = np.zeros((2, 8), int)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="maskable must have the shape"):
        mask_tokens(ids, np.ones((2, 7), bool), 9, 4, rng)
    for name, value in (
        ("probability", 0.0),
        ("probability", 1.5),
        ("max_predictions", 0),
    ):
        with pytest.raises(ValueError, match=name):
            mask_tokens(ids, np.ones((2, 8), bool), 9, 4, rng, **{name: value})


# --- batches ----------------------------------------------------------------


def test_a_batch_is_what_the_pairs_say(shards, tokenizer) -> None:
    batch = next(PretrainingBatches(shards, tokenizer, 32, 128, seed=3))
    original = torch.where(
        batch.labels == -100, batch.input_ids, batch.labels
    ).tolist()
    text = np.concatenate(
        [s for n in range(shards.num_documents) for s in shards.segments(n)]
    )
    windows = text.astype("<u2").tobytes()
    cls, sep, pad = (tokenizer.vocab[f"[{n}]"] for n in ("CLS", "SEP", "PAD"))
    assert batch.input_ids.shape == (32, 128)
    for row in range(32):
        length = 128
        if batch.attention_mask is not None:
            length = int(batch.attention_mask[row].sum())
        ids, padding = original[row][:length], original[row][length:]
        assert set(padding) <= {pad}
        assert (batch.labels[row, length:] == -100).all()
        assert ids[0] == cls and ids[-1] == sep and ids.count(sep) == 2
        middle = ids.index(sep) + 1
        expected = [0] * middle + [1] * (length - middle)
        types = batch.token_type_ids[row].tolist()
        assert types == expected + [0] * (128 - length)
        a, b = ids[1 : middle - 1], ids[middle:-1]
        for part in (a, b):
            assert np.array(part, "<u2").tobytes() in windows
        follows = np.array(a + b, "<u2").tobytes() in windows
        if batch.next_sentence_label[row]:
            assert not follows
        count = int((batch.labels[row] != -100).sum())
        assert count == max(1, round(length * 0.15))


def test_rows_are_no_longer_than_needed(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[4, 4]] * 8)
    batch = next(PretrainingBatches(shards, toy_tokenizer(), 4, 64, seed=0))
    assert batch.input_ids.shape == (4, 16)  # a random B may be 8 long
    assert set(batch.attention_mask.sum(1).tolist()) == {11, 15}
    shards = toy_shards(tmp_path, [[9] * 9] * 8)
    batch = next(PretrainingBatches(shards, toy_tokenizer(), 4, 13, seed=0))
    assert batch.input_ids.shape[1] == 13  # not 16


def test_no_mask_where_nothing_is_padded(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[40] * 9] * 8)
    batch = next(PretrainingBatches(shards, toy_tokenizer(), 4, 64, seed=0))
    assert batch.attention_mask is None
    assert batch.to("cpu").attention_mask is None


def some(batches, number=30):
    return [next(batches) for _ in range(number)]


@pytest.mark.parametrize("duplicates", [None, 2])
@pytest.mark.parametrize("whole_word", [False, True])
def test_same_seed_same_batches(
    shards, tokenizer, duplicates, whole_word
) -> None:
    def make(seed):
        return PretrainingBatches(
            shards,
            tokenizer,
            16,
            64,
            seed,
            duplicates=duplicates,
            whole_word=whole_word,
        )

    first, second, other = some(make(5)), some(make(5)), some(make(6))
    assert all(map(same, first, second))
    assert not any(map(same, first, other))


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretraining_data, "_BLOCK_TOKENS", 2**15)


def test_resume_anywhere(shards, tokenizer, small_blocks) -> None:
    """Through blocks and epochs, also by way of JSON."""

    def make():
        return PretrainingBatches(
            shards, tokenizer, 32, 128, 1, documents=range(0, 40, 4)
        )

    batches, states, seen = make(), [], []
    while batches.state()["epoch"] < 3:
        states.append(json.loads(json.dumps(batches.state())))
        seen.append(next(batches))
    assert len({(s["epoch"], s["block"]) for s in states}) > 6
    rng = np.random.default_rng(0)
    for number in rng.choice(len(states) - 2, 12, replace=False):
        resumed = make()
        resumed.load_state(states[number])
        assert resumed.state() == states[number]
        assert same(next(resumed), seen[number])
        assert same(next(resumed), seen[number + 1])


@pytest.mark.parametrize("world_size", [2, 4, 16])
def test_ranks_share_the_global_batch(shards, tokenizer, world_size) -> None:
    def make(**settings):
        return PretrainingBatches(
            shards, tokenizer, 16, 64, 2, max_predictions=5, **settings
        )

    whole = make()
    ranks = [make(rank=r, world_size=world_size) for r in range(world_size)]
    for _ in range(5):
        parts = [vars(next(rank)) for rank in ranks]
        for name, value in vars(next(whole)).items():
            found = [part[name] for part in parts]
            if value is None:
                assert set(found) == {None}
            else:
                assert torch.equal(torch.cat(found), value)
    assert len({json.dumps(rank.state()) for rank in [whole, *ranks]}) == 1


def epoch_of(batches, epoch):
    """The batches of one epoch, as bytes."""
    batches.load_state({**batches.state(), "epoch": epoch, "batch": 0})
    found = []
    while batches.state()["epoch"] == epoch:
        batch = next(batches)
        found.append(batch.input_ids.numpy().tobytes())
        if batches.state()["batch"] == len(batches._order):
            break
    return found


def test_static_copies_come_round(shards, tokenizer) -> None:
    batches = PretrainingBatches(shards, tokenizer, 32, 128, 0, duplicates=2)
    copies = [epoch_of(batches, epoch) for epoch in range(5)]
    assert set(copies[0]) == set(copies[2]) == set(copies[4])
    assert set(copies[1]) == set(copies[3])
    assert not set(copies[0]) & set(copies[1])
    assert copies[0] != copies[2]  # the same batches in a new order
    batches = PretrainingBatches(shards, tokenizer, 32, 128, 0)
    copies = [epoch_of(batches, epoch) for epoch in range(3)]
    assert not set(copies[0]) & set(copies[1])
    assert not set(copies[0]) & set(copies[2])


def test_an_epoch_reads_every_document(tmp_path, monkeypatch) -> None:
    """A block a few documents, all blocks once an epoch."""
    monkeypatch.setattr(pretraining_data, "_BLOCK_TOKENS", 500)
    pieces = [*SPECIAL_TOKENS, ".", *(f"w{i}" for i in range(60))]
    tokenizer = BertTokenizer({piece: i for i, piece in enumerate(pieces)})
    documents = [
        Document(str(i), "", "\n\n".join([f"w{i} " * 4 + "."] * 20))
        for i in range(60)
    ]
    shards = write_shards(documents, tokenizer, tmp_path, 900, progress=False)
    used = list(range(0, 60, 2))
    batches = PretrainingBatches(
        shards, tokenizer, 4, 32, 0, documents=np.array(used)
    )
    seen: dict[int, dict[int, set[int]]] = {0: {}, 1: {}}
    while True:
        batch = next(batches)
        state = batches.state()
        if state["epoch"] == 2:
            break
        ids = torch.where(batch.labels == -100, batch.input_ids, batch.labels)
        words = ids[:, 1:3].amax(1) - 6  # not the stop, if A starts with it
        block = seen[state["epoch"]].setdefault(state["block"], set())
        block.update(words.tolist())
    for blocks in seen.values():
        assert sorted(chain.from_iterable(blocks.values())) == used
    first, second = ([*blocks.values()] for blocks in seen.values())
    assert len(first) > 3 and first != second
    assert set(map(frozenset, first)) == set(map(frozenset, second))


@given(st.lists(st.integers(1, 50), min_size=1, max_size=40))
def test_blocks_cover_all_documents(lengths: list[int]) -> None:
    blocks = pretraining_data._cut_blocks(np.array(lengths), 60)
    assert blocks[0][0] == 0 and blocks[-1][1] == len(lengths)
    for left, right in pairwise(blocks):
        assert left[1] == right[0]
    if sum(lengths) >= 60:
        assert all(60 <= sum(lengths[a:b]) < 170 for a, b in blocks)


def test_a_corpus_smaller_than_a_batch(tmp_path: Path) -> None:
    """It is passed over again until a batch is full."""
    shards = toy_shards(tmp_path, [[3, 3], [4]])
    batches = PretrainingBatches(shards, toy_tokenizer(), 64, 16, seed=0)
    assert [len(b.input_ids) for b in some(batches, 3)] == [64] * 3


def test_different_purposes_draw_different_numbers(shards, tokenizer) -> None:
    """NumPy takes the seeds [1, 2] and [1, 2, 0] for the same."""
    batches = PretrainingBatches(shards, tokenizer, 4, 16, seed=1)
    drawn = {
        batches._rng(purpose, *places).random()
        for purpose in range(4)
        for places in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))
    }
    assert len(drawn) == 16


def test_fixed_batches(shards, tokenizer) -> None:
    held_out = [1, 4, 7]
    batches = fixed_batches(shards, tokenizer, 16, 64, 0, held_out)
    again = fixed_batches(shards, tokenizer, 16, 64, 0, held_out)
    assert all(map(same, batches, again))
    rng = np.random.default_rng(0)
    pairs = make_pairs(shards, held_out, 64, rng)
    assert sum(len(b.input_ids) for b in batches) == len(pairs)
    assert {len(b.input_ids) for b in batches[:-1]} == {16}
    labels = torch.cat([b.next_sentence_label for b in batches])
    assert labels.tolist() == pairs["is_random"].tolist()


def test_a_batch_takes_less_than_three_milliseconds(shards, tokenizer) -> None:
    batches = PretrainingBatches(shards, tokenizer, 32, 128, seed=0)
    next(batches)
    seconds = []
    for _ in range(60):
        start = time.perf_counter()
        next(batches)
        seconds.append(time.perf_counter() - start)
    assert sorted(seconds)[30] < 0.003  # the hook makes it slower


@unhooked
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"seq_len": 7}, "seq_len must be at least 8, not 7"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"world_size": 0}, "world_size must be at least 1"),
        ({"rank": 2, "world_size": 2}, "rank must lie in 0 … 1, not 2"),
        ({"world_size": 3}, "8 is not a multiple of world_size 3"),
        ({"duplicates": 0}, "duplicates must be at least 1"),
        ({"max_predictions": 0}, "max_predictions must be at least 1"),
        ({"documents": [0, 40]}, "documents must lie in 0 … 2"),
        ({"documents": []}, "documents is empty"),
        ({"documents": [1]}, "one document"),
        ({"tokenizer": toy_tokenizer(51)}, "another vocabulary"),
    ],
)
def test_batches_refuse_what_cannot_be(tmp_path, settings, message) -> None:
    shards = toy_shards(tmp_path, [[3, 3], [4, 4], [5]])
    usual = {
        "tokenizer": toy_tokenizer(),
        "batch_size": 8,
        "seq_len": 16,
        "seed": 0,
    }
    with pytest.raises(ValueError, match=message):
        PretrainingBatches(shards, **{**usual, **settings})


@unhooked
def test_a_state_from_elsewhere_is_refused(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[3, 3], [4, 4], [5]])
    batches = PretrainingBatches(shards, toy_tokenizer(), 8, 16, 0)
    next(batches)
    state = batches.state()
    for change in ({"epoch": -1}, {"block": 1}, {"batch": 99}, {"seed": 1}):
        with pytest.raises(ValueError, match=r"state"):
            batches.load_state({**state, **change})
        assert batches.state() == state
    with pytest.raises(ValueError, match="entries"):
        batches.load_state({"seed": 0})


@unhooked
def test_fixed_batches_refuse_what_cannot_be(tmp_path: Path) -> None:
    shards = toy_shards(tmp_path, [[3, 3], [4, 4], [5]])
    with pytest.raises(ValueError, match="batch_size"):
        fixed_batches(shards, toy_tokenizer(), 0, 16, 0)
    with pytest.raises(ValueError, match="one document"):
        fixed_batches(shards, toy_tokenizer(), 4, 16, 0, [2])
