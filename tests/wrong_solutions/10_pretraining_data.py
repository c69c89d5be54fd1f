"""What students get wrong in chapter 10."""

NEXT = """
def random_next(documents, own, target, rng):
    {others}
    document = documents[rng.choice(others)]
    tokens = []
    for segment in document[{start}:]:
        {body}
    return tokens
"""
OTHERS = "others = [d for d in range(len(documents)) if d != own]"
START = "rng.randrange(len(document))"
BODY = (
    "tokens += segment\n        if len(tokens) >= target:\n            break"
)

WORDS = """
def choose_words(pieces, number, rng):
    words = []
    for place, piece in enumerate(pieces):
        {special}
        if {joins}:
            words[-1].append(place)
        else:
            words.append([place])
    {shuffle}
    chosen = []
    for word in words:
        {take}
    return {result}
"""
RIGHT = {
    "special": "if piece in ('[CLS]', '[SEP]'): continue",
    "joins": "piece.startswith('##') and words and words[-1][-1] == place - 1",
    "shuffle": "rng.shuffle(words)",
    "take": "if len(chosen) + len(word) <= number: chosen += word",
    "result": "sorted(chosen)",
}

WRONG = {
    "ch10-ex1-check": [
        # its own document too
        NEXT.format(
            others="others = list(range(len(documents)))",
            start=START,
            body=BODY,
        ),
        # the next document, always
        NEXT.format(
            others="others = [(own + 1) % len(documents)]",
            start=START,
            body=BODY,
        ),
        # always from the beginning
        NEXT.format(others=OTHERS, start="0", body=BODY),
        # never the last segment
        NEXT.format(
            others=OTHERS,
            start="rng.randrange(max(1, len(document) - 1))",
            body=BODY,
        ),
        # never stops
        NEXT.format(others=OTHERS, start=START, body="tokens += segment"),
        # stops before the target
        NEXT.format(
            others=OTHERS,
            start=START,
            body="if len(tokens) + len(segment) > target: break\n"
            "        tokens += segment",
        ),
        # cuts inside a segment
        NEXT.format(others=OTHERS, start=START, body=BODY).replace(
            "return tokens", "return tokens[:target]"
        ),
        # more than the target
        NEXT.format(others=OTHERS, start=START, body=BODY.replace(">=", ">")),
        # nothing where A fills the room
        NEXT.format(
            others=OTHERS,
            start=START,
            body="if len(tokens) >= target: break\n        tokens += segment",
        ),
        # a list of segments
        NEXT.format(
            others=OTHERS,
            start=START,
            body="tokens.append(segment)\n"
            "        if sum(map(len, tokens)) >= target: break",
        ),
        # the document's first segment grows
        """
def random_next(documents, own, target, rng):
    others = [d for d in range(len(documents)) if d != own]
    document = documents[rng.choice(others)]
    start = rng.randrange(len(document))
    tokens = document[start]
    for segment in document[start + 1:]:
        if len(tokens) >= target:
            break
        tokens += segment
    return tokens
""",
        # every segment of the corpus alike
        """
def random_next(documents, own, target, rng):
    places = [(d, s) for d in range(len(documents)) if d != own
              for s in range(len(documents[d]))]
    d, start = rng.choice(places)
    tokens = []
    for segment in documents[d][start:]:
        tokens += segment
        if len(tokens) >= target:
            break
    return tokens
""",
    ],
    "ch10-ex2-check": [
        WORDS.format(**{**RIGHT, **change})
        for change in (
            # special tokens may be chosen
            {"special": "pass"},
            # the special tokens' neighbours are joined
            {"joins": "piece.startswith('##') and words"},
            # pieces alone
            {"joins": "False"},
            # never at random
            {"shuffle": "pass"},
            # the shortest first
            {"shuffle": "rng.shuffle(words); words.sort(key=len)"},
            # stops at the first word that is too long
            {
                "take": "if len(chosen) + len(word) > number: break\n"
                "        chosen += word"
            },
            # one more than allowed
            {"take": "if len(chosen) < number: chosen += word"},
            # a word in part
            {"take": "chosen += word[:number - len(chosen)]"},
            # not sorted
            {"result": "chosen"},
        )
    ]
    + [
        # fails where A begins inside a word
        WORDS.format(**{**RIGHT, "joins": "piece.startswith('##')"}),
    ],
    "ch10-ex3-check": [
        # the labels come first, but the text still changes
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    chosen = rng.random(ids.shape) < 0.15
    fate = rng.random(ids.shape)
    labels = np.where(chosen, ids, -100)
    ids[chosen & (fate < 0.8)] = mask_id
    replaced = chosen & (fate >= 0.9)
    ids[replaced] = rng.integers(vocab_size, size=replaced.sum())
    return ids, labels
""",
        # a copy, but the labels come last
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    ids = ids.copy()
    chosen = rng.random(ids.shape) < 0.15
    fate = rng.random(ids.shape)
    ids[chosen & (fate < 0.8)] = mask_id
    replaced = chosen & (fate >= 0.9)
    ids[replaced] = rng.integers(vocab_size, size=replaced.sum())
    return ids, np.where(chosen, ids, -100)
""",
        # labels only where something changed
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    chosen = rng.random(ids.shape) < 0.15
    fate = rng.random(ids.shape)
    shown = ids.copy()
    shown[chosen & (fate < 0.8)] = mask_id
    replaced = chosen & (fate >= 0.9)
    shown[replaced] = rng.integers(vocab_size, size=replaced.sum())
    return shown, np.where(shown != ids, ids, -100)
""",
        # hides all that is chosen
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    chosen = rng.random(ids.shape) < 0.15
    return np.where(chosen, mask_id, ids), np.where(chosen, ids, -100)
""",
        # labels everywhere
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    chosen = rng.random(ids.shape) < 0.15
    fate = rng.random(ids.shape)
    shown = ids.copy()
    shown[chosen & (fate < 0.8)] = mask_id
    return shown, ids.copy()
""",
        # the original fates: random tokens where nothing is asked
        """
import numpy as np

def mask_batch(ids, rng, mask_id=4, vocab_size=8192):
    chosen = rng.random(ids.shape) < 0.15
    fate = rng.random(ids.shape)
    labels = np.where(chosen, ids, -100)
    shown = ids.copy()
    shown[chosen & (fate < 0.8)] = mask_id
    replaced = fate >= 0.9
    shown[replaced] = rng.integers(vocab_size, size=replaced.sum())
    return shown, labels
""",
    ],
}
