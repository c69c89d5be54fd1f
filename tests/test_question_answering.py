"""Readers against Hugging Face, windows, spans, SQuAD's scores and files."""

import json
import math
import random
import re
import runpy
import string
import sys
import types
from collections import Counter
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
from bertlib.corpora import is_held_out, state_of_the_union
from bertlib.question_answering import (
    Answer,
    BertForQuestionAnswering,
    Question,
    Window,
    best_spans,
    best_threshold,
    exact_match,
    f1_score,
    normalise_answer,
    null_score,
    pad_windows,
    predict,
    question_answering_task,
    questions_at,
    read_squad,
    reading_questions,
    squad_scores,
    window_length,
    window_logits,
    windows,
    write_squad,
)
from bertlib.wordpiece import BertTokenizer

transformers.utils.logging.disable_progress_bar()

DATA = Path(__file__).parents[1] / "data"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
NAMES, YEARS = ["ann", "bob", "eve", "hay"], ["1808", "1848", "1959"]
WORDS = ["who", "when", "was", "there", "in", "the", "of", "a", "spoke", "?"]
WORDS += [*NAMES, *YEARS, ".", ",", "senate", "old", "new", "##er", "##s"]
TOKENIZER = BertTokenizer({w: i for i, w in enumerate(SPECIAL + WORDS)})


def config(**changes) -> BertConfig:
    sizes = {
        "vocab_size": len(TOKENIZER.pieces),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
        "initializer_range": 0.2,
    }
    return BertConfig(**sizes | changes)


def model(**changes) -> BertForQuestionAnswering:
    torch.manual_seed(0)
    return BertForQuestionAnswering(config(**changes)).eval()


def batch() -> dict[str, torch.Tensor]:
    """Two rows, the second one padded."""
    encoded = TOKENIZER.encode_batch(
        ["who spoke ?", "when ?"],
        ["ann spoke in the senate .", "bob spoke in 1808"],
    )
    return vars(encoded)


def questions(number: int, seed: int = 0) -> list[Question]:
    """Ask for the name or the year of a sentence; a quarter lack it."""
    rng = random.Random(seed)
    made = []
    for i in range(number):
        name, year = rng.choice(NAMES), rng.choice(YEARS)
        kind = rng.choice(["who", "when"])
        has = rng.random() < 0.75
        parts = ["the old senate", "in the new", "there was a"]
        rng.shuffle(parts)
        facts = [name, year]
        if not has:
            facts = [year] if kind == "who" else [name]
        rng.shuffle(facts)
        context = " ".join(
            word for pair in zip(parts, [*facts, ""], strict=False)
            for word in pair
        ).strip() + " ."  # fmt: skip
        wanted = name if kind == "who" else year
        answers = ()
        if has:
            start = context.index(wanted)
            answers = ((start, start + len(wanted)),)
        made.append(Question(f"{seed}-{i}", f"{kind} ?", context, answers))
    return made


# --- the model


def test_hugging_face_opens_what_is_saved(tmp_path):
    ours = model()
    save_pretrained(ours, tmp_path)
    theirs = transformers.BertForQuestionAnswering.from_pretrained(
        tmp_path
    ).eval()
    places = {
        "start_positions": torch.tensor([4, 0]),
        "end_positions": torch.tensor([6, 0]),
    }
    with torch.no_grad():
        expected = theirs(**batch(), **places)
        found = ours(**batch(), **places)
    for name in ("start_logits", "end_logits", "loss"):
        torch.testing.assert_close(
            getattr(found, name), getattr(expected, name), atol=1e-5, rtol=0
        )
    again = from_pretrained(BertForQuestionAnswering, tmp_path)
    assert torch.equal(
        again(**batch()).start_logits, ours(**batch()).start_logits
    )


def test_a_model_of_hugging_face_loads(tmp_path):
    torch.manual_seed(1)
    theirs = transformers.BertForQuestionAnswering(
        transformers.BertConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32,
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    ours = from_pretrained(BertForQuestionAnswering, tmp_path)
    ids = torch.randint(5, 40, (3, 7))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids).end_logits, theirs(ids).end_logits, atol=1e-5, rtol=0
        )


def test_an_encoder_without_head_gets_a_new_one(tmp_path):
    save_pretrained(model(), tmp_path)
    torch.manual_seed(3)
    new = from_pretrained(
        BertForQuestionAnswering, tmp_path, new=("qa_outputs",)
    )
    assert not torch.equal(new.qa_outputs.weight, model().qa_outputs.weight)
    assert torch.equal(
        new.bert.embeddings.word.weight, model().bert.embeddings.word.weight
    )


def test_loss_is_the_mean_of_two_softmaxes_over_places():
    with torch.no_grad():
        output = model()(**batch())
    start, end = torch.tensor([3, 0]), torch.tensor([5, 0])
    by_hand = []
    for row in range(2):
        for logits, place in (
            (output.start_logits[row], start[row]),
            (output.end_logits[row], end[row]),
        ):
            total = sum(math.exp(float(z)) for z in logits)
            by_hand.append(math.log(total) - float(logits[place]))
    loss = model()(**batch(), start_positions=start, end_positions=end).loss
    assert abs(loss.item() - sum(by_hand) / 4) < 1e-5
    assert output.loss is None


def test_a_common_shift_of_the_scores_changes_no_loss():
    ours = model()
    places = {
        "start_positions": torch.tensor([3, 0]),
        "end_positions": torch.tensor([5, 0]),
    }
    before = ours(**batch(), **places).loss
    with torch.no_grad():
        ours.qa_outputs.bias += torch.tensor([5.0, -2.0])
    after = ours(**batch(), **places).loss
    torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        ([0, 1], None, "start_positions and end_positions"),
        ([0, 99], [0, 1], "start_positions"),
        ([0, 1], [0, -1], "end_positions"),
        ([0], [0, 1], "start_positions"),
    ],
)
def test_wrong_positions(start, end, named):
    with pytest.raises(ValueError, match=named):
        model()(
            **batch(),
            start_positions=torch.tensor(start),
            end_positions=None if end is None else torch.tensor(end),
        )


