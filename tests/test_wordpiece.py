"""The tokenizer against Hugging Face's, the trainer against a slow one."""

import copy
import json
import os
import pickle
import sys
import unicodedata
from collections import Counter
from functools import cache
from itertools import groupby, pairwise
from pathlib import Path
from unicodedata import combining

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from bertlib import wordpiece
from bertlib.corpora import minilm_folder, state_of_the_union
from bertlib.wordpiece import (
    SPECIAL_TOKENS,
    BertTokenizer,
    Memo,
    is_invisible,
    longest_match,
    merge_pair,
    share_room,
    split_chunks,
    split_words,
    train_wordpiece,
)

# The suite takes a slice; FUZZ_EXAMPLES=100000 runs the whole.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "1500"))


@cache
def rust() -> Tokenizer:
    """Hugging Face's tokenizer with MiniLM's vocabulary, nothing cut off."""
    tokenizer = Tokenizer.from_file(str(minilm_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


@cache
def ours() -> BertTokenizer:
    return BertTokenizer.from_pretrained(minilm_folder())


def rust_words(text: str) -> list[str]:
    """The words of the Rust tokenizer, before they are cut."""
    cleaned = rust().normalizer.normalize_str(text)
    parts = rust().pre_tokenizer.pre_tokenize_str(cleaned)
    return [word for word, _ in parts]


@cache
def exempt_code_points() -> frozenset[int]:
    """Where Python's Unicode tables and the Rust tokenizer's differ."""
    # Surrogates are no characters: Rust's strings cannot hold them. Planes 4
    # to 13 are empty, 15 and 16 private in every version: look at samples.
    every = [
        code
        for code in range(0x110000)
        if not 0xD800 <= code < 0xE000
        and (code >> 16 in (0, 1, 2, 3, 14) or code % 101 == 0)
    ]
    found = []
    for begin in range(0, len(every), 64):
        block = every[begin : begin + 64]
        text = " ".join(f"a{chr(code)}a" for code in block)
        if split_words(text) != rust_words(text):
            found += [
                code
                for code in block
                if split_words(f"a{chr(code)}a")
                != rust_words(f"a{chr(code)}a")
            ]
    return frozenset(found)


def as_ranges(codes: frozenset[int]) -> str:
    """Code points in the short form 0041-005A 0061."""
    ranges: list[list[int]] = []
    for code in sorted(codes):
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return " ".join(
        f"{first:04X}" if first == last else f"{first:04X}-{last:04X}"
        for first, last in ranges
    )


def test_exempt_code_points_are_few() -> None:
    """The list is printed (pytest -s); it shrinks or grows with Python."""
    exempt = exempt_code_points()
    kinds = Counter(unicodedata.category(chr(code)) for code in exempt)
    print(
        f"\nUnicode {unicodedata.unidata_version} (Python "
        f"{sys.version.split()[0]}): {len(exempt)} exempt, "
        f"{dict(kinds.most_common())}\n{as_ranges(exempt)}"
    )
    assert len(exempt) <= 1000
    # Nothing that English text needs.
    assert all(code > 0x7F for code in exempt)


# --- texts that are hard to cut -------------------------------------------


def allowed(character: str) -> bool:
    return ord(character) not in exempt_code_points()


def from_range(first: int, last: int) -> st.SearchStrategy[str]:
    return st.integers(first, last).map(chr).filter(allowed)


PLANES = [
    from_range(plane * 0x10000, plane * 0x10000 + 0xFFFF)
    for plane in range(1, 17)
]
SCRIPTS = [
    from_range(*block)
    for block in (
        (0x00, 0x1F),  # control
        (0x20, 0x7E),  # ASCII
        (0x7F, 0xA0),  # control, no-break space
        (0xA1, 0x24F),  # Latin
        (0x300, 0x36F),  # combining marks
        (0x370, 0x5FF),  # Greek, Cyrillic, Hebrew
        (0x600, 0x6FF),  # Arabic
        (0x900, 0xDFF),  # scripts of India: marks that stay
        (0xE00, 0x10FF),  # Thai, Tibetan, Georgian
        (0x1100, 0x11FF),  # Hangul letters
        (0x1AB0, 0x1AFF),  # more combining marks
        (0x1E00, 0x1FFF),  # Latin and Greek with accents
        (0x2000, 0x206F),  # spaces, joiners, punctuation
        (0x2100, 0x214F),  # letter-like symbols
        (0x2E80, 0x33FF),  # kana, radicals
        (0x3400, 0x9FFF),  # CJK
        (0xAC00, 0xD7A3),  # Hangul syllables
        (0xE000, 0xF8FF),  # private use
        (0xF900, 0xFAFF),  # CJK for compatibility
        (0xFB00, 0xFFFF),  # presentation forms, half width, U+FFFD
        (0x1D160, 0x1D1AD),  # musical marks: they stay, and are sorted
        (0x1F300, 0x1FAFF),  # emoji
        (0x20000, 0x2FA1F),  # CJK beyond the first plane
    )
]
HARD_WORDS = """
the nation unaffable teachers Coronavirus NAÏVE don't U.S. 3.14 $5,000
İstanbul ΟΔΟΣ straße ﬁne \u212a \u212b 한국어 我喜欢吃苹果 हिन्दी ภาษาไทย
👩\u200d👩\u200d👧 👍🏽 🇪🇺 e\u0301te\u0301 soft\u00adhyphen ##ing ## [mask]
[ MASK ] [unused1] [PAD [[MASK]] a\u0323\u0307 a\u0307\u0323
"""
WORDS = st.sampled_from(HARD_WORDS.split())
SPECIAL = st.sampled_from(SPECIAL_TOKENS)
# Marks that stay and are sorted by NFD, marks that go, and what parts them.
MARKS = st.text(
    "a가éǖ\u302e\u302f\u1b44\ua953\ua9c0\U000111c0\U0001d165\U0001d16d\U0001d16e"
    "\U00016ff0\u0301\u0323\u0334\u034f\u0bcd\u0591\u200b\u200d\ue000",
    max_size=8,
)
SPACES = st.sampled_from(
    [
        "",
        " ",
        "  ",
        "\n",
        "\t",
        "\r\n",
        "\x0b",
        "\x1c",
        "\x85",
        "\u2028",
        "\u3000",
    ]
)
LONG = st.builds(
    lambda letter, length: letter * length,
    st.sampled_from(["a", "x", "é", "ß", "я", "한"]),
    st.sampled_from([33, 34, 50, 99, 100, 101, 102]),
)
CHARACTERS = st.one_of(*SCRIPTS, *PLANES, from_range(0, 0xD7FF))
FRAGMENT = st.one_of(
    st.lists(CHARACTERS, max_size=6).map("".join),
    st.lists(st.one_of(*SCRIPTS[1:6]), max_size=8).map("".join),
    WORDS,
    SPECIAL,
    MARKS,
    LONG,
)
TEXT = st.lists(st.tuples(FRAGMENT, SPACES), max_size=6).map(
    lambda parts: "".join(a + b for a, b in parts)
)


def marks_change_places(text: str) -> bool:
    """Say if NFD sorts the marks on a letter, and one of them is kept.

    The Rust tokenizer's offsets then follow the order after sorting; ours
    name the places in the text.
    """
    visible = "".join(c for c in text if not is_invisible(c))
    one_by_one = "".join(unicodedata.normalize("NFD", c) for c in visible)
    for is_mark, run in groupby(one_by_one, lambda c: combining(c) > 0):
        marks = list(run)
        kept = any(unicodedata.category(c) != "Mn" for c in marks)
        if is_mark and kept and marks != sorted(marks, key=combining):
            return True
    return False


@settings(max_examples=EXAMPLES)
@given(TEXT, st.none() | TEXT)
@example("", None)
@example("", "")
@example("a" * 100, "a" * 101)
@example("[MASK]\u200b[SEP]x", "\ue000\u0378")
@example("a\u302e\u200b\u1b44b", "a\u302e\u034f\u1b44b")
def test_equal_to_rust_on_generated_text(text: str, pair: str | None) -> None:
    expected = rust().encode(text, pair)
    found = ours().encode(text, pair)
    assert found.ids == expected.ids
    assert found.type_ids == expected.type_ids
    assert found.tokens == expected.tokens
    assert found.word_ids == expected.word_ids
    if not marks_change_places(text + (pair or "")):
        assert found.offsets == expected.offsets
    assert ours().decode(found.ids) == rust().decode(expected.ids)
    assert ours().decode(found.ids, False) == rust().decode(
        expected.ids, skip_special_tokens=False
    )


def test_equal_to_rust_on_every_address() -> None:
    for document in state_of_the_union():
        expected = rust().encode(document.text)
        found = ours().encode(document.text)
        assert found.ids == expected.ids, document.id
        assert found.word_ids == expected.word_ids, document.id
        assert found.offsets == expected.offsets, document.id


@pytest.mark.parametrize("lowercase", [True, False])
def test_equal_to_transformers_from_saved_files(
    tmp_path: Path, lowercase: bool
) -> None:
    from transformers import AutoTokenizer, BertTokenizerFast

    vocab = train_wordpiece(
        ["The café closed. Das Café schloss! 我们"] * 2,
        90,
        lowercase=lowercase,
    )
    tokenizer = BertTokenizer(vocab, lowercase)
    tokenizer.save_pretrained(tmp_path)
    again = BertTokenizer.from_pretrained(tmp_path)
    assert again.vocab == vocab
    assert again.lowercase == lowercase
    for text in ("The CAFÉ closed", "Das schöne Café [MASK]!", "", "我们"):
        for kind in (AutoTokenizer, BertTokenizerFast):
            theirs = kind.from_pretrained(tmp_path)
            assert again.encode(text).ids == theirs(text)["input_ids"]
            assert (
                again.encode(text, "closed").ids
                == theirs(text, "closed")["input_ids"]
            )


# --- inputs ----------------------------------------------------------------


@given(
    st.integers(0, 12), st.integers(0, 12), st.integers(5, 30), st.booleans()
)
def test_truncation_equal_to_rust(
    first: int, second: int, max_length: int, with_pair: bool
) -> None:
    text, pair = "a " * first, "b " * second if with_pair else None
    rust().enable_truncation(max_length, strategy="longest_first")
    expected = rust().encode(text, pair)
    rust().no_truncation()
    found = ours().encode(text, pair, max_length=max_length)
    assert found.ids == expected.ids
    assert found.type_ids == expected.type_ids
    assert found.offsets == expected.offsets
    assert found.word_ids == expected.word_ids
    assert len(found.ids) <= max_length


def test_share_room_gives_the_longer_text_the_odd_place() -> None:
    assert share_room(9, 10, 7) == (3, 4)
    assert share_room(10, 9, 7) == (4, 3)
    assert share_room(2, 10, 7) == (2, 5)
    assert share_room(0, 10, 7) == (0, 7)


def test_nothing_is_cut_off_unless_asked() -> None:
    encoding = ours().encode("word " * 5000)
    assert len(encoding.ids) == 5002
    assert encoding.word_ids[-2] == 4999


def test_batch_equals_its_rows() -> None:
    texts, pairs = ["", "one", "two [MASK] words"], ["x", "", "y z."]
    for second in (None, pairs):
        batch = ours().encode_batch(texts, second)
        assert batch.input_ids.dtype == torch.int64
        for i, text in enumerate(texts):
            row = ours().encode(text, None if second is None else second[i])
            n = len(row.ids)
            assert batch.input_ids[i, :n].tolist() == row.ids
            assert batch.token_type_ids[i, :n].tolist() == row.type_ids
            assert batch.attention_mask[i].tolist() == [1] * n + [0] * (
                batch.input_ids.shape[1] - n
            )
            assert (batch.input_ids[i, n:] == ours().vocab["[PAD]"]).all()
            assert not batch.token_type_ids[i, n:].any()
    assert ours().encode_batch(["a b c d"], max_length=4).input_ids.shape == (
        1,
        4,
    )


def test_decode_takes_a_row_of_a_batch() -> None:
    batch = ours().encode_batch(["Unaffable, isn't it?", "no"])
    assert ours().decode(batch.input_ids[0]) == "unaffable, isn ' t it?"
    assert ours().decode(batch.input_ids[1].tolist()) == "no"


def test_offsets_point_at_the_text() -> None:
    text = "Ünïté 한국 [MASK]\n\tend\u200bing 👩\u200d👧."
    encoding = ours().encode(text)
    for token, (start, end) in zip(
        encoding.tokens[1:-1], encoding.offsets[1:-1], strict=True
    ):
        source = text[start:end]
        assert source
        if token not in SPECIAL_TOKENS and source.isascii():
            assert source.lower() == token.removeprefix("##")
    words = {}
    for word, (start, end) in zip(
        encoding.word_ids[1:-1], encoding.offsets[1:-1], strict=True
    ):
        words[word] = (words.get(word, (start,))[0], end)
    assert [text[a:b] for a, b in words.values()][:2] == ["Ünïté", "한국"]


def test_memory_does_not_change_results() -> None:
    """Forgetting everything all the time gives the same."""
    forgetful = BertTokenizer(ours().vocab)
    for memo in ("_word_pieces", "_chunk_ids", "_chunk_places"):
        getattr(forgetful._cutter, memo).limit = 3
    text = state_of_the_union()[0].text[:5000] + " [MASK][CLS] [MASK]. é"
    assert forgetful.encode(text).ids == ours().encode(text).ids
    assert forgetful.encode(text).offsets == ours().encode(text).offsets
    assert len(forgetful._cutter._chunk_ids) <= 3


def test_memo_is_bounded() -> None:
    calls = []
    memo = Memo(lambda text: calls.append(text) or len(text), limit=2)
    assert [memo[x] for x in ("a", "a", "bb", "ccc", "y" * 101)] == [
        1, 1, 2, 3, 101,
    ]  # fmt: skip
    assert calls == ["a", "bb", "ccc", "y" * 101]
    assert dict(memo) == {"ccc": 3}


def test_copies_and_pickles_work() -> None:
    ours().encode("warm")
    for other in (copy.deepcopy(ours()), pickle.loads(pickle.dumps(ours()))):
        assert other.encode("A café.").ids == ours().encode("A café.").ids
        assert len(pickle.dumps(other)) < 1_500_000


def test_a_lone_surrogate_is_dropped() -> None:
    assert split_words("a\ud800b") == ["ab"]


@pytest.mark.parametrize("text", ["", " ", "a", "a b", "\n\na\tb \r", " 我 "])
def test_chunks_cover_the_text(text: str) -> None:
    chunks = split_chunks(text)
    assert sum(map(len, chunks)) + len(chunks) - 1 == len(text)


# --- files -----------------------------------------------------------------


def config_of(folder: Path) -> dict:
    return json.loads((folder / "tokenizer_config.json").read_text())


def test_saved_vocabulary_equals_the_published_one(tmp_path: Path) -> None:
    ours().save_pretrained(tmp_path / "new" / "folder")
    assert (tmp_path / "new" / "folder" / "vocab.txt").read_bytes() == (
        minilm_folder() / "vocab.txt"
    ).read_bytes()


def test_windows_line_ends_and_a_missing_last_one(tmp_path: Path) -> None:
    pieces = [*SPECIAL_TOKENS, "a", "##b"]
    (tmp_path / "vocab.txt").write_bytes("\r\n".join(pieces).encode())
    assert BertTokenizer.from_pretrained(str(tmp_path)).pieces == pieces


# --- training ----------------------------------------------------------------


def learn_slowly(texts: list[str], vocab_size: int, least: int) -> list[str]:
    """Train by counting everything again for every merge."""
    counts = Counter(w for text in texts for w in split_words(text))
    cuts = {w: [w[0], *("##" + c for c in w[1:])] for w in counts}
    vocab = [
        *SPECIAL_TOKENS,
        *sorted({c for w in counts for c in w}),
        *sorted({p for cut in cuts.values() for p in cut[1:]}),
    ]
    while len(vocab) < vocab_size:
        pairs = Counter()
        for word, cut in cuts.items():
            for pair in pairwise(cut):
                pairs[pair] += counts[word]
        if not pairs or max(pairs.values()) < least:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        cuts = {word: merge_pair(cut, best) for word, cut in cuts.items()}
        new = best[0] + best[1].removeprefix("##")
        if new not in vocab:
            vocab.append(new)
    return vocab


@settings(max_examples=max(60, EXAMPLES // 20))
@given(
    st.lists(
        st.text("ab.", max_size=12) | st.text("abcé ", max_size=30), max_size=6
    ),
    st.integers(14, 60),
    st.integers(1, 3),
)
@example(["aaaa aaaaaaa aaa"], 40, 1)
def test_training_equals_recounting(
    texts: list[str], vocab_size: int, least: int
) -> None:
    vocab = train_wordpiece(texts, vocab_size, least)
    assert list(vocab) == learn_slowly(texts, vocab_size, least)
    assert list(vocab.values()) == list(range(len(vocab)))


def test_training_on_an_address_equals_recounting() -> None:
    texts = [state_of_the_union()[0].text]
    assert list(train_wordpiece(texts, 300)) == learn_slowly(texts, 300, 2)


def test_training_nearly_equals_rust() -> None:
    from tokenizers import BertWordPieceTokenizer

    texts = [d.text for d in state_of_the_union()[::10]]
    trainer = BertWordPieceTokenizer(lowercase=True)
    trainer.train_from_iterator(
        texts, vocab_size=3000, min_frequency=2, show_progress=False
    )
    vocab = train_wordpiece(iter(texts), 3000)
    assert len(vocab) == 3000
    assert len(vocab.keys() & trainer.get_vocab().keys()) > 0.97 * 3000
    tokenizer = BertTokenizer(vocab)
    unknown = tokenizer.vocab["[UNK]"]
    assert all(unknown not in tokenizer.encode(text).ids for text in texts)


def test_training_is_the_same_in_another_process(tmp_path: Path) -> None:
    """Strings hash differently there."""
    import subprocess

    script = (
        "from bertlib.corpora import state_of_the_union\n"
        "from bertlib.wordpiece import train_wordpiece\n"
        "texts = [state_of_the_union()[5].text]\n"
        "print('\\n'.join(train_wordpiece(texts, 600)).encode())"
    )
    texts = [state_of_the_union()[5].text]
    here = str("\n".join(train_wordpiece(texts, 600)).encode())
    other = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout.strip() == here


def test_training_on_nothing() -> None:
    assert list(train_wordpiece([], 100)) == list(SPECIAL_TOKENS)
    assert list(train_wordpiece(["", " \n"], 5)) == list(SPECIAL_TOKENS)


def test_a_word_of_101_letters_teaches_nothing() -> None:
    assert "q" not in train_wordpiece(["q" * 101, "z" * 100], 50)


def test_doctests() -> None:
    import doctest

    assert doctest.testmod(wordpiece).failed == 0


def test_greedy_cut_by_hand() -> None:
    pieces = ("s", "st", "##a", "##ar", "##r", "##t")
    vocab = {piece: number for number, piece in enumerate(pieces)}
    assert longest_match("start", vocab) == ["st", "##ar", "##t"]
    assert longest_match("stark", vocab) == ["[UNK]"]
    assert longest_match("", vocab) == []


# --- bad input ---------------------------------------------------------------

BASE = {token: number for number, token in enumerate((*SPECIAL_TOKENS, "a"))}


@pytest.mark.unhooked
class TestBadInput:
    """Errors name the argument, what was given and what is allowed."""

    @pytest.mark.parametrize("text", [None, 3, b"bytes", ["a", "b"]])
    def test_a_text_that_is_no_string(self, text: object) -> None:
        for function in (
            ours().encode,
            ours().tokenize,
            lambda t: ours().encode("fine", t if t is not None else 0),
            lambda t: ours().encode_batch(["fine", t]),
            lambda t: ours().encode_batch(["fine"], [t]),
        ):
            with pytest.raises(TypeError, match=r"string"):
                function(text)

    def test_a_batch_that_is_one_string(self) -> None:
        with pytest.raises(TypeError, match="texts"):
            ours().encode_batch("one text")
        with pytest.raises(TypeError, match="pairs"):
            ours().encode_batch(["a"], "b")
        with pytest.raises(ValueError, match="2 texts, but 1 pairs"):
            ours().encode_batch(["a", "b"], ["c"])
        with pytest.raises(ValueError, match="empty"):
            ours().encode_batch([])

    @pytest.mark.parametrize("token", SPECIAL_TOKENS)
    def test_a_vocabulary_without_a_special_token(
        self, token: str, tmp_path: Path
    ) -> None:
        pieces = [piece for piece in BASE if piece != token]
        vocab = {piece: number for number, piece in enumerate(pieces)}
        with pytest.raises(ValueError, match=rf"lacks \[{token[1:-1]}\]"):
            BertTokenizer(vocab)
        (tmp_path / "vocab.txt").write_text("\n".join(pieces))
        with pytest.raises(ValueError, match=rf"lacks \[{token[1:-1]}\]"):
            BertTokenizer.from_pretrained(tmp_path)

    def test_a_vocabulary_with_gaps_or_blanks(self) -> None:
        with pytest.raises(ValueError, match="each once"):
            BertTokenizer({**BASE, "b": 7})
        with pytest.raises(ValueError, match="each once"):
            BertTokenizer({**BASE, "b": 5})
        for blank in ("", " ", "b\n", "\tb"):
            with pytest.raises(ValueError, match="white space"):
                BertTokenizer({**BASE, blank: 6})

    @pytest.mark.parametrize(
        ("lines", "problem"),
        [
            ([*BASE, "b", "a"], "line 8 repeats line 6: 'a'"),
            ([*BASE, "", "b"], "line 7 is blank"),
            ([*BASE, "b", "", ""], "line 8 is blank"),
            (["", *BASE], "line 1 is blank"),
            ([*BASE, " ", "b"], "line 7 is blank"),
        ],
    )
    def test_a_damaged_vocabulary_file(
        self, tmp_path: Path, lines: list[str], problem: str
    ) -> None:
        (tmp_path / "vocab.txt").write_text("\n".join(lines), newline="\n")
        with pytest.raises(ValueError, match=problem):
            BertTokenizer.from_pretrained(tmp_path)

    def test_a_folder_without_vocabulary(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
            BertTokenizer.from_pretrained(tmp_path)
        with pytest.raises(FileNotFoundError, match=r"vocab\.txt"):
            BertTokenizer.from_pretrained(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        "setting",
        [
            {"strip_accents": False},
            {"do_lower_case": False, "strip_accents": True},
            {"do_lower_case": "yes"},
            {"tokenize_chinese_chars": False},
            {"do_basic_tokenize": False},
            {"never_split": ["New York"]},
            {"unk_token": "<unk>"},
            {"cls_token": {"content": "<s>"}},
            {"tokenizer_class": "BertJapaneseTokenizer"},
        ],
    )
    def test_settings_that_are_not_done(
        self, tmp_path: Path, setting: dict
    ) -> None:
        BertTokenizer(BASE).save_pretrained(tmp_path)
        config = {**config_of(tmp_path), **setting}
        path = tmp_path / "tokenizer_config.json"
        path.write_text(json.dumps(config))
        with pytest.raises(ValueError, match=list(setting)[-1]):
            BertTokenizer.from_pretrained(tmp_path)

    @pytest.mark.parametrize(
        "setting",
        [
            {"strip_accents": True},
            {"do_lower_case": False, "strip_accents": False},
            {"unk_token": {"content": "[UNK]", "lstrip": False}},
            {"never_split": []},
            {"model_max_length": 512},
        ],
    )
    def test_settings_that_change_nothing(
        self, tmp_path: Path, setting: dict
    ) -> None:
        BertTokenizer(BASE).save_pretrained(tmp_path)
        path = tmp_path / "tokenizer_config.json"
        path.write_text(json.dumps({**config_of(tmp_path), **setting}))
        tokenizer = BertTokenizer.from_pretrained(tmp_path)
        assert tokenizer.lowercase == setting.get("do_lower_case", True)

    def test_max_length_below_the_special_tokens(self) -> None:
        for max_length in (-1, 0, 1):
            with pytest.raises(ValueError, match=r"max_length.*2 special"):
                ours().encode("a b", max_length=max_length)
        with pytest.raises(ValueError, match=r"max_length=2.*3 special"):
            ours().encode("a b", "c", max_length=2)
        assert len(ours().encode("a b", max_length=2).ids) == 2

    def test_a_pair_that_cannot_fit(self) -> None:
        for max_length in (3, 4):
            with pytest.raises(ValueError, match="pair cannot fit"):
                ours().encode("a b", "c d", max_length=max_length)
            with pytest.raises(ValueError, match="pair cannot fit"):
                ours().encode_batch(["a b"], ["c d"], max_length=max_length)
        assert len(ours().encode("a b", "c d", max_length=5).ids) == 5
        assert len(ours().encode("", "c d", max_length=4).ids) == 4
        assert len(ours().encode("", "", max_length=3).ids) == 3

    def test_numbers_that_are_no_pieces(self) -> None:
        for number in (-1, 30522):
            with pytest.raises(ValueError, match=f"ids: {number} is not in"):
                ours().decode([101, number])

    def test_training_input(self) -> None:
        with pytest.raises(TypeError, match="one string"):
            train_wordpiece("a text", 100)
        with pytest.raises(TypeError, match="NoneType"):
            train_wordpiece(["a text", None], 100)
        with pytest.raises(ValueError, match="vocab_size=6 is too small"):
            train_wordpiece(["ab"], 6)
        with pytest.raises(ValueError, match="min_frequency"):
            train_wordpiece(["ab"], 10, min_frequency=0)
