"""What students get wrong in chapter 1."""

WRONG = {
    "ch01-ex1-check": [
        # the greedy longest match instead of the merges in their order
        """
def cut_by_merges(word, merges):
    vocab = {a + b[2:] for a, b in merges}
    pieces, start = [], 0
    while start < len(word):
        mark = "##" if start else ""
        for end in range(len(word), start, -1):
            piece = mark + word[start:end]
            if piece in vocab or end == start + 1:
                break
        pieces.append(piece)
        start = end
    return pieces
""",
        # no marks inside the word
        """
def cut_by_merges(word, merges):
    pieces = list(word)
    for a, b in merges:
        a, b = a.removeprefix("##"), b.removeprefix("##")
        i = 0
        while i < len(pieces) - 1:
            if pieces[i] == a and pieces[i + 1] == b:
                pieces[i : i + 2] = [a + b]
            i += 1
    return pieces
""",
        # only the first place of each pair
        """
def cut_by_merges(word, merges):
    pieces = [word[0]] + ["##" + c for c in word[1:]]
    for a, b in merges:
        for i in range(len(pieces) - 1):
            if pieces[i] == a and pieces[i + 1] == b:
                pieces[i : i + 2] = [a + b[2:]]
                break
    return pieces
""",
        # the marks of the second piece stay inside
        """
def cut_by_merges(word, merges):
    pieces = [word[0]] + ["##" + c for c in word[1:]]
    for a, b in merges:
        out = []
        for piece in pieces:
            if out and out[-1] == a and piece == b:
                out[-1] = a + b
            else:
                out.append(piece)
        pieces = out
    return pieces
""",
        # last merge first
        """
def cut_by_merges(word, merges):
    pieces = [word[0]] + ["##" + c for c in word[1:]]
    for a, b in reversed(merges):
        out = []
        for piece in pieces:
            if out and out[-1] == a and piece == b:
                out[-1] = a + b[2:]
            else:
                out.append(piece)
        pieces = out
    return pieces
""",
        # from right to left
        """
def cut_by_merges(word, merges):
    pieces = [word[0]] + ["##" + c for c in word[1:]]
    for a, b in merges:
        i = len(pieces) - 2
        while i >= 0:
            if pieces[i : i + 2] == [a, b]:
                pieces[i : i + 2] = [a + b[2:]]
            i -= 1
    return pieces
""",
        # forgets to return
        """
def cut_by_merges(word, merges):
    pieces = [word[0]] + ["##" + c for c in word[1:]]
""",
    ],
    "ch01-ex2-check": [
        # the label at every piece
        """
def spread_labels(labels, word_ids):
    return [-100 if w is None else labels[w] for w in word_ids]
""",
        # compares labels instead of words
        """
def spread_labels(labels, word_ids):
    out, last = [], None
    for w in word_ids:
        label = None if w is None else labels[w]
        out.append(-100 if w is None or label == last else label)
        last = label
    return out
""",
        # takes word 0 for "no word"
        """
def spread_labels(labels, word_ids):
    out, last = [], None
    for w in word_ids:
        out.append(labels[w] if w and w != last else -100)
        last = w
    return out
""",
        # the label at the last piece
        """
def spread_labels(labels, word_ids):
    out = []
    for i, w in enumerate(word_ids):
        last = w is not None and word_ids[i + 1] != w
        out.append(labels[w] if last else -100)
    return out
""",
        # leaves the special tokens out
        """
def spread_labels(labels, word_ids):
    out, last = [], None
    for w in word_ids:
        if w is not None:
            out.append(labels[w] if w != last else -100)
        last = w
    return out
""",
        # 0 for "no label"
        """
def spread_labels(labels, word_ids):
    out, last = [], None
    for w in word_ids:
        out.append(labels[w] if w is not None and w != last else 0)
        last = w
    return out
""",
    ],
    "ch01-ex3-check": [
        # the bug itself
        """
def repaired_match(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        fits = [e for e in range(start + 1, len(word) + 1)
                if prefix + word[start:e] in vocab]
        if not fits:
            pieces.append("[UNK]")
            break
        pieces.append(prefix + word[start:fits[-1]])
        start = fits[-1]
    return pieces
""",
        # goes on behind the unknown letter
        """
def repaired_match(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        fits = [e for e in range(start + 1, len(word) + 1)
                if prefix + word[start:e] in vocab]
        if not fits:
            pieces.append("[UNK]")
            start += 1
            continue
        pieces.append(prefix + word[start:fits[-1]])
        start = fits[-1]
    return pieces
""",
        # the shortest piece
        """
def repaired_match(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        fits = [e for e in range(start + 1, len(word) + 1)
                if prefix + word[start:e] in vocab]
        if not fits:
            return ["[UNK]"]
        pieces.append(prefix + word[start:fits[0]])
        start = fits[0]
    return pieces
""",
        # no marks inside the word
        """
def repaired_match(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        fits = [e for e in range(start + 1, len(word) + 1)
                if word[start:e] in vocab]
        if not fits:
            return ["[UNK]"]
        pieces.append(word[start:fits[-1]])
        start = fits[-1]
    return pieces
""",
        # the known pieces are dropped, the result is empty
        """
def repaired_match(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        fits = [e for e in range(start + 1, len(word) + 1)
                if prefix + word[start:e] in vocab]
        if not fits:
            return []
        pieces.append(prefix + word[start:fits[-1]])
        start = fits[-1]
    return pieces
""",
    ],
    "ch01-ex5-check": [
        # greedy
        """
def fewest_pieces(word, vocab):
    pieces, start = [], 0
    while start < len(word):
        prefix = "##" if start else ""
        for end in range(len(word), start, -1):
            if prefix + word[start:end] in vocab:
                break
        else:
            return ["[UNK]"]
        pieces.append(prefix + word[start:end])
        start = end
    return pieces
""",
        # greedy from the right
        """
def fewest_pieces(word, vocab):
    pieces, end = [], len(word)
    while end:
        for start in range(end):
            prefix = "##" if start else ""
            if prefix + word[start:end] in vocab:
                break
        else:
            return ["[UNK]"]
        pieces.insert(0, prefix + word[start:end])
        end = start
    return pieces
""",
        # the first cut that works, not the shortest
        """
def fewest_pieces(word, vocab):
    best = [[]] + [None] * len(word)
    for j in range(1, len(word) + 1):
        for i in range(j - 1, -1, -1):
            piece = ("##" if i else "") + word[i:j]
            if best[i] is not None and piece in vocab and best[j] is None:
                best[j] = best[i] + [piece]
    return best[-1] or ["[UNK]"]
""",
        # ignores the marks
        """
def fewest_pieces(word, vocab):
    plain = {p.removeprefix("##") for p in vocab}
    best = [[]] + [None] * len(word)
    for j in range(1, len(word) + 1):
        for i in range(j):
            if best[i] is not None and word[i:j] in plain and (
                    best[j] is None or len(best[i]) + 1 < len(best[j])):
                best[j] = best[i] + [("##" if i else "") + word[i:j]]
    return best[-1] or ["[UNK]"]
""",
        # None where there is no cut
        """
def fewest_pieces(word, vocab):
    best = [[]] + [None] * len(word)
    for j in range(1, len(word) + 1):
        for i in range(j):
            piece = ("##" if i else "") + word[i:j]
            if best[i] is not None and piece in vocab and (
                    best[j] is None or len(best[i]) + 1 < len(best[j])):
                best[j] = best[i] + [piece]
    return best[-1]
""",
    ],
}