@pytest.mark.unhooked
def test_num_labels_must_be_two():
    with pytest.raises(ValueError, match="num_labels"):
        BertForQuestionAnswering(config(num_labels=3))


# --- windows


def words(number: int) -> str:
    return " ".join(WORDS[i % 20] for i in range(number))


def google_windows(total, room, stride):
    """Google's loop over a document of `total` pieces."""
    spans, start = [], 0
    while start < total:
        length = min(total - start, room)
        spans.append((start, length))
        if start + length == total:
            break
        start += min(length, stride)
    return spans


def google_max_context(spans, number, place):
    """Google's rule, piece by piece."""
    best = best_number = None
    for i, (start, length) in enumerate(spans):
        if not start <= place <= start + length - 1:
            continue
        left, right = place - start, start + length - 1 - place
        score = min(left, right) + 0.01 * length
        if best is None or score > best:
            best, best_number = score, i
    return number == best_number


@given(st.integers(1, 90), st.integers(1, 40), st.integers(1, 50))
def test_windows_are_google_s(total, room, stride):
    parts = windows("who ?", words(total), TOKENIZER, room + 5, stride)
    spans = google_windows(total, room, stride)
    ids = TOKENIZER.encode(words(total)).ids[1:-1]
    offsets = TOKENIZER.encode(words(total)).offsets[1:-1]
    assert len(parts) == len(spans)
    for number, (part, (start, length)) in enumerate(
        zip(parts, spans, strict=True)
    ):
        assert part.ids[part.first : -1] == ids[start : start + length]
        assert part.offsets == offsets[start : start + length]
        assert part.central == [
            google_max_context(spans, number, start + i) for i in range(length)
        ]
        assert len(part.ids) <= room + 5
    step = min(room, stride)
    assert len(parts) == 1 + max(0, math.ceil((total - room) / step))
    assert sum(sum(part.central) for part in parts) == total


def test_google_s_example_of_most_context():
    text = "the man went to the store and bought a gallon of milk"
    vocab = {w: i for i, w in enumerate([*SPECIAL, *sorted({*text.split()})])}
    parts = windows("", text, BertTokenizer(vocab), 3 + 5, doc_stride=3)
    shown = [
        [text[a:b] for a, b in part.offsets] for part in parts
    ]  # fmt: skip
    assert shown[:3] == [
        ["the", "man", "went", "to", "the"],
        ["to", "the", "store", "and", "bought"],
        ["and", "bought", "a", "gallon", "of"],
    ]
    owner = [
        number
        for number, part in enumerate(parts)
        for word, mine in zip(shown[number], part.central, strict=True)
        if word == "bought" and mine
    ]
    assert owner == [2]


@pytest.mark.parametrize(("length", "stride"), [(16, 4), (20, 15), (12, 7)])
def test_hugging_face_s_stride_is_the_overlap(tmp_path, length, stride):
    TOKENIZER.save_pretrained(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    question, context = "who spoke ?", words(40)
    room = length - 3 - 3
    expected = theirs(
        question,
        context,
        truncation="only_second",
        max_length=length,
        stride=room - min(room, stride),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    parts = windows(question, context, TOKENIZER, length, stride)
    assert [part.ids for part in parts] == expected["input_ids"]
    assert [part.offsets for part in parts] == [
        [tuple(place) for place in row[5:-1]]
        for row in expected["offset_mapping"]
    ]


def test_a_short_context_is_one_window_and_an_empty_one_too():
    (part,) = windows("who ?", "ann spoke", TOKENIZER)
    assert [TOKENIZER.pieces[i] for i in part.ids] == (
        ["[CLS]", "who", "?", "[SEP]", "ann", "spoke", "[SEP]"]
    )
    assert (part.first, part.central) == (4, [True, True])
    (part,) = windows("who ?", "", TOKENIZER)
    assert len(part.ids) == 5 and part.offsets == []


def test_a_long_question_is_cut():
    (part,) = windows("who " * 100, "ann", TOKENIZER, max_question=10)
    assert part.first == 12


def test_targets():
    context = "the senate . ann spoke in 1808 . the old senate ."
    answer = context.index("ann"), context.index(" in")
    parts = windows("who ?", context, TOKENIZER, 10, 3, answer=answer)
    inside = []
    for part in parts:
        first, last = part.target
        if first:
            found = [TOKENIZER.pieces[i] for i in part.ids[first : last + 1]]
            assert found == ["ann", "spoke"]
            inside.append(True)
        else:
            assert part.target == (0, 0)
            inside.append(False)
    # Whole in the first two windows only.
    assert inside == [True, True] + [False] * (len(parts) - 2)


def test_an_answer_inside_a_word_takes_the_piece():
    context = "the newers"  # the, new, ##er, ##s
    (part,) = windows("", context, TOKENIZER, answer=(5, 8))  # "ewe"
    first, last = part.target
    assert [TOKENIZER.pieces[i] for i in part.ids[first : last + 1]] == [
        "new", "##er",
    ]  # fmt: skip


def test_padding():
    parts = windows("who ?", words(20), TOKENIZER, 17, 9)
    tensors = pad_windows(parts, pad_id=3)
    longest = max(len(part.ids) for part in parts)
    for name, tensor in tensors.items():
        assert tensor.shape == (len(parts), longest), name
        assert tensor.dtype == torch.int64
    for row, part in enumerate(parts):
        mask, types = tensors["attention_mask"], tensors["token_type_ids"]
        assert mask[row].sum() == len(part.ids)
        assert types[row].sum() == len(part.ids) - part.first
        assert (tensors["input_ids"][row, len(part.ids) :] == 3).all()
    assert "attention_mask" not in pad_windows(parts[:1] * 2)


def test_what_a_model_reads_is_what_encode_makes():
    """A passage that fits: the same tensors as for a pair of texts."""
    asked, contexts = ["who ?", "when"], [words(9), "ann spoke in 1808 ."]
    expected = vars(TOKENIZER.encode_batch(asked, contexts))
    parts = [
        windows(*pair, TOKENIZER)[0]
        for pair in zip(asked, contexts, strict=True)
    ]
    found = pad_windows(parts)
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def test_a_third_of_the_window_is_the_default_stride():
    assert windows("who", words(90), TOKENIZER, 30) == windows(
        "who", words(90), TOKENIZER, 30, doc_stride=10
    )
    assert window_length(model(), TOKENIZER) == 32
    assert window_length(model(max_position_embeddings=512), TOKENIZER) == 384
    assert window_length(model(), TOKENIZER, 20) == 20


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"max_length": 5}, "max_length"),
        ({"doc_stride": 0}, "doc_stride"),
        ({"max_question": -1}, "max_question"),
        ({"answer": (3, 4)}, "answer"),
    ],
)
def test_wrong_windows(sizes, named):
    with pytest.raises(ValueError, match=named):
        windows("who ?", "ann spoke", TOKENIZER, **sizes)


