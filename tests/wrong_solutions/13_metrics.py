"""What students get wrong in chapter 13."""

WRONG = {
    "ch13-ex1-check": [
        # the accuracy
        """
def micro_f1(matrix, counted):
    return matrix.trace() / matrix.sum()
""",
        # only the rows and columns of the counted classes
        """
def micro_f1(matrix, counted):
    part = matrix[counted][:, counted]
    return part.trace() / part.sum() if part.sum() else 0.0
""",
        # the mean of the classes' F1: macro
        """
def micro_f1(matrix, counted):
    f1 = []
    for k in counted:
        both = matrix[:, k].sum() + matrix[k].sum()
        f1.append(2 * matrix[k, k] / both if both else 0.0)
    return sum(f1) / len(f1)
""",
        # the recall
        """
def micro_f1(matrix, counted):
    present = sum(matrix[k].sum() for k in counted)
    return sum(matrix[k, k] for k in counted) / present if present else 0.0
""",
        # the precision
        """
def micro_f1(matrix, counted):
    marked = sum(matrix[:, k].sum() for k in counted)
    return sum(matrix[k, k] for k in counted) / marked if marked else 0.0
""",
        # the plain mean of precision and recall
        """
def micro_f1(matrix, counted):
    found = sum(matrix[k, k] for k in counted)
    marked = sum(matrix[:, k].sum() for k in counted)
    present = sum(matrix[k].sum() for k in counted)
    if not marked or not present:
        return 0.0
    return (found / marked + found / present) / 2
""",
        # a factor 2 is missing
        """
def micro_f1(matrix, counted):
    found = sum(matrix[k, k] for k in counted)
    both = sum(matrix[:, k].sum() + matrix[k].sum() for k in counted)
    return found / both if both else 0.0
""",
        # counts all classes that are not in the list
        """
def micro_f1(matrix, counted):
    kept = [k for k in range(len(matrix)) if k not in counted]
    found = sum(matrix[k, k] for k in kept)
    both = sum(matrix[:, k].sum() + matrix[k].sum() for k in kept)
    return 2 * found / both if both else 0.0
""",
        # 0/0 is not thought of
        """
def micro_f1(matrix, counted):
    found = sum(matrix[k, k] for k in counted)
    both = sum(matrix[:, k].sum() + matrix[k].sum() for k in counted)
    return 2 * found / both
""",
        # nothing is perfect
        """
def micro_f1(matrix, counted):
    found = sum(matrix[k, k] for k in counted)
    both = sum(matrix[:, k].sum() + matrix[k].sum() for k in counted)
    return 2 * found / both if both else 1.0
""",
    ],
    "ch13-ex2-check": [
        # the best of all
        """
def expected_best(results, k):
    return max(results)
""",
        # the mean
        """
def expected_best(results, k):
    return sum(results) / len(results)
""",
        # without replacement
        """
def expected_best(results, k):
    import itertools
    k = min(k, len(results))
    draws = [max(d) for d in itertools.combinations(results, k)]
    return sum(draws) / len(draws)
""",
        # the largest of the first k
        """
def expected_best(results, k):
    return max(results[:k])
""",
        # by the bell curve
        """
def expected_best(results, k):
    import math, statistics
    spread = statistics.pstdev(results) * math.sqrt(2 * math.log(k))
    return statistics.mean(results) + spread
""",
        # by random draws
        """
def expected_best(results, k):
    import random
    random.seed(0)
    draws = [max(random.choices(results, k=k)) for _ in range(2000)]
    return sum(draws) / len(draws)
""",
        # sorted the other way round: the worst of k
        """
def expected_best(results, k):
    m = len(results)
    return sum(v * ((i + 1) ** k - i**k) / m**k
               for i, v in enumerate(sorted(results, reverse=True)))
""",
        # not sorted
        """
def expected_best(results, k):
    m = len(results)
    return sum(v * ((i + 1) ** k - i**k) / m**k
               for i, v in enumerate(results))
""",
        # sorts the list itself
        """
def expected_best(results, k):
    m = len(results)
    results.sort()
    return sum(v * ((i + 1) ** k - i**k) / m**k
               for i, v in enumerate(results))
""",
        # equal results are merged
        """
def expected_best(results, k):
    values = sorted(set(results))
    m = len(values)
    return sum(v * ((i + 1) ** k - i**k) / m**k
               for i, v in enumerate(values))
""",
        # "below" instead of "at most"
        """
def expected_best(results, k):
    m = len(results)
    values = sorted(results)
    return sum(v * (i**k - max(i - 1, 0) ** k) / m**k
               for i, v in enumerate(values))
""",
        # scores are taken for positive
        """
def expected_best(results, k):
    m, total, before = len(results), 0.0, 0.0
    for i, v in enumerate(sorted(results)):
        total += (max(v, 0) - before) * (1 - (i / m) ** k)
        before = max(v, 0)
    return total
""",
    ],
    "ch13-ex3-check": [
        # one index array, nothing else
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), 100)
        results.append(first[i].mean() - second[i].mean())
    return np.quantile(results, (0.05, 0.95))
""",
        # the resample still holds 100
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), 100)
        results.append(first[i].mean() - second[i].mean())
    return np.quantile(results, (0.025, 0.975))
""",
        # still cuts off 5 % on either side
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), len(first))
        results.append(first[i].mean() - second[i].mean())
    return np.quantile(results, (0.05, 0.95))
""",
        # still two index arrays
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), len(first))
        j = rng.integers(0, len(second), len(second))
        results.append(first[i].mean() - second[j].mean())
    return np.quantile(results, (0.025, 0.975))
""",
        # without replacement: no spread at all
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.permutation(len(first))
        results.append(first[i].mean() - second[i].mean())
    return np.quantile(results, (0.025, 0.975))
""",
        # divided by the root of the resamples
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), len(first))
        results.append(first[i].mean() - second[i].mean())
    half = 1.96 * np.std(results) / resamples**0.5
    return np.mean(results) - half, np.mean(results) + half
""",
        # second minus first
        """
def repaired_interval(first, second, rng, resamples=2000):
    import numpy as np
    results = []
    for _ in range(resamples):
        i = rng.integers(0, len(first), len(first))
        results.append(second[i].mean() - first[i].mean())
    return np.quantile(results, (0.025, 0.975))
""",
    ],
}
