"""Solutions of chapter 14's exercises that the checks must reject."""

WRONG = {
    "ch14-ex1-check": [
        # the mask is forgotten
        """
def masked_max(vectors, mask):
    return vectors.amax(dim=1)
""",
        # padding becomes 0, which is more than a negative number
        """
def masked_max(vectors, mask):
    return (vectors * mask.to(vectors.dtype).unsqueeze(-1)).amax(dim=1)
""",
        # the mean
        """
def masked_max(vectors, mask):
    weights = mask.to(vectors.dtype).unsqueeze(-1)
    return (vectors * weights).sum(dim=1) / weights.sum(dim=1)
""",
        # the first n places, wherever the zeros stand
        """
import torch

def masked_max(vectors, mask):
    lengths = mask.sum(dim=1)
    return torch.stack([row[:n].amax(dim=0)
                        for row, n in zip(vectors, lengths)])
""",
        # a boolean mask cannot be subtracted from 1
        """
def masked_max(vectors, mask):
    padding = (1 - mask).unsqueeze(-1)
    return (vectors - 1e9 * padding).amax(dim=1)
""",
        # another number type
        """
def masked_max(vectors, mask):
    padding = ~mask.bool().unsqueeze(-1)
    return vectors.float().masked_fill(padding, float("-inf")).amax(dim=1)
""",
        # the vectors of the caller are changed
        """
def masked_max(vectors, mask):
    vectors[~mask.bool()] = float("-inf")
    return vectors.amax(dim=1)
""",
        # one vector for the whole batch
        """
def masked_max(vectors, mask):
    return vectors[mask.bool()].amax(dim=0)
""",
        # the largest number of each token
        """
def masked_max(vectors, mask):
    return vectors.amax(dim=2)
""",
        # padding is only small, not smaller than everything
        """
def masked_max(vectors, mask):
    padding = ~mask.bool().unsqueeze(-1)
    return vectors.masked_fill(padding, -1.0).amax(dim=1)
""",
    ],
    "ch14-ex2-check": [
        # the sum over the texts, not the mean
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1)
    p[torch.arange(len(labels)), labels] -= 1
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # the true label is forgotten
        """
def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1) / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # the sign
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1)
    p = (torch.nn.functional.one_hot(labels, 3) - p) / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # five yes-no questions: (14.4)
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).sigmoid()
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # exponentials that overflow
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    e = (vectors @ weight.T + bias).exp()
    p = e / e.sum(dim=1, keepdim=True)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # the bias is left out of the scores
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T).softmax(dim=1)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # the bias's derivative for each text
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p.T @ vectors, p, p @ weight
""",
        # transposed
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return vectors.T @ p, p.sum(dim=0), p @ weight
""",
        # softmax over the texts instead of the labels
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=0)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p.T @ vectors, p.sum(dim=0), p @ weight
""",
        # the order of the three
        """
import torch

def head_gradients(vectors, weight, bias, labels):
    p = (vectors @ weight.T + bias).softmax(dim=1)
    p[torch.arange(len(labels)), labels] -= 1
    p = p / len(labels)
    return p @ weight, p.T @ vectors, p.sum(dim=0)
""",
    ],
}