# --- spans


def google_best(parts, logits, n_best, max_pieces):
    """write_predictions, as plainly as possible; no text is compared."""
    found = []
    for part, (starts, ends) in zip(parts, logits, strict=True):
        tops = []
        for scores in (starts, ends):
            ranked = sorted(
                enumerate(scores), key=lambda x: x[1], reverse=True
            )
            tops.append([i for i, _ in ranked[:n_best]])
        context = range(part.first, part.first + len(part.offsets))
        for i in tops[0]:
            for j in tops[1]:
                if i not in context or j not in context:
                    continue
                if not part.central[i - part.first]:
                    continue
                if j < i or j - i + 1 > max_pieces:
                    continue
                found.append(
                    (
                        part.offsets[i - part.first][0],
                        part.offsets[j - part.first][1],
                        float(starts[i]) + float(ends[j]),
                    )
                )
    found.sort(key=lambda span: span[2], reverse=True)
    return found[:n_best]


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(1, 30))
def test_best_spans_are_google_s(seed, n_best, max_pieces):
    rng = np.random.default_rng(seed)
    parts = windows("who ?", words(40), TOKENIZER, 20, 6)
    logits = [rng.normal(size=(2, len(part.ids))) for part in parts]
    found = best_spans(parts, logits, n_best, max_pieces)
    assert [(s.start, s.end, s.score) for s in found] == google_best(
        parts, logits, n_best, max_pieces
    )


def one_window(scores: list[tuple[float, float]]) -> list:
    """A question of one piece, and a context of as many as there are."""
    parts = windows("who", words(len(scores)), TOKENIZER)
    logits = np.full((2, len(parts[0].ids)), -9.0)
    logits[:, 3:-1] = np.array(scores).T
    return [parts, [logits]]


def test_the_end_never_comes_before_the_start():
    parts, logits = one_window([(0, 9), (0, 0), (9, 1)])
    best = best_spans(parts, logits)[0]
    assert (best.start, best.score) == (parts[0].offsets[2][0], 10.0)


def test_the_length_limit():
    parts, logits = one_window([(9, 0)] + [(0, 0)] * 38 + [(0, 9)])
    best = best_spans(parts, logits, n_best=42, max_pieces=30)[0]
    assert best.score == 9.0
    best = best_spans(parts, logits, n_best=42, max_pieces=40)[0]
    assert best.score == 18.0


def test_question_and_special_tokens_are_no_answer():
    parts, logits = one_window([(1, 1), (0, 0)])
    for place in (0, 1, 2, -1):
        logits[0][:, place] = 50
    best = best_spans(parts, logits)[0]
    assert (best.start, best.score) == (0, 2.0)
    assert null_score(logits) == 100.0


def test_a_start_counts_only_where_it_is_central():
    parts = windows("who", words(30), TOKENIZER, 14, 4)
    logits = [np.zeros((2, len(part.ids))) for part in parts]
    # The last piece of the first window has more context in later ones.
    assert not parts[0].central[-1]
    logits[0][:, parts[0].first + len(parts[0].offsets) - 1] = 9
    assert best_spans(parts, logits, n_best=100)[0].score < 18


def test_null_score_is_the_lowest_of_all_windows():
    logits = [np.full((2, 4), 3.0), np.full((2, 4), -1.0)]
    assert null_score(logits) == -2.0


# --- predict


def test_predict_maps_back_to_characters():
    ours = model(max_position_embeddings=64)
    contexts = ["The Senate.  ANN spoke, in 1808!", "Old, new", words(150)]
    answers = predict(
        ours, TOKENIZER, ["Who?"] * 3, contexts, None, max_length=20
    )
    for answer, context in zip(answers, contexts, strict=True):
        assert answer.text == context[answer.start : answer.end] != ""
        assert answer.spans[0].score == answer.score
        assert answer.doubt == answer.null_score - answer.score


def test_predict_does_not_depend_on_the_batch():
    ours = model()
    asked = ["who ?", "when ?", "", "who spoke in the senate ?"] * 3
    contexts = [words(n) for n in (3, 40, 7, 90, 1, 12, 5, 33, 60, 2, 25, 8)]
    together = predict(ours, TOKENIZER, asked, contexts, None, batch_size=5)
    for i in range(len(asked)):
        (alone,) = predict(ours, TOKENIZER, [asked[i]], [contexts[i]], None)
        assert (alone.start, alone.end) == (
            together[i].start,
            together[i].end,
        )
        assert abs(alone.score - together[i].score) < 1e-4
        assert abs(alone.null_score - together[i].null_score) < 1e-4


def test_threshold():
    ours = model()
    asked, contexts = ["who ?"] * 6, [words(n) for n in range(3, 9)]
    free = predict(ours, TOKENIZER, asked, contexts, threshold=None)
    middle = float(np.median([answer.doubt for answer in free]))
    for plain, held in zip(
        free,
        predict(ours, TOKENIZER, asked, contexts, threshold=middle),
        strict=True,
    ):
        if plain.doubt > middle:
            assert (held.text, held.start, held.end) == ("", 0, 0)
        else:
            assert held.text == plain.text
        assert held.score == plain.score


