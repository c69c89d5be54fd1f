"""What students get wrong in chapter 4."""

WRONG = {
    "ch04-ex1-check": [
        # the derivative by t s, summed: always 0
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s - (t * s).max())
    a = a / a.sum()
    return float((a * ((V - a @ V) @ g)).sum())
""",
        # the factor t instead of s
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s - (t * s).max())
    a = a / a.sum()
    return float(t * (a * ((V - a @ V) @ g)).sum() + (a * (V @ g)).sum())
""",
        # forgets that the weights add up to one
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s - (t * s).max())
    a = a / a.sum()
    return float((a * (V @ g)) @ s)
""",
        # weights without the sharpness
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(s - s.max())
    a = a / a.sum()
    return float((a * ((V - a @ V) @ g)) @ s)
""",
        # subtracts the largest score before multiplying: wrong chain factor
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s - (t * s).max())
    a = a / a.sum()
    return float((a * ((V - a @ V) @ g)) @ (t * s))
""",
        # overflows
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s)
    a = a / a.sum()
    return float((a * ((V - a @ V) @ g)) @ s)
""",
        # a row instead of a number
        """
import numpy as np
def sharpness_gradient(s, V, g, t):
    a = np.exp(t * s - (t * s).max())
    a = a / a.sum()
    return a * ((V - a @ V) @ g) * s
""",
    ],
    "ch04-ex2-check": [
        # a softmax in every block, then the mean of the blocks
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    outputs = []
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        a = np.exp(s - s.max())
        outputs.append(a @ V[i:i + size] / a.sum())
    return np.mean(outputs, axis=0)
""",
        # never shrinks what was summed up with a smaller largest score
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = -np.inf, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        largest = max(largest, s.max())
        e = np.exp(s - largest)
        total, mixture = total + e.sum(), mixture + e @ V[i:i + size]
    return mixture / total
""",
        # shrinks the sum but not the mixture
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = -np.inf, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        new = max(largest, s.max())
        e = np.exp(s - new)
        total = total * np.exp(largest - new) + e.sum()
        mixture = mixture + e @ V[i:i + size]
        largest = new
    return mixture / total
""",
        # the largest score of the block, not the largest so far
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = 0.0, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        shrink = np.exp(largest - s.max()) if i else 0.0
        largest = s.max()
        e = np.exp(s - largest)
        total = shrink * total + e.sum()
        mixture = shrink * mixture + e @ V[i:i + size]
    return mixture / total
""",
        # subtracts the largest score of the first block for ever
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    c = (K[:size] @ q / np.sqrt(len(q))).max()
    total, mixture = 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        e = np.exp(K[i:i + size] @ q / np.sqrt(len(q)) - c)
        total, mixture = total + e.sum(), mixture + e @ V[i:i + size]
    return mixture / total
""",
        # subtracts nothing
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    total, mixture = 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        e = np.exp(K[i:i + size] @ q / np.sqrt(len(q)))
        total, mixture = total + e.sum(), mixture + e @ V[i:i + size]
    return mixture / total
""",
        # starts from 0 as the largest score: all scores may be far below
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = 0.0, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        new = max(largest, s.max())
        e = np.exp(s - new)
        total = total * np.exp(largest - new) + e.sum()
        mixture = mixture * np.exp(largest - new) + e @ V[i:i + size]
        largest = new
    return mixture / total
""",
        # leaves out the last block if it is not full
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = -np.inf, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K) - size + 1, size):
        s = K[i:i + size] @ q / np.sqrt(len(q))
        new = max(largest, s.max())
        e = np.exp(s - new)
        total = total * np.exp(largest - new) + e.sum()
        mixture = mixture * np.exp(largest - new) + e @ V[i:i + size]
        largest = new
    return mixture / total
""",
        # forgets the divisor
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    largest, total, mixture = -np.inf, 0.0, np.zeros(V.shape[1])
    for i in range(0, len(K), size):
        s = K[i:i + size] @ q
        new = max(largest, s.max())
        e = np.exp(s - new)
        total = total * np.exp(largest - new) + e.sum()
        mixture = mixture * np.exp(largest - new) + e @ V[i:i + size]
        largest = new
    return mixture / total
""",
        # all scores at once
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    s = K @ q / np.sqrt(len(q))
    a = np.exp(s - s.max())
    return a @ V / a.sum()
""",
        # all scores at once, by a method that no block is read with
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    s = K.dot(q) / np.sqrt(len(q))
    a = np.exp(s - s.max())
    return a.dot(V) / a.sum()
""",
        # reads one key at a time, and holds all scores
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    s = np.array([k @ q for k in K]) / np.sqrt(len(q))
    a = np.exp(s - s.max())
    return sum(w * v for w, v in zip(a, V)) / a.sum()
""",
        # reads in blocks, and holds all scores
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    starts = range(0, len(K), size)
    s = np.concatenate([K[i:i + size] @ q for i in starts]) / np.sqrt(len(q))
    a = np.exp(s - s.max()) / np.exp(s - s.max()).sum()
    return sum(a[i:i + size] @ V[i:i + size] for i in starts)
""",
        # a copy of all keys
        """
import numpy as np
def attention_in_blocks(q, K, V, size):
    s = np.einsum("md,d->m", np.array(K), q) / np.sqrt(len(q))
    a = np.exp(s - s.max())
    return np.einsum("m,mv->v", a, np.array(V)) / a.sum()
""",
    ],
    "ch04-ex3-check": [
        # both bugs
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / key.shape[-2] ** 0.5
    weights = scores.softmax(dim=-1) * keep[:, None, :]
    return weights @ value, weights
""",
        # the mask is repaired, the divisor is not
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / key.shape[-2] ** 0.5
    scores = scores.masked_fill(~keep[:, None, :], -1e30)
    weights = scores.softmax(dim=-1)
    return weights @ value, weights
""",
        # the divisor is repaired, the mask is not
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = scores.softmax(dim=-1) * keep[:, None, :]
    return weights @ value, weights
""",
        # masked scores of 0 still get weight
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = (scores * keep[:, None, :]).softmax(dim=-1)
    return weights @ value, weights
""",
        # the mask on queries
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = scores.masked_fill(~keep[:, :, None], -1e30).softmax(dim=-1)
    return weights @ value, weights
""",
        # the mask the wrong way round
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = scores.masked_fill(keep[:, None, :], -1e30).softmax(dim=-1)
    return weights @ value, weights
""",
        # the width of the values
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / value.shape[-1] ** 0.5
    weights = scores.masked_fill(~keep[:, None, :], -1e30).softmax(dim=-1)
    return weights @ value, weights
""",
        # no divisor at all
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1)
    weights = scores.masked_fill(~keep[:, None, :], -1e30).softmax(dim=-1)
    return weights @ value, weights
""",
        # a softmax over the queries, made to look right by a division
        """
def repaired_attention(query, key, value, keep):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = scores.softmax(dim=-2) * keep[:, None, :]
    weights = weights / weights.sum(dim=-1, keepdim=True)
    return weights @ value, weights
""",
    ],
}
