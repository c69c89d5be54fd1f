"""Choose the sentences of data/gold/development.json, by a stated rule.

    python data/select_development.py > FILE

One sentence of 6 to 50 words from each address that is not held out, drawn
at random (seed 0). They serve to write the rules of chapter 15 and to choose
between settings; nothing is reported on them, and no model is trained on
them. One line of JSON each: number, document, start, end, text.
"""

import json
import random
import runpy
from collections.abc import Iterator
from pathlib import Path

from bertlib.corpora import split_documents, state_of_the_union

SEED = 0


def choose() -> Iterator[dict[str, object]]:
    """Yield the chosen places of all training addresses, in their order."""
    gold = runpy.run_path(str(Path(__file__).with_name("select_gold.py")))
    rng = random.Random(SEED)
    for number, document in enumerate(
        split_documents(state_of_the_union())[0]
    ):
        start, end = rng.choice(list(gold["sentences"](document)))
        yield {
            "number": number,
            "document": document.id,
            "start": start,
            "end": end,
            "text": document.text[start:end],
        }


if __name__ == "__main__":
    for row in choose():
        print(json.dumps(row, ensure_ascii=False))