def test_nothing_to_answer_from():
    empty, blank, fine = predict(
        model(), TOKENIZER, ["who ?"] * 3, ["", " \n ", "ann"], None
    )
    assert empty.text == blank.text == "" and empty.score == -math.inf
    assert fine.text == "ann"
    assert predict(model(), TOKENIZER, [], []) == []


@pytest.mark.parametrize(
    "context",
    ["", " \n\t", "🙂", "x" * 10_000, "ann 🙂🙂 spoke \u200b", "ann " * 2000],
)
@pytest.mark.parametrize("question", ["", "🙂", "y" * 10_000, "who ? " * 500])
def test_odd_texts(question, context):
    """Whatever the text: an answer that is a part of it."""
    (found,) = predict(
        model(), TOKENIZER, [question], [context], None, batch_size=64,
        max_question=9, doc_stride=15,
    )  # fmt: skip
    assert found.text == context[found.start : found.end]
    pieces = len(TOKENIZER.tokenize(question))
    assert found.cut == max(pieces - 9, 0)
    assert bool(found.text) == bool(TOKENIZER.tokenize(context))


def test_an_emoji_can_be_the_answer():
    context = "ann spoke 🙂 in 1808"
    (part,) = windows("who ?", context, TOKENIZER, answer=(10, 11))
    place, last = part.target
    assert place == last and TOKENIZER.pieces[part.ids[place]] == "[UNK]"
    assert part.offsets[place - part.first] == (10, 11)


def test_predict_leaves_the_mode_and_takes_half_precision():
    reader = model().train()
    (found,) = predict(
        reader, TOKENIZER, ["who ?"], [words(9)], None, dtype="bfloat16"
    )
    assert reader.training and reader.bert.training and found.text


def test_a_cut_question_is_counted():
    cut, whole = predict(
        model(), TOKENIZER, ["who " * 12, "who"], ["ann"] * 2, max_question=9
    )
    assert (cut.cut, whole.cut) == (3, 0)


@pytest.mark.unhooked
def test_wrong_arguments_of_predict():
    with pytest.raises(TypeError, match="questions"):
        predict(model(), TOKENIZER, "who ?", ["ann"])
    with pytest.raises(ValueError, match="2 questions, but 1 contexts"):
        predict(model(), TOKENIZER, ["who ?"] * 2, ["ann"])
    with pytest.raises(ValueError, match="max_length"):
        predict(model(), TOKENIZER, ["who ?"], ["ann"], max_length=33)
    small = BertTokenizer({w: i for i, w in enumerate(SPECIAL)})
    with pytest.raises(ValueError, match="tokenizer"):
        predict(model(), small, ["who ?"], ["ann"])
    with pytest.raises(ValueError, match="'number 1': max_length=12 leaves"):
        predict(
            model(), TOKENIZER, ["who", "who " * 9], ["ann"] * 2,
            max_length=12,
        )  # fmt: skip
    with pytest.raises(ValueError, match="'number 0': doc_stride"):
        predict(model(), TOKENIZER, ["who"], ["ann"], doc_stride=0)
    with pytest.raises(ValueError, match="dtype"):
        predict(model(), TOKENIZER, ["who"], ["ann"], dtype="int8")


# --- scores: what SQuAD's script does, case by case


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Senate", "senate"),
        ("a  b\tthe\nc", "b c"),
        ("U.S.A.", "usa"),
        ("half-way", "halfway"),
        ("theatre an' antics", "theatre antics"),
        ("an, the.", ""),
        ("“quoted”", "“quoted”"),  # only ASCII punctuation goes
        ("$1,000.50", "100050"),
        ("A-team", "ateam"),  # punctuation goes first, then articles
        ("İstanbul", "i̇stanbul"),
        ("", ""),
    ],
)
def test_normalise_answer(text, expected):
    assert normalise_answer(text) == expected


@pytest.mark.parametrize(
    ("prediction", "answers", "exact", "f1"),
    [
        ("the Senate", ["Senate"], 1, 1),
        ("Senate", ["the House", "Senate!"], 1, 1),  # the best of several
        ("the old Senate", ["Senate"], 0, 2 / 3),
        ("in June 1846", ["June 1846"], 0, 0.8),
        ("June", ["May 1808", "June 1846"], 0, 2 / 3),
        ("the the the", ["a"], 1, 1),  # of both, nothing is left
        ("new new york", ["new york york"], 0, 2 / 3),  # words count as often
        ("1808", ["1809"], 0, 0),
        ("", [], 1, 1),  # no answer, and none given
        ("1808", [], 0, 0),
        ("the", [], 1, 1),  # an article is nothing
        ("", ["1808"], 0, 0),
        ("the", ["1808"], 0, 0),
        ("", ["the"], 1, 1),  # as if there were no answer
        ("", ["the", "1808"], 0, 0),
    ],
)
def test_exact_match_and_f1(prediction, answers, exact, f1):
    assert exact_match(prediction, answers) == exact
    assert f1_score(prediction, answers) == pytest.approx(f1)


def squad_rules(prediction: str, answers: list[str]) -> tuple[float, float]:
    """EM and F1 step by step, as SQuAD's script for version 2.0 has them."""

    def normalise(text):
        text = "".join(c for c in text.lower() if c not in string.punctuation)
        return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())

    answers = [a for a in answers if normalise(a)] or [""]
    exact, f1 = [], []
    for answer in answers:
        gold, given = normalise(answer).split(), normalise(prediction).split()
        exact.append(int(gold == given))
        same = sum((Counter(gold) & Counter(given)).values())
        if not gold or not given:
            f1.append(int(gold == given))
        elif same == 0:
            f1.append(0)
        else:
            precision, recall = same / len(given), same / len(gold)
            f1.append(2 * precision * recall / (precision + recall))
    return max(exact), max(f1)


