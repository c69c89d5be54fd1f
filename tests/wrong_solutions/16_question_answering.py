"""Solutions of chapter 16's exercises that the checks must reject."""

WRONG = {
    "ch16-ex1-check": [
        # the two ends chosen separately
        """
def best_span(start, end, first, last, longest):
    places = range(first, last + 1)
    return (max(places, key=lambda i: start[i]),
            max(places, key=lambda j: end[j]))
""",
        # all places of the input
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(len(start))
             for j in range(i, min(i + longest, len(start)))]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # the last place is left out
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(first, last)
             for j in range(i, min(i + longest, last))]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # one piece too long
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(first, last + 1)
             for j in range(i, min(i + longest + 1, last + 1))]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # no length limit
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(first, last + 1)
             for j in range(i, last + 1)]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # an answer has two pieces or more
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(first, last + 1)
             for j in range(i + 1, min(i + longest, last + 1))]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # the end may come before the start
        """
def best_span(start, end, first, last, longest):
    places = range(first, last + 1)
    pairs = [(i, j) for i in places for j in places if j - i < longest]
    return max(pairs, key=lambda p: start[p[0]] + end[p[1]])
""",
        # the product instead of the sum
        """
def best_span(start, end, first, last, longest):
    pairs = [(i, j) for i in range(first, last + 1)
             for j in range(i, min(i + longest, last + 1))]
    return max(pairs, key=lambda p: start[p[0]] * end[p[1]])
""",
        # starts from 0: negative sums never win
        """
def best_span(start, end, first, last, longest):
    best, found = 0, (first, first)
    for i in range(first, last + 1):
        for j in range(i, min(i + longest, last + 1)):
            if start[i] + end[j] > best:
                best, found = start[i] + end[j], (i, j)
    return found
""",
        # of equal ones the last
        """
def best_span(start, end, first, last, longest):
    best, found = float("-inf"), None
    for i in range(first, last + 1):
        for j in range(i, min(i + longest, last + 1)):
            if start[i] + end[j] >= best:
                best, found = start[i] + end[j], (i, j)
    return found
""",
        # the best start first, then the best end for it
        """
def best_span(start, end, first, last, longest):
    i = max(range(first, last + 1), key=lambda k: start[k])
    j = max(range(i, min(i + longest, last + 1)), key=lambda k: end[k])
    return i, j
""",
    ],
    "ch16-ex2-check": [
        # ends included
        """
def answer_pieces(offsets, start, end):
    if start < offsets[0][0] or end > offsets[-1][1]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a <= end and start <= b]
    return touched[0], touched[-1]
""",
        # only pieces that lie whole in the answer
        """
def answer_pieces(offsets, start, end):
    if start < offsets[0][0] or end > offsets[-1][1]:
        return None
    inside = [n for n, (a, b) in enumerate(offsets)
              if start <= a and b <= end]
    return (inside[0], inside[-1]) if inside else None
""",
        # a part of the answer is enough
        """
def answer_pieces(offsets, start, end):
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return (touched[0], touched[-1]) if touched else None
""",
        # behind the window is not looked at
        """
def answer_pieces(offsets, start, end):
    if start < offsets[0][0] or start >= offsets[-1][1]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return touched[0], touched[-1]
""",
        # before the window is not looked at
        """
def answer_pieces(offsets, start, end):
    if end > offsets[-1][1] or end <= offsets[0][0]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return touched[0], touched[-1]
""",
        # the end is excluded in the result, too
        """
def answer_pieces(offsets, start, end):
    if start < offsets[0][0] or end > offsets[-1][1]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return touched[0], touched[-1] + 1
""",
        # pieces must begin and end with the answer
        """
def answer_pieces(offsets, start, end):
    starts = [a for a, _ in offsets]
    ends = [b for _, b in offsets]
    if start not in starts or end not in ends:
        return None
    return starts.index(start), ends.index(end)
""",
        # (0, 0) instead of None
        """
def answer_pieces(offsets, start, end):
    if start < offsets[0][0] or end > offsets[-1][1]:
        return 0, 0
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return touched[0], touched[-1]
""",
        # characters counted from the window's first
        """
def answer_pieces(offsets, start, end):
    shift = offsets[0][0]
    if start < shift or end > offsets[-1][1]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a - shift < end and start < b - shift]
    return (touched[0], touched[-1]) if touched else None
""",
        # an answer at the window's very edge counts as outside
        """
def answer_pieces(offsets, start, end):
    if start <= offsets[0][0] or end >= offsets[-1][1]:
        return None
    touched = [n for n, (a, b) in enumerate(offsets)
               if a < end and start < b]
    return touched[0], touched[-1]
""",
    ],
}
