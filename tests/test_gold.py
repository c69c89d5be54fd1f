"""The hand-made annotations: their places, against the packaged text."""

import json
import runpy
from collections import Counter

import pytest

from bertlib.corpora import (
    data_folder,
    split_documents,
    state_of_the_union,
)

GOLD = data_folder() / "gold"
LABELS = {"PERSON", "PLACE", "ORGANISATION", "DATE", "LAW"}
TEXTS = {d.id: d.text for d in state_of_the_union()}
HELD_OUT = {d.id: d.text for d in split_documents(state_of_the_union())[1]}


@pytest.fixture(scope="module")
def entities() -> dict:
    return json.loads((GOLD / "entities.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def questions() -> dict:
    return json.loads((GOLD / "questions.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def development() -> dict:
    path = GOLD / "development_questions.json"
    return json.loads(path.read_text("utf-8"))


def starts_and_ends_at_words(text: str, start: int, end: int) -> bool:
    """Neither cut out of a longer word nor with spaces at its ends."""
    words = text[start:end]
    before, after = text[start - 1 : start], text[end : end + 1]
    return (
        0 <= start < end <= len(text)
        and words == words.strip()
        and not (before.isalnum() and words[0].isalnum())
        and not (after.isalnum() and words[-1].isalnum())
    )


def test_what_is_annotated_was_chosen_by_the_rule(entities, questions):
    select = runpy.run_path(str(data_folder() / "select_gold.py"))
    for kind, stored in (
        ("sentences", entities["sentences"]),
        ("passages", questions["passages"]),
    ):
        chosen = [
            [row["document"], row["start"], row["end"]]
            for row in select["choose"](kind)
        ]
        assert stored == chosen, kind


def test_development_passages_were_chosen_by_the_rule(development):
    select = runpy.run_path(str(data_folder() / "select_development.py"))
    chosen = [
        [row["document"], row["start"], row["end"]]
        for row in select["choose"]("passages")
    ]
    assert development["passages"] == chosen and len(chosen) == 25


def test_entities_lie_within_their_sentences(entities) -> None:
    assert len(entities["sentences"]) >= 300
    for reading in ("first reading", "second reading", "gold"):
        spans = entities[reading]
        assert {label for *_, label in spans} == LABELS
        for document, start, end, _ in spans:
            assert starts_and_ends_at_words(HELD_OUT[document], start, end)
            assert any(
                document == where and first <= start < end <= last
                for where, first, last in entities["sentences"]
            )
        places = [
            (document, place)
            for document, start, end, _ in spans
            for place in range(start, end)
        ]
        assert max(Counter(places).values()) == 1, "spans overlap"


def test_every_gold_entity_comes_from_a_reading(entities) -> None:
    first, second, gold = (
        {tuple(span) for span in entities[name]}
        for name in ("first reading", "second reading", "gold")
    )
    assert first & second <= gold <= first | second


@pytest.mark.parametrize(
    ("name", "count"), [("questions", 191), ("development", 100)]
)
def test_questions_and_answers(name, count, request) -> None:
    questions = request.getfixturevalue(name)
    asked = questions["questions"]
    assert len(asked) == count
    assert len({q["question"] for q in asked}) == len(asked)
    assert len({q["id"] for q in asked}) == len(asked)
    for q in asked:
        document, first, last = questions["passages"][q["passage"]]
        assert q["question"].endswith("?")
        answers = q["answers"] + [a for a in [q.get("second reading")] if a]
        for start, end in answers:
            assert first <= start < end <= last
            text = TEXTS[document]
            assert (document in HELD_OUT) == (name == "questions")
            assert starts_and_ends_at_words(text, start, end)
            assert len(text[start:end].split()) <= 12
    unanswerable = sum(not q["answers"] for q in asked)
    assert 0.2 < unanswerable / len(asked) < 0.3