PHRASES = st.lists(
    st.sampled_from(["The", "an", "a-b", "U.S.", "$5,000", "York", "new", "–"])
).map(" ".join)


@given(PHRASES, st.lists(PHRASES, max_size=3))
def test_scores_are_those_of_squad_s_rules(prediction, answers):
    exact, f1 = squad_rules(prediction, answers)
    assert exact_match(prediction, answers) == exact
    assert f1_score(prediction, answers) == pytest.approx(f1)


def reference(id: str, *answers: str) -> Question:
    context = " ".join(answers) or "nothing"
    spans = tuple(
        (context.index(a), context.index(a) + len(a)) for a in answers
    )
    return Question(id, "who ?", context, spans)


def test_squad_scores():
    asked = [reference("a", "ann"), reference("b"), reference("c", "in 1808")]
    found = squad_scores({"c": "1808", "a": "Ann.", "b": "bob"}, asked)
    assert found.exact.tolist() == [1, 0, 0]
    assert found.f1.tolist() == pytest.approx([1, 0, 2 / 3])
    assert found.answerable.tolist() == [True, False, True]
    assert str(found) == (
        "EM 0.333, F1 0.556; 2 answerable: F1 0.833; 1 unanswerable: F1 0.000"
    )


@pytest.mark.unhooked
def test_predictions_and_questions_must_fit():
    asked = [reference("a", "ann"), reference("b")]
    for predictions, message in (
        ({"a": "ann"}, "predictions lacks 1 questions, among them 'b'"),
        ({"a": "", "b": "", "z": ""}, "references lacks .* 'z'"),
    ):
        with pytest.raises(ValueError, match=message):
            squad_scores(predictions, asked)
    with pytest.raises(ValueError, match="empty"):
        squad_scores({}, [])
    with pytest.raises(ValueError, match="'a' twice"):
        squad_scores({"a": ""}, [asked[0], asked[0]])


def answer(text: str, doubt: float) -> Answer:
    return Answer(text, 0, len(text), 0.0, doubt)


def test_best_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    for _ in range(50):
        asked, answers = [], []
        for i in range(12):
            given = rng.choice(["ann", "bob spoke", "1808"])
            truth = [str(given)] if rng.random() < 0.6 else []
            asked.append(reference(str(i), *truth))
            doubt = float(rng.integers(-3, 4))
            answers.append(answer(str(given), doubt))

        def f1(threshold, asked=asked, answers=answers):
            texts = {
                q.id: "" if a.doubt > threshold else a.text
                for q, a in zip(asked, answers, strict=True)
            }
            return squad_scores(texts, asked).f1.mean()

        threshold, best = best_threshold(answers, asked)
        assert f1(threshold) == pytest.approx(best)
        assert best == pytest.approx(
            max(f1(t) for t in [-math.inf, *range(-3, 4)])
        )


def test_never_to_answer_can_be_best():
    threshold, f1 = best_threshold([answer("ann", -5.0)], [reference("a")])
    assert threshold == -math.inf and f1 == 1.0


# --- the task


def test_task_counts_and_collates(capsys):
    asked = [
        Question("a", "who ?", words(40), ((0, 3),)),
        Question("b", "who " * 20, "ann spoke", ((0, 3),)),
        Question("c", "when ?", "ann spoke"),
        Question("d", "who ?", words(30), ((0, len(words(30))),)),
    ]
    task = question_answering_task(
        model(), TOKENIZER, asked[:3] + asked[3:], questions(4),
        max_length=20, doc_stride=5, max_question=8,
    )  # fmt: skip
    first = windows("who ?", words(40), TOKENIZER, 20, 5, 8, (0, 3))
    last = windows("who ?", words(30), TOKENIZER, 20, 5, 8)
    total = len(first) + 2 + len(last)
    line = capsys.readouterr().out
    assert line == (
        f"4 questions, {total} windows, {total - 2} of them without an "
        "answer;\n1 answers are in no window; 1 questions are cut\n"
    )
    assert len(task.lengths) == total
    numbers = np.arange(total)
    tensors = task.collate(numbers)
    assert tensors["start_positions"].tolist()[0] == 4
    assert tensors["end_positions"].tolist()[len(first)] == 10
    assert model()(**tensors).loss.isfinite()


def answer_texts(reader, asked: list[Question], threshold) -> dict:
    found = predict(
        reader,
        TOKENIZER,
        [q.question for q in asked],
        [q.context for q in asked],
        threshold=threshold,
    )
    return {q.id: a.text for q, a in zip(asked, found, strict=True)}


