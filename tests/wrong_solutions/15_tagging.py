"""Solutions of chapter 15's exercises that the checks must reject."""

WRONG = {
    "ch15-ex1-check": [
        # every piece carries the label
        """
def piece_labels(word_ids, labels):
    return [-100 if word is None else labels[word] for word in word_ids]
""",
        # the last piece instead of the first
        """
def piece_labels(word_ids, labels):
    after = list(word_ids[1:]) + [None]
    return [-100 if word is None or word == later else labels[word]
            for word, later in zip(word_ids, after)]
""",
        # special tokens are O
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        if word is None:
            found.append(0)
        else:
            found.append(labels[word] if word != before else -100)
        before = word
    return found
""",
        # special tokens are left out
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        if word is not None:
            found.append(labels[word] if word != before else -100)
        before = word
    return found
""",
        # the label 0 is taken for no label
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        label = labels[word] if word is not None and word != before else 0
        found.append(label or -100)
        before = word
    return found
""",
        # word 0 is taken for no word
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        found.append(labels[word] if word and word != before else -100)
        before = word
    return found
""",
        # a neighbour with the same label is taken for the same word
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        label = None if word is None else labels[word]
        found.append(-100 if label is None or label == before else label)
        before = label
    return found
""",
        # the labels are used up
        """
def piece_labels(word_ids, labels):
    found, before = [], None
    for word in word_ids:
        first = word is not None and word != before
        found.append(labels.pop(0) if first else -100)
        before = word
    return found
""",
        # a text without words fails
        """
def piece_labels(word_ids, labels):
    found = [-100] * len(word_ids)
    for word in range(max(w for w in word_ids if w is not None) + 1):
        found[word_ids.index(word)] = labels[word]
    return found
""",
    ],
    "ch15-ex2-check": [
        # the rules of BIO
        """
def is_legal(before, after):
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if next_mark == "I":
        return mark in "BI" and kind == next_kind
    return True
""",
        # an entity need not be ended
        """
def is_legal(before, after):
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if next_mark in "IE":
        return mark in "BI" and kind == next_kind
    return True
""",
        # an entity may change its kind
        """
def is_legal(before, after):
    mark = (before or "O")[0]
    next_mark = (after or "O")[0]
    return (mark in "BI") == (next_mark in "IE")
""",
        # a text may end within an entity
        """
def is_legal(before, after):
    if after is None:
        return True
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = after.partition("-")
    if mark in "BI":
        return next_mark in "IE" and kind == next_kind
    return next_mark in "OBS"
""",
        # a text may start with anything
        """
def is_legal(before, after):
    if before is None:
        return True
    mark, _, kind = before.partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if mark in "BI":
        return next_mark in "IE" and kind == next_kind
    return next_mark in "OBS"
""",
        # after an end comes O
        """
def is_legal(before, after):
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if mark in "BI":
        return next_mark in "IE" and kind == next_kind
    return next_mark in ("OBS" if mark == "O" else "O")
""",
        # an entity has at most two words
        """
def is_legal(before, after):
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if mark in "BI":
        return next_mark == "E" and kind == next_kind
    return next_mark in "OBS"
""",
        # nothing stands for one of the marks
        """
def is_legal(before, after):
    mark, _, kind = (before or "S").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if mark in "BI":
        return next_mark in "IE" and kind == next_kind
    return next_mark in ("OBS" if mark != "O" else "OB")
""",
        # nothing is returned for what is not legal
        """
def is_legal(before, after):
    mark, _, kind = (before or "O").partition("-")
    next_mark, _, next_kind = (after or "O").partition("-")
    if mark in "BI":
        if next_mark in "IE" and kind == next_kind:
            return True
    elif next_mark in "OBS":
        return True
""",
    ],
}
