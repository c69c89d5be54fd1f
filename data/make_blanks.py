"""Draw the twenty blanks of chapter 00 and write data/blanks.json.

The rule: of the held-out addresses since 1945, take every sentence of 8 to
18 words without digits or brackets; draw twenty at random (seed 0); in each,
blank one word at random, never the first or the last. Stored are offsets
into the document, never its text.
"""

import json
import random
import re

from bertlib.corpora import (
    data_folder,
    split_documents,
    split_sentences,
    state_of_the_union,
)

WORD = re.compile(r"[A-Za-z]+(?:['’][A-Za-z]+)*")


def draw_blanks(number: int = 20, seed: int = 0) -> list[dict]:
    """Return places: document id, sentence start and end, word start, end."""
    candidates = []
    for document in split_documents(state_of_the_union())[1]:
        if int(document.id[:4]) < 1945:
            continue
        end = 0
        for sentence in split_sentences(document.text):
            start = document.text.index(sentence, end)
            end = start + len(sentence)
            words = list(WORD.finditer(sentence))
            if 8 <= len(words) <= 18 and not re.search(
                r"[\d()\[\]]", sentence
            ):
                candidates.append((document.id, start, end, words))
    generator = random.Random(seed)
    places = []
    for name, start, end, words in generator.sample(candidates, number):
        word = generator.choice(words[1:-1])
        places.append(
            {
                "document": name,
                "start": start,
                "word": start + word.start(),
                "word_end": start + word.end(),
                "end": end,
            }
        )
    return places


def to_json(places: list[dict]) -> str:
    """Return the file's text, one place a line."""
    rows = ",\n".join(json.dumps(place) for place in places)
    return f"[\n{rows}\n]\n"


if __name__ == "__main__":
    path = data_folder() / "blanks.json"
    path.write_text(to_json(draw_blanks()), encoding="utf-8")