def test_it_learns_and_the_loop_can_be_used(tmp_path, capsys):
    torch.manual_seed(0)
    reader = BertForQuestionAnswering(
        config(
            hidden_size=32, intermediate_size=64, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    )  # fmt: skip
    train, held = questions(300, 0), questions(60, 1)
    task = question_answering_task(reader, TOKENIZER, train, held)
    assert task.metrics == ("answerable_f1", "f1")
    settings = FineTuneSettings(
        epochs=12, batch_size=16, learning_rate=3e-3, device="cpu",
        dtype="float32",
    )  # fmt: skip
    reader, result = fine_tune(
        reader, task, settings, tmp_path, progress=False
    )
    assert result.best_score > 0.9
    again = from_pretrained(BertForQuestionAnswering, tmp_path)
    scores = squad_scores(answer_texts(again, held, None), held)
    answered = scores.f1[scores.answerable].mean()
    assert answered == pytest.approx(result.best_score)
    silent = squad_scores(answer_texts(again, held, 0.0), held)
    assert silent.f1[~silent.answerable].mean() > 0.9


@pytest.mark.parametrize("all_answerable", [True, False])
def test_the_task_measures_what_predict_gives(all_answerable, capsys):
    held = [q for q in questions(16, 1) if q.answers or not all_answerable]
    assert all(q.answers for q in held) == all_answerable
    reader = model()
    task = question_answering_task(reader, TOKENIZER, questions(4), held)
    answered = squad_scores(answer_texts(reader, held, None), held)
    best = answered.f1.mean()
    if not all_answerable:
        doubts = [
            a.doubt
            for a in predict(
                reader,
                TOKENIZER,
                [q.question for q in held],
                [q.context for q in held],
                threshold=None,
            )
        ]
        best = max(
            squad_scores(answer_texts(reader, held, doubt), held).f1.mean()
            for doubt in [-math.inf, *doubts]
        )
    assert task.evaluate(reader) == {
        "answerable_f1": pytest.approx(
            answered.f1[answered.answerable].mean()
        ),
        "f1": pytest.approx(best),
    }


def test_window_logits_come_back_in_order():
    reader = model()
    parts = [
        part
        for n in (3, 60, 1, 25)
        for part in windows("who ?", words(n), TOKENIZER, 20)
    ]
    together = window_logits(reader, TOKENIZER, parts, batch_size=3)
    for part, logits in zip(parts, together, strict=True):
        assert logits.shape == (2, len(part.ids))
        (alone,) = window_logits(reader, TOKENIZER, [part])
        np.testing.assert_allclose(logits, alone, atol=1e-5)


@pytest.mark.unhooked
def test_questions_that_do_not_fit():
    with pytest.raises(ValueError, match="question 'x': the answer"):
        Question("x", "who ?", "ann", ((1, 9),))
    with pytest.raises(ValueError, match="question 'x': the answer"):
        Question("x", "who ?", "ann", ((1, 1),))
    some = questions(3)
    for train, validation, named in (
        ([], some, "train"),
        (some, [], "validation"),
        (some, some, "0-0"),
        (some, [Question("x", "who ?", "ann")], "no question with an answer"),
        ([Question("blank", "who ?", "ann  .", ((3, 5),))], some, "blank"),
    ):
        with pytest.raises(ValueError, match=named):
            question_answering_task(model(), TOKENIZER, train, validation)


# --- files

ARTICLE = {
    "version": "v2.0",
    "data": [
        {
            "title": "Debt",
            "paragraphs": [
                {
                    "context": "In 1808 the “débt” fell.",
                    "qas": [
                        {
                            "id": "one",
                            "question": "When?",
                            "answers": [
                                {"text": "1808", "answer_start": 3},
                                {"text": "In 1808", "answer_start": 0},
                            ],
                            "is_impossible": False,
                        },
                        {
                            "id": "two",
                            "question": "Who?",
                            "answers": [],
                            "plausible_answers": [
                                {"text": "1808", "answer_start": 3}
                            ],
                            "is_impossible": True,
                        },
                    ],
                }
            ],
        }
    ],
}


def changed(*path, to) -> str:
    """ARTICLE as JSON, with one place changed; None takes it out."""
    article = json.loads(json.dumps(ARTICLE))
    place = article
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return json.dumps(article)


def test_read_squad(tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(ARTICLE), "utf-8")
    one, two = read_squad(path)
    assert one.texts == ["1808", "In 1808"] and one.answers[0] == (3, 7)
    assert (two.texts, two.title, two.id) == ([], "Debt", "two")


def test_write_and_read_again(tmp_path):
    asked = [
        Question("a", "Who?", "Ann spoke.", ((0, 3), (0, 9)), "x"),
        Question("b", "When?", "Ann spoke.", (), "x"),
        Question("c", "When?", "In 1808 – “here”.", ((3, 7),), "x"),
        Question("d", "When?", "In 1848.", ((3, 7),), "y"),
    ]
    path = tmp_path / "made.json"
    write_squad(asked, path)
    assert read_squad(path) == asked
    content = json.loads(path.read_text("utf-8"))
    assert content["version"] == "v2.0"
    assert [len(a["paragraphs"]) for a in content["data"]] == [2, 1]
    write_squad([asked[0], asked[3]], path)
    assert read_squad(path) == [asked[0], asked[3]]
    content = json.loads(path.read_text("utf-8"))
    assert content["version"] == "1.1"
    assert "is_impossible" not in str(content)


def test_a_file_is_read_answered_and_scored(tmp_path):
    path = tmp_path / "dev.json"
    path.write_text(json.dumps(ARTICLE), "utf-8")
    asked = read_squad(path)
    right = squad_scores({"one": "in 1808!", "two": ""}, asked)
    assert right.exact.tolist() == right.f1.tolist() == [1, 1]
    texts = answer_texts(model(), asked, threshold=None)
    assert squad_scores(texts, asked).f1[1] == 0  # it always answers


ROW = ("data", 0, "paragraphs", 0, "qas", 0)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", r"dev\.json"),
        ("[]", "'data' must be list, found list"),
        ("{}", "'data' must be list, found 'missing'"),
        ('{"data": []}', "no questions"),
        (changed(*ROW, "answers", 0, "answer_start", to=4), "'one'.*'1808'"),
        (changed(*ROW, "answers", 0, "answer_start", to=-21), "'one'"),
        (changed(*ROW, "answers", 0, "answer_start", to="3"), "answer_start"),
        (changed(*ROW, "answers", 0, "text", to=" "), "'one'"),
        (changed(*ROW, "answers", to=[]), "'one'.*0 answers"),
        (changed(*ROW, "is_impossible", to=True), "'one'.*2 answers"),
        (changed(*ROW, "id", to="two"), "'two'.*twice"),
        (changed(*ROW, "id", to=None), "'id' must be str"),
        (changed(*ROW, "question", to=None), "'one'.*'question'"),
        (changed(*ROW[:4], "context", to=7), "'context'"),
    ],
)
def test_damaged_files(tmp_path, content, message):
    path = tmp_path / "dev.json"
    path.write_text(content, "utf-8")
    with pytest.raises(ValueError, match=message):
        read_squad(path)


