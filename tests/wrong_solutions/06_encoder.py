"""What students get wrong in chapter 6."""

WRONG = {
    "ch06-ex1-check": [
        # the survivors are not scaled
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random(x.shape) >= p)
""",
        # scaled in use too
        """
def dropout(x, p, training, rng):
    if not training:
        return x * (1 - p)
    return x * (rng.random(x.shape) >= p) / (1 - p)
""",
        # training is ignored
        """
def dropout(x, p, training, rng):
    return x * (rng.random(x.shape) >= p) / (1 - p)
""",
        # p is the share that is kept
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random(x.shape) < p) / p
""",
        # divides by p
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random(x.shape) >= p) / p
""",
        # whole rows
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random((len(x), 1)) >= p) / (1 - p)
""",
        # the same columns in every row
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random(x.shape[1]) >= p) / (1 - p)
""",
        # writes into x
        """
def dropout(x, p, training, rng):
    if training:
        x[rng.random(x.shape) < p] = 0
        x /= 1 - p
    return x
""",
        # the mask alone, without x
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return (rng.random(x.shape) >= p) / (1 - p)
""",
        # scaled for p = 0.2, whatever p is
        """
def dropout(x, p, training, rng):
    if not training:
        return x
    return x * (rng.random(x.shape) >= p) / 0.8
""",
        # always exactly the share p: not independent
        """
import numpy as np
def dropout(x, p, training, rng):
    if not training:
        return x
    kept = np.ones(x.size)
    kept[rng.permutation(x.size)[:int(p * x.size)]] = 0
    return x * kept.reshape(x.shape) / (1 - p)
""",
        # its own random numbers
        """
import numpy as np
def dropout(x, p, training, rng):
    if not training:
        return x
    own = np.random.default_rng(0)
    return x * (own.random(x.shape) >= p) / (1 - p)
""",
    ],
    "ch06-ex2-check": [
        # the slope of ReLU
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    by_x = (G @ W2.T) * (x > 0)
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), (x * Phi).T @ G, G.sum(0)
""",
        # half of the product rule
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    by_x = (G @ W2.T) * Phi
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), (x * Phi).T @ G, G.sum(0)
""",
        # the slope at the output of GELU
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    y = x * Phi
    slope = (0.5 * (1 + torch.erf(y / math.sqrt(2)))
             + y * torch.exp(-y**2 / 2) / math.sqrt(2 * math.pi))
    by_x = (G @ W2.T) * slope
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), y.T @ G, G.sum(0)
""",
        # the first bias is forgotten
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    density = torch.exp(-x**2 / 2) / math.sqrt(2 * math.pi)
    by_x = (G @ W2.T) * (Phi + x * density)
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), (x * Phi).T @ G, G.sum(0)
""",
        # the biases row by row
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    density = torch.exp(-x**2 / 2) / math.sqrt(2 * math.pi)
    by_x = (G @ W2.T) * (Phi + x * density)
    return by_x @ W1.T, H.T @ by_x, by_x, (x * Phi).T @ G, G
""",
        # the mean over rows
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    density = torch.exp(-x**2 / 2) / math.sqrt(2 * math.pi)
    by_x = (G @ W2.T) * (Phi + x * density)
    return by_x @ W1.T, H.T @ by_x, by_x.mean(0), (x * Phi).T @ G, G.mean(0)
""",
        # W2 multiplies GELU(x), not x
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    Phi = 0.5 * (1 + torch.erf(x / math.sqrt(2)))
    density = torch.exp(-x**2 / 2) / math.sqrt(2 * math.pi)
    by_x = (G @ W2.T) * (Phi + x * density)
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), x.T @ G, G.sum(0)
""",
        # GELU's tanh form
        """
import math, torch
def feed_forward_backward(H, W1, b1, W2, b2, G):
    x = H @ W1 + b1
    k = math.sqrt(2 / math.pi)
    t = torch.tanh(k * (x + 0.044715 * x**3))
    slope = 0.5 * (1 + t) + 0.5 * x * (1 - t**2) * k * (1 + 3 * 0.044715 * x**2)
    by_x = (G @ W2.T) * slope
    y = 0.5 * x * (1 + t)
    return by_x @ W1.T, H.T @ by_x, by_x.sum(0), y.T @ G, G.sum(0)
""",
    ],
    "ch06-ex3-check": [
        # the bugs
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=1, keepdim=True)
    return (x - mean) / (x.std(dim=1, keepdim=True) + eps)
""",
        # only the axis is repaired
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / (x.std(dim=-1, keepdim=True) + eps)
""",
        # eps still outside the root
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / (x.std(dim=-1, keepdim=True, correction=0) + eps)
""",
        # the variance still divides by d - 1
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / (x.var(dim=-1, keepdim=True) + eps).sqrt()
""",
        # no eps
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / x.std(dim=-1, keepdim=True, correction=0)
""",
        # over the whole batch
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=0, keepdim=True)
    return (x - mean) / (x.var(dim=0, keepdim=True, correction=0) + eps).sqrt()
""",
        # over words and numbers together
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=(1, 2), keepdim=True)
    variance = x.var(dim=(1, 2), keepdim=True, correction=0)
    return (x - mean) / (variance + eps).sqrt()
""",
        # the root is forgotten
        """
def repaired_norm(x, eps=1e-5):
    mean = x.mean(dim=-1, keepdim=True)
    return (x - mean) / (x.var(dim=-1, keepdim=True, correction=0) + eps)
""",
    ],
}
