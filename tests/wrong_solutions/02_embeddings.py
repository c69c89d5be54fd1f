"""What students get wrong in chapter 2."""

WRONG = {
    "ch02-ex1-check": [
        # += with repeated indices keeps one of them
        """
import numpy as np
def lookup_gradient(ids, G, vocab_size):
    gradient = np.zeros((vocab_size, G.shape[1]))
    gradient[ids] += G
    return gradient
""",
        # the last place wins
        """
import numpy as np
def lookup_gradient(ids, G, vocab_size):
    gradient = np.zeros((vocab_size, G.shape[1]))
    for id, row in zip(ids, G):
        gradient[id] = row
    return gradient
""",
        # as many rows as the largest id needs
        """
import numpy as np
def lookup_gradient(ids, G, vocab_size):
    gradient = np.zeros((ids.max() + 1, G.shape[1]))
    np.add.at(gradient, ids, G)
    return gradient
""",
        # the mean over places
        """
import numpy as np
def lookup_gradient(ids, G, vocab_size):
    gradient = np.zeros((vocab_size, G.shape[1]))
    np.add.at(gradient, ids, G)
    counts = np.maximum(np.bincount(ids, minlength=vocab_size), 1)
    return gradient / counts[:, None]
""",
        # adds into G itself
        """
import numpy as np
def lookup_gradient(ids, G, vocab_size):
    gradient = np.zeros((vocab_size, G.shape[1]))
    np.add.at(gradient, ids, G)
    G[:] = gradient[ids]
    return gradient
""",
    ],
    "ch02-ex2-check": [
        # overflows
        """
import numpy as np
def loss_and_gradient(z, y):
    q = np.exp(z) / np.exp(z).sum()
    gradient = q.copy()
    gradient[y] -= 1
    return -np.log(q[y]), gradient
""",
        # underflows: ln 0
        """
import numpy as np
def loss_and_gradient(z, y):
    e = np.exp(z - z.max())
    q = e / e.sum()
    gradient = q.copy()
    gradient[y] -= 1
    return -np.log(q[y]), gradient
""",
        # the sign
        """
import numpy as np
def loss_and_gradient(z, y):
    s = z - z.max()
    log_sum = np.log(np.exp(s).sum())
    gradient = -np.exp(s - log_sum)
    gradient[y] += 1
    return log_sum - s[y], gradient
""",
        # q instead of q - [j = y]
        """
import numpy as np
def loss_and_gradient(z, y):
    s = z - z.max()
    log_sum = np.log(np.exp(s).sum())
    return log_sum - s[y], np.exp(s - log_sum)
""",
        # the mean over the vocabulary
        """
import numpy as np
def loss_and_gradient(z, y):
    s = z - z.max()
    log_sum = np.log(np.exp(s).sum())
    gradient = np.exp(s - log_sum)
    gradient[y] -= 1
    return log_sum - s[y], gradient / len(z)
""",
    ],
    "ch02-ex3-check": [
        # the bug
        """
import torch
def fit(numbers, steps=50, learning_rate=0.1):
    guess = torch.zeros(1, requires_grad=True)
    for _ in range(steps):
        loss = ((numbers - guess) ** 2).mean()
        loss.backward()
        with torch.no_grad():
            guess -= learning_rate * guess.grad
    return guess.item()
""",
        # clears between backward and the step
        """
import torch
def fit(numbers, steps=50, learning_rate=0.1):
    guess = torch.zeros(1, requires_grad=True)
    for _ in range(steps):
        loss = ((numbers - guess) ** 2).mean()
        loss.backward()
        guess.grad.zero_()
        with torch.no_grad():
            guess -= learning_rate * guess.grad
    return guess.item()
""",
        # hides the bug behind a smaller step
        """
import torch
def fit(numbers, steps=50, learning_rate=0.1):
    guess = torch.zeros(1, requires_grad=True)
    for _ in range(steps * 40):
        loss = ((numbers - guess) ** 2).mean()
        guess.grad = None
        loss.backward()
        with torch.no_grad():
            guess -= learning_rate / 10 * guess.grad
    return guess.item()
""",
        # no descent at all
        """
def fit(numbers, steps=50, learning_rate=0.1):
    return numbers.mean().item()
""",
    ],
}