@pytest.mark.unhooked
def test_no_file_and_no_utf8(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_squad(tmp_path / "none.json")
    path = tmp_path / "latin.json"
    path.write_bytes(b'{"data": "\xe9"}')
    with pytest.raises(ValueError, match=r"latin\.json"):
        read_squad(path)


def rows(*titles: str) -> list[dict]:
    """Rows as `datasets` gives them for SQuAD 2.0."""
    return [
        {
            "id": f"{title}-{i}",
            "title": title,
            "context": "In 1808 the debt fell.",
            "question": "When?",
            "answers": {
                "text": ["1808"] * (1 - i),
                "answer_start": [3] * (1 - i),
            },
        }
        for title in titles
        for i in range(2)
    ]


def test_full_reads_squad_through_datasets(monkeypatch):
    asked, damaged = [], []
    fake = types.ModuleType("datasets")

    def load_dataset(name):
        asked.append(name)
        titles = [f"t{i:03}" for i in range(50)]
        return {"train": rows(*titles), "validation": rows("v") + damaged}

    fake.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", fake)
    parts = reading_questions(full=True)
    assert asked == ["rajpurkar/squad_v2"]
    assert {q.title for q in parts.validation} == {"t000", "t045"}
    assert len(parts.train) == 96 and len(parts.test) == 2
    assert [q.texts for q in parts.test] == [["1808"], []]
    damaged += rows("x")
    damaged[0]["answers"]["answer_start"] = [2]
    with pytest.raises(ValueError, match="validation, question 'x-0'"):
        reading_questions(full=True)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError):
        reading_questions(full=True)


# --- questions made by rule


MADE = runpy.run_path(str(DATA / "make_questions.py"))


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("It fell on March 3, 1899.", [("date", "March 3, 1899")]),
        ("It began in June 1846 and ended.", [("date", "June 1846")]),
        ("It cost $2,300,000.", [("number", "$2,300,000")]),
        ("It cost 90 per cent more.", [("number", "90 per cent")]),
        ("About 1,500 men left.", [("number", "1,500 men")]),
        ("Nearly 5 million of them left.", [("number", "5 million")]),
        ("We trust Great Britain.", [("name", "Great Britain")]),
        (
            "We asked the Bank of England.",
            [("organisation", "Bank of England")],
        ),
        ("We saw the old wooden bridge.", [("phrase", "old wooden bridge")]),
        ("It was for Mr. Hay to speak.", [("name", "Hay")]),
        ("It went to James Monroe.", [("person", "James Monroe")]),
        (
            "It signed the Treaty of Ghent.",
            [("law", "Treaty of Ghent")],
        ),
        (
            "It fell because of heavy rains in the spring, they said.",
            [("reason", "heavy rains in the spring")],
        ),
        ("Nothing is here", []),
    ],
)
def test_find_answers(sentence, expected):
    found = MADE["find_answers"](sentence)
    assert [(kind, sentence[a:b]) for kind, a, b in found] == expected


NEIGHBOURS = MADE["Neighbours"]()


def asked_for(
    sentence: str, answer: str, kind: str, drop=0.0, replace=0.0
) -> str | None:
    start = sentence.index(answer)
    rules = MADE["Rules"](drop=drop, replace=replace)
    return MADE["ask"](
        sentence, kind, start, start + len(answer), rules, NEIGHBOURS,
        random.Random(1),
    )  # fmt: skip


def test_ask():
    debt = "The public debt was reduced in 1808, as you know."
    assert asked_for(debt, "1808", "date") in (
        "In what year the public debt was reduced?",
        "When the public debt was reduced?",
    )
    men = "We sent nearly 1,500 men to the coast of Africa."
    assert asked_for(men, "1,500 men", "number") == (
        "How many men we sent nearly to the coast of africa?"
    )
    hay = "A note was signed by Mr. Hay and the minister."
    assert asked_for(hay, "Hay", "name") == (
        "By whom a note was signed and the minister?"
    )
    assert asked_for("He left in May.", "May", "date") is None
    long = "The public debt of all the states was reduced in 1808."
    assert len(asked_for(long, "1808", "date", 0.3).split()) < 3 + 9


def test_some_words_give_way_to_neighbours():
    debt = "The public debt was reduced in 1808, as you know."
    reworded = asked_for(debt, "1808", "date", replace=1.0)
    words = reworded.rstrip("?").split()[-5:]  # a word for a word
    assert words[0] == "the" and words[3] == "was"
    for word, place in (("public", 1), ("debt", 2), ("reduced", 4)):
        assert words[place] in NEIGHBOURS.of(word)


def test_neighbours():
    assert "loan" in NEIGHBOURS.of("debt") and len(NEIGHBOURS.of("debt")) == 5
    for word in ("of", "Debt", "1808", "xyzxyz", ""):
        assert NEIGHBOURS.of(word) == []
    assert "debt" not in NEIGHBOURS.of("debt")


def test_passages():
    text = state_of_the_union()[3].text
    passages_of, sizes = MADE["passages_of"], set()
    for lengths in ((60,), (20, 90)):
        for sentences in passages_of(text, lengths, random.Random(0)):
            start, end = sentences[0][0], sentences[-1][1]
            words = len(text[start:end].split())
            before = len(text[start : sentences[-1][0]].split())
            fitting = [n for n in lengths if before < n <= words]
            assert fitting
            sizes.add(fitting[0])
            for a, b in sentences:
                assert text[a:b] == text[a:b].strip() != ""
    assert sizes == {20, 60, 90}


@pytest.mark.parametrize("rules", [MADE["VERBATIM"], MADE["Rules"]()])
def test_made_questions(rules):
    documents = state_of_the_union()[:20:3]
    made = MADE["Maker"](documents, rules).make(120)
    assert made == MADE["Maker"](documents, rules).make(120)
    texts, counts = {d.id: d.text for d in documents}, made["counts"]
    asked = made["questions"]
    assert len(asked) == len({row["id"] for row in asked}) == 120
    assert sum(not row["answers"] for row in asked) == counts["unanswerable"]
    kinds = [n for name, n in counts.items() if name.startswith("asks for")]
    assert sum(kinds) == 120 and len(kinds) == 9
    for row in asked:
        document, first, last = made["passages"][row["passage"]]
        start = int(row["id"].removeprefix(document + "-"))
        assert row["question"].endswith("?")
        if row["answers"]:
            ((a, b),) = row["answers"]
            assert first <= a == start and b <= last and 0 < b - a < 120
        else:
            assert not first <= start < last
            assert last <= len(texts[document])


