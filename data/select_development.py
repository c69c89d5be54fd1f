"""Choose what is annotated by hand to choose by: sentences and passages.

    python data/select_development.py sentences > FILE
    python data/select_development.py passages > FILE

For data/gold/development.json, one sentence of 6 to 50 words from each address
that is not held out. They serve to write the rules of chapter 15 and to choose
between settings; nothing is reported on them, and no model is trained on them.

For data/gold/development_questions.json, one passage of 250 words or a little
more, as those of the gold questions, from each address at the positions 4, 14,
24, … of the sorted ids. Chapter 16 chooses by them, and trains on none of
these addresses.

All are drawn at random (seed 0). One line of JSON each: number, document,
start, end, text.
"""

import json
import random
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

from bertlib.corpora import is_held_out, state_of_the_union

SEED = 0


def choose(kind: str) -> Iterator[dict[str, object]]:
    """Yield the chosen sentences or passages, in the order of the ids."""
    cut = runpy.run_path(str(Path(__file__).with_name("select_gold.py")))[kind]
    documents = [
        document
        for number, document in enumerate(state_of_the_union())
        if (
            number % 10 == 4 if kind == "passages" else not is_held_out(number)
        )
    ]
    rng = random.Random(SEED)
    for number, document in enumerate(documents):
        start, end = rng.choice(list(cut(document)))
        yield {
            "number": number,
            "document": document.id,
            "start": start,
            "end": end,
            "text": document.text[start:end],
        }


if __name__ == "__main__":
    for row in choose(sys.argv[1]):
        print(json.dumps(row, ensure_ascii=False))
