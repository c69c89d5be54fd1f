"""What students get wrong in chapter 0."""

WRONG = {
    "ch00-ex1-check": [
        # the logarithm to base 2
        """
import math
def entropy(counts):
    total = sum(counts.values())
    if not total:
        raise ValueError("nothing")
    return -sum(n / total * math.log2(n / total) for n in counts.values() if n)
""",
        # no error for an empty dictionary
        """
import math
def entropy(counts):
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values() if n)
""",
        # counts instead of shares
        """
import math
def entropy(counts):
    if not sum(counts.values()):
        raise ValueError("nothing")
    return -sum(n * math.log(n) for n in counts.values() if n)
""",
        # the mean over kinds, not over words
        """
import math
def entropy(counts):
    total = sum(counts.values())
    if not total:
        raise ValueError("nothing")
    return -sum(math.log(n / total) for n in counts.values() if n) / len(counts)
""",
        # a count of zero turns into one
        """
import math
def entropy(counts):
    if not sum(counts.values()):
        raise ValueError("nothing")
    counts = {w: max(n, 1) for w, n in counts.items()}
    total = sum(counts.values())
    return -sum(n / total * math.log(n / total) for n in counts.values())
""",
    ],
    "ch00-ex2-check": [
        # divides by all occurrences, the last word's too
        """
from collections import Counter
def mixture(ids, vocab_size, weight):
    single, pair = Counter(ids), Counter(zip(ids, ids[1:]))
    def probability(left, right):
        unigram = (single[right] + 1) / (len(ids) + vocab_size)
        if single[left] == 0:
            return unigram
        return (1 - weight) * pair[left, right] / single[left] + weight * unigram
    return probability
""",
        # the weights exchanged
        """
from collections import Counter
def mixture(ids, vocab_size, weight):
    single, pair, follows = Counter(ids), Counter(zip(ids, ids[1:])), Counter(ids[:-1])
    def probability(left, right):
        unigram = (single[right] + 1) / (len(ids) + vocab_size)
        if follows[left] == 0:
            return unigram
        return weight * pair[left, right] / follows[left] + (1 - weight) * unigram
    return probability
""",
        # a unigram without smoothing
        """
from collections import Counter
def mixture(ids, vocab_size, weight):
    single, pair, follows = Counter(ids), Counter(zip(ids, ids[1:])), Counter(ids[:-1])
    def probability(left, right):
        unigram = single[right] / len(ids)
        if follows[left] == 0:
            return unigram
        return (1 - weight) * pair[left, right] / follows[left] + weight * unigram
    return probability
""",
        # left and right exchanged
        """
from collections import Counter
def mixture(ids, vocab_size, weight):
    single, pair, follows = Counter(ids), Counter(zip(ids, ids[1:])), Counter(ids[:-1])
    def probability(left, right):
        unigram = (single[right] + 1) / (len(ids) + vocab_size)
        if follows[left] == 0:
            return unigram
        return (1 - weight) * pair[right, left] / follows[left] + weight * unigram
    return probability
""",
    ],
    "ch00-ex3-check": [
        # the ones are gone
        """
def repaired_unigram(counts, vocab_size):
    total = sum(counts.values())
    return [counts.get(i, 0) / total for i in range(vocab_size)]
""",
        # the bug
        """
def repaired_unigram(counts, vocab_size):
    total = sum(counts.values())
    return [(counts.get(i, 0) + 1) / total for i in range(vocab_size)]
""",
        # adds up to one, but a tiny number is not one
        """
def repaired_unigram(counts, vocab_size):
    total = sum(counts.values()) + 1e-3 * vocab_size
    return [(counts.get(i, 0) + 1e-3) / total for i in range(vocab_size)]
""",
        # only the words that were seen are counted
        """
def repaired_unigram(counts, vocab_size):
    total = sum(counts.values()) + len(counts)
    return [(counts.get(i, 0) + 1) / total for i in range(vocab_size)]
""",
    ],
}