@pytest.mark.unhooked
def test_too_many_questions():
    with pytest.raises(ValueError, match="count must be at most"):
        MADE["Maker"](state_of_the_union()[:1], MADE["VERBATIM"]).make(10_000)


def test_the_stored_questions_are_those_that_the_rules_make():
    stored = (DATA / "made_questions.json").read_text("utf-8")
    assert MADE["as_text"](MADE["make_all"]()) == stored


def test_parts_of_the_reading_questions():
    parts = reading_questions()
    positions = {d.id: i for i, d in enumerate(state_of_the_union())}
    for name, expected in (
        ("train", lambda i: i % 10 not in (4, 9)),
        ("validation", lambda i: i % 10 == 4),
        ("test", is_held_out),
    ):
        part = getattr(parts, name)
        assert len({q.id for q in part}) == len(part)
        assert all(expected(positions[q.title]) for q in part), name
        share = np.mean([not q.answers for q in part])
        assert 0.2 < share < 0.3, name
    made = MADE["make_all"](20, for_validation=True)
    assert all(positions[p[0]] % 10 == 4 for p in made["passages"])


def test_questions_at_places():
    document = state_of_the_union()[0]
    stored = {
        "passages": [[document.id, 10, 60]],
        "questions": [
            {
                "id": "a",
                "passage": 0,
                "question": "Who?",
                "answers": [[12, 20]],
            },
            {"id": "b", "passage": 0, "question": "Why?", "answers": []},
        ],
    }
    first, second = questions_at(stored)
    assert first.texts == [document.text[12:20]] and second.answers == ()
    assert first.context == document.text[10:60]
    assert first.title == document.id
    stored["questions"][0]["answers"] = [[5, 20]]
    with pytest.raises(ValueError, match="question 'a': the answer"):
        questions_at(stored)


def test_gold_questions():
    gold = reading_questions().test
    assert len(gold) == 191
    assert sum(not q.answers for q in gold) == 48
    assert len({q.context for q in gold}) == 48
    perfect = {q.id: (q.texts or [""])[0] for q in gold}
    assert squad_scores(perfect, gold).exact.all()
    silent = squad_scores(dict.fromkeys(perfect, ""), gold)
    assert silent.f1.sum() == 48


# --- the stored runs

RUNS = runpy.run_path(str(DATA / "run_question_answering.py"))
overlap_answer = RUNS["overlap_answer"]


def test_overlap_answers_near_the_words_of_the_question():
    context = (
        "Cotton was sold in the south. "
        + "Nothing was heard for many weeks and months. " * 6
        + "The debt was reduced by two million dollars. "
        + "Nothing was heard for many weeks and months. " * 6
    )
    start, end = overlap_answer("By how much was the debt reduced?", context)
    around = context[max(start - 60, 0) : end + 60]
    assert "debt" in around
    assert overlap_answer("what was reduced by two?", context, 2) == (
        context.index("million"), context.index("dollars") + len("dollars")
    )  # fmt: skip


def test_overlap_has_a_size_and_edges():
    assert overlap_answer("who", "one two three four", size=4) == (0, 18)
    assert overlap_answer("who", "one two", size=3) == (0, 0)
    assert overlap_answer("one two", "one two", size=1) == (0, 0)
    assert overlap_answer("", "") == (0, 0)


def test_every_run_of_the_chapter_on_a_few_questions(tmp_path, capsys):
    """The script behind data/question_answering.json, from end to end."""
    work = RUNS["Work"](tmp_path, smoke=True)
    runs = RUNS["every_run"](work)
    assert len(runs) == 9
    capsys.readouterr()
    again = RUNS["every_run"](work)
    assert again == runs and capsys.readouterr().out == ""  # nothing is done
    RUNS["store"](work, again, tmp_path / "out.json")
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))
    check_stored(stored, RUNS["parts_of"](True).test)
    systems = [run["system"] for run in stored["runs"] if "deleted" in run]
    assert sorted(systems) == ["blind", "minilm", "ours", "scratch"]
    tried = [run for run in runs if run["system"] == "minilm"]
    assert [run["questions"] for run in tried] == ["verbatim", "reworded"]
    best = max(tried, key=lambda run: run["validation"])
    assert [run is best for run in tried] == ["asked" in run for run in tried]
    other = work.run(RUNS["random_span"], system="random", seed=9)
    assert (other["system"], other["seed"]) == ("random", 9)


def check_stored(stored: dict, gold: list[Question]) -> None:
    """What is stored of each answer follows from its place."""
    truth = "".join(str(int(bool(q.answers))) for q in gold)
    assert stored["answerable"] == truth
    for run in stored["runs"]:
        for part in ("asked", "deleted"):
            if part not in run:
                continue
            texts = {
                q.id: q.context[a:b]
                for q, (a, b) in zip(gold, run[part]["spans"], strict=True)
            }
            scores = squad_scores(texts, gold)
            np.testing.assert_allclose(scores.f1, run[part]["f1"], atol=1e-4)
            exact = [int(digit) for digit in run[part]["exact"]]
            assert scores.exact.tolist() == exact
            if "threshold" in run:
                assert len(run[part]["doubts"]) == len(gold)


def test_stored_runs_fit_the_questions():
    stored = json.loads((DATA / "question_answering.json").read_text("utf-8"))
    check_stored(stored, reading_questions().test)
    answered = [run["system"] for run in stored["runs"] if "asked" in run]
    assert answered.count("ours") == answered.count("minilm") == 3
    blind = [run for run in stored["runs"] if run["system"] == "blind"]
    assert len(blind) == 3


def test_windows_are_plain_data():
    (part,) = windows("who ?", "ann", TOKENIZER)
    assert isinstance(part, Window)
    assert all(type(value) is bool for value in part.central)
    assert all(type(value) is int for value in part.ids)
