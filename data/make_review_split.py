"""Split the rated film-review sentences and write data/review_split.json.

    python data/make_review_split.py

The rule, fixed before anything was trained: ratings beyond ±0.5 are positive
or negative, the others are left out; of sentences with the same text only the
first stays. The rest is shuffled (seed 0) and cut: 1,500 to test, 800 to
validate, all others to train. Stored are ids, never a sentence.
"""

import json
import random
import textwrap

from bertlib.corpora import data_folder, movie_review_sentences

BEYOND, TEST, VALIDATION = 0.5, 1500, 800


def split(seed: int = 0) -> dict[str, list[str]]:
    """Return the ids of each part, in the order of the archive."""
    seen, ids = set(), []
    for sentence in movie_review_sentences():
        if abs(sentence.rating) > BEYOND and sentence.text not in seen:
            seen.add(sentence.text)
            ids.append(sentence.id)
    place = {name: i for i, name in enumerate(ids)}
    random.Random(seed).shuffle(ids)
    parts = {
        "train": ids[TEST + VALIDATION :],
        "validation": ids[TEST : TEST + VALIDATION],
        "test": ids[:TEST],
    }
    return {name: sorted(p, key=place.get) for name, p in parts.items()}


def to_json(parts: dict[str, list[str]]) -> str:
    """Return the file's text, many ids a line."""
    rows = [
        f'"{name}": ' + "\n".join(textwrap.wrap(json.dumps(ids), 78))
        for name, ids in parts.items()
    ]
    return "{" + ",\n".join(rows) + "}\n"


if __name__ == "__main__":
    path = data_folder() / "review_split.json"
    path.write_text(to_json(split()), encoding="utf-8")
