"""Wrong solutions that the checks of chapter 17 must reject."""

WRONG = {
    "ch17-ex1-check": [
        # rounded down
        """
def trials_needed(share, certainty):
    return math.floor(math.log(1 - certainty) / math.log(1 - share) - 1e-9)
""",
        # not rounded
        """
def trials_needed(share, certainty):
    return math.log(1 - certainty) / math.log(1 - share)
""",
        # rounded to the nearest
        """
def trials_needed(share, certainty):
    return round(math.log(1 - certainty) / math.log(1 - share))
""",
        # the arguments exchanged
        """
def trials_needed(share, certainty):
    return math.ceil(math.log(1 - share) / math.log(1 - certainty) - 1e-9)
""",
        # the chance that all are good
        """
def trials_needed(share, certainty):
    return math.ceil(math.log(certainty) / math.log(share) - 1e-9)
""",
        # how many on average, not with this certainty
        """
def trials_needed(share, certainty):
    return math.ceil(1 / share)
""",
        # chances added up, as if two hits could not happen together
        """
def trials_needed(share, certainty):
    return math.ceil(certainty / share - 1e-9)
""",
        # certainty in place of 1 - certainty
        """
def trials_needed(share, certainty):
    return math.ceil(math.log(certainty) / math.log(1 - share) - 1e-9)
""",
        # one too many
        """
def trials_needed(share, certainty):
    n = 1
    while 1 - (1 - share) ** n < certainty:
        n += 1
    return n + 1
""",
        # more than needed where the numbers come out even
        """
def trials_needed(share, certainty):
    n = 1
    while 1 - (1 - share) ** n <= certainty:
        n += 1
    return n
""",
        # prints, returns nothing
        """
def trials_needed(share, certainty):
    print(math.ceil(math.log(1 - certainty) / math.log(1 - share)))
""",
    ],
    "ch17-ex2-check": [
        # with replacement
        """
def best_of_different(scores, n):
    m, ordered = len(scores), sorted(scores)
    return sum(v * (((i + 1) / m) ** n - (i / m) ** n)
               for i, v in enumerate(ordered))
""",
        # not sorted
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    return sum(comb(i, n - 1) * v for i, v in enumerate(scores)) / total
""",
        # the worst of n
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    ordered = sorted(scores, reverse=True)
    return sum(comb(i, n - 1) * v for i, v in enumerate(ordered)) / total
""",
        # counts all n among those below
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    return sum(comb(i, n) * v for i, v in enumerate(sorted(scores))) / total
""",
        # the place itself counted as below
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    return sum(comb(i + 1, n - 1) * v
               for i, v in enumerate(sorted(scores))) / total
""",
        # divided by the wrong number of sets
        """
def best_of_different(scores, n):
    total = comb(len(scores), n - 1)
    return sum(comb(i, n - 1) * v
               for i, v in enumerate(sorted(scores))) / total
""",
        # equal scores counted once
        """
def best_of_different(scores, n):
    ordered = sorted(set(scores))
    total = comb(len(ordered), n)
    return sum(comb(i, n - 1) * v for i, v in enumerate(ordered)) / total
""",
        # sorts the list that was given
        """
def best_of_different(scores, n):
    scores.sort()
    total = comb(len(scores), n)
    return sum(comb(i, n - 1) * v for i, v in enumerate(scores)) / total
""",
        # the best so far in the order given
        """
def best_of_different(scores, n):
    return max(scores[:n])
""",
        # sets in which the order matters are counted on one side only
        """
def best_of_different(scores, n):
    from math import perm
    total = perm(len(scores), n)
    return sum(comb(i, n - 1) * v
               for i, v in enumerate(sorted(scores))) / total
""",
        # looks only at scores above 0
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    return max(0, sum(comb(i, n - 1) * v
                      for i, v in enumerate(sorted(scores))) / total)
""",
        # nothing returned
        """
def best_of_different(scores, n):
    total = comb(len(scores), n)
    sum(comb(i, n - 1) * v for i, v in enumerate(sorted(scores))) / total
""",
    ],
}
