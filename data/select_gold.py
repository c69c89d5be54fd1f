"""Choose what is annotated by hand: sentences and passages, by stated rules.

    python data/select_gold.py sentences > FILE
    python data/select_gold.py passages > FILE

Everything comes from the held-out addresses (positions 9, 19, 29, … of the
sorted ids), which no model of this book is trained on. A sentence has 6 to 50
words; 14 are drawn from each address. A passage is a run of whole paragraphs
with 250 words or a little more; two that do not touch are drawn from each
address. One line of JSON each: number, document, start, end, text.
"""

import json
import random
import re
import sys
from collections.abc import Iterator

from bertlib.corpora import (
    Document,
    split_documents,
    split_sentences,
    state_of_the_union,
)

SEED = 0
SENTENCES, PASSAGES = 14, 2  # from each address
WORDS = range(6, 51)
PASSAGE_WORDS = 250


def sentences(document: Document) -> Iterator[tuple[int, int]]:
    """Yield the places of the document's sentences that are long enough."""
    place = 0
    for sentence in split_sentences(document.text):
        start = document.text.find(sentence, place)
        if start < 0:  # white space inside was joined by the splitter
            continue
        place = start + len(sentence)
        if len(sentence.split()) in WORDS:
            yield start, place


def passages(document: Document) -> Iterator[tuple[int, int]]:
    """Yield runs of paragraphs, one behind the other."""
    start = words = 0
    for paragraph in re.finditer(
        r"\S.*?(?=\n\s*\n|\s*\Z)", document.text, re.S
    ):
        if words == 0:
            start = paragraph.start()
        words += len(paragraph[0].split())
        if words >= PASSAGE_WORDS:
            yield start, paragraph.end()
            words = 0


def choose(kind: str) -> Iterator[dict[str, object]]:
    """Yield the chosen places of all held-out addresses, in their order."""
    rng = random.Random(SEED)
    cut, count = {
        "sentences": (sentences, SENTENCES),
        "passages": (passages, PASSAGES),
    }[kind]
    number = 0
    for document in split_documents(state_of_the_union())[1]:
        places = list(cut(document))
        for start, end in sorted(rng.sample(places, min(count, len(places)))):
            yield {
                "number": number,
                "document": document.id,
                "start": start,
                "end": end,
                "text": document.text[start:end],
            }
            number += 1


if __name__ == "__main__":
    for row in choose(sys.argv[1]):
        print(json.dumps(row, ensure_ascii=False))
