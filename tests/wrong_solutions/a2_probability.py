"""What students get wrong in the refresher on probability."""

WRONG = {
    "a2-ex1-check": [
        # zeros give nan
        """
import numpy as np
def kl(p, q):
    return (p * np.log(p / q)).sum()
""",
        # nan taken for 0: an impossible event costs nothing
        """
import numpy as np
def kl(p, q):
    both = (p > 0) & (q > 0)
    return (p[both] * np.log(p[both] / q[both])).sum()
""",
        # bits
        """
import numpy as np
def kl(p, q):
    kept = p > 0
    return (p[kept] * np.log2(p[kept] / q[kept])).sum()
""",
        # p and q exchanged
        """
import numpy as np
def kl(p, q):
    kept = q > 0
    return (q[kept] * np.log(q[kept] / p[kept])).sum()
""",
        # the sign
        """
import numpy as np
def kl(p, q):
    kept = p > 0
    return (p[kept] * np.log(q[kept] / p[kept])).sum()
""",
        # the cross-entropy
        """
import numpy as np
def kl(p, q):
    kept = p > 0
    return -(p[kept] * np.log(q[kept])).sum()
""",
        # the mean instead of the sum
        """
import numpy as np
def kl(p, q):
    kept = p > 0
    return (p[kept] * np.log(p[kept] / q[kept])).mean()
""",
        # a small number added everywhere
        """
import numpy as np
def kl(p, q):
    p, q = p + 1e-12, q + 1e-12
    return (p * np.log(p / q)).sum()
""",
        # infinite wherever q is 0, even if p is 0 too
        """
import numpy as np
def kl(p, q):
    if np.any(q == 0):
        return np.inf
    kept = p > 0
    return (p[kept] * np.log(p[kept] / q[kept])).sum()
""",
        # returns the terms
        """
import numpy as np
def kl(p, q):
    print((p * np.log(p / q)).sum())
""",
    ],
    "a2-ex2-check": [
        # the product of ten thousand probabilities is 0
        """
import numpy as np
def posterior(prior, log_likelihood):
    weights = prior * np.exp(log_likelihood.sum(axis=0))
    return weights / weights.sum()
""",
        # no prior
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = log_likelihood.sum(axis=0)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
""",
        # not divided by p(b)
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = np.log(prior) + log_likelihood.sum(axis=0)
    return np.exp(scores)
""",
        # the mean over the words
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = np.log(prior) + log_likelihood.mean(axis=0)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
""",
        # the prior is multiplied with logarithms
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = prior * log_likelihood.sum(axis=0)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
""",
        # the prior counts once for each word
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = (np.log(prior) + log_likelihood).sum(axis=0)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
""",
        # divided by the largest instead of the sum
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = np.log(prior) + log_likelihood.sum(axis=0)
    return np.exp(scores - scores.max())
""",
        # summed over the authors
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = np.log(prior) + log_likelihood.sum(axis=1)
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()
""",
        # the logarithms of the answer
        """
import numpy as np
def posterior(prior, log_likelihood):
    scores = np.log(prior) + log_likelihood.sum(axis=0)
    return scores - np.log(np.exp(scores - scores.max()).sum()) - scores.max()
""",
    ],
    "a2-ex3-check": [
        # the covariance is still missing
        """
import numpy as np
def error_of_difference(a, b):
    return np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
""",
        # the covariance once, not twice
        """
import numpy as np
def error_of_difference(a, b):
    c = np.cov(a, b)
    return np.sqrt((c[0, 0] + c[1, 1] - c[0, 1]) / len(a))
""",
        # the sign of the covariance
        """
import numpy as np
def error_of_difference(a, b):
    return np.std(a + b, ddof=1) / np.sqrt(len(a))
""",
        # not divided by the root of n
        """
import numpy as np
def error_of_difference(a, b):
    return np.std(a - b, ddof=1)
""",
        # divided by n
        """
import numpy as np
def error_of_difference(a, b):
    return np.std(a - b, ddof=1) / len(a)
""",
        # the difference of two standard errors
        """
import numpy as np
def error_of_difference(a, b):
    return abs(a.std(ddof=1) - b.std(ddof=1)) / np.sqrt(len(a))
""",
        # the variance
        """
import numpy as np
def error_of_difference(a, b):
    return np.var(a - b, ddof=1) / len(a)
""",
        # already the half-width of the interval
        """
import numpy as np
def error_of_difference(a, b):
    return 1.96 * np.std(a - b, ddof=1) / np.sqrt(len(a))
""",
        # the covariance four times
        """
import numpy as np
def error_of_difference(a, b):
    c = np.cov(a, b)
    return np.sqrt(abs(c[0, 0] + c[1, 1] - 4 * c[0, 1]) / len(a))
""",
        # the correlation in place of the covariance
        """
import numpy as np
def error_of_difference(a, b):
    r = np.corrcoef(a, b)[0, 1]
    return np.sqrt(abs(a.var() + b.var() - 2 * r) / len(a))
""",
    ],
}
