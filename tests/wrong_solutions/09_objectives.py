"""What students get wrong in chapter 9."""

MASKED = """
import numpy as np
def masked_loss(logits, labels):
    asked = {asked}
    if not asked.any():
        return {none}
    {shift}
    log_q = logits - np.log(np.exp(logits).sum(axis={axis}, keepdims=True))
    losses = -log_q[np.arange(len(labels)), np.where(asked, labels, 0)]
    return {mean}
"""
MASKED_RIGHT = {
    "asked": "labels != -100",
    "none": "0.0",
    "shift": "logits = logits - logits.max(axis=1, keepdims=True)",
    "axis": "1",
    "mean": "losses[asked].mean()",
}

TIED = """
import numpy as np
def tied_gradient(ids, labels, table):
    asked = {asked}
    count = {count}
    ids, labels = ids[asked], labels[asked]
    t = table[ids]
    z = t @ table.T
    q = np.exp(z)
    q /= q.sum(axis=1, keepdims=True)
    {one_hot}
    q /= count
    gradient = {decoder}
    {look_up}
    return gradient
"""
TIED_RIGHT = {
    "asked": "labels != -100",
    "count": "asked.sum()",
    "one_hot": "q[np.arange(len(labels)), labels] -= 1",
    "decoder": "q.T @ t",
    "look_up": "np.add.at(gradient, ids, q @ table)",
}

WEIGHTED = """
import torch
from torch.nn import functional as F
def weighted_loss(logits, labels, weights):
    losses = F.cross_entropy(logits, labels, reduction="none")
    return {result}
"""

BOTH = """
from torch.nn import functional as F
def both_losses(prediction_logits, labels, relationship_logits, next_label):
    return (
        F.cross_entropy(prediction_logits, {answers}{mlm}),
        F.cross_entropy(relationship_logits, {label}{nsp}),
    )
"""
BOTH_RIGHT = {
    "answers": "labels",
    "mlm": "",
    "label": "next_label",
    "nsp": "",
}

WRONG = {
    "ch09-ex1-check": [
        # the mean over all places
        MASKED.format(
            **MASKED_RIGHT | {"mean": "losses[asked].sum() / len(labels)"}
        ),
        # the sum
        MASKED.format(**MASKED_RIGHT | {"mean": "losses[asked].sum()"}),
        # the unasked places count as piece 0
        MASKED.format(**MASKED_RIGHT | {"mean": "losses.mean()"}),
        # piece 0 is taken for padding
        MASKED.format(**MASKED_RIGHT | {"asked": "labels > 0"}),
        # overflow
        MASKED.format(**MASKED_RIGHT | {"shift": "pass"}),
        # softmax over the places
        MASKED.format(**MASKED_RIGHT | {"axis": "0"}),
        # nothing asked: not a number
        MASKED.format(**MASKED_RIGHT | {"none": "float('nan')"}),
        # the sign
        MASKED.format(**MASKED_RIGHT | {"mean": "-losses[asked].mean()"}),
        # bits instead of nats
        MASKED.format(
            **MASKED_RIGHT | {"mean": "losses[asked].mean() / np.log(2)"}
        ),
        "def masked_loss(logits, labels): ...",
    ],
    "ch09-ex2-check": [
        # the decoder's part alone
        TIED.format(**TIED_RIGHT | {"look_up": "pass"}),
        # the look-up's part alone
        TIED.format(**TIED_RIGHT | {"decoder": "np.zeros(table.shape)"}),
        # repeated ids do not add up
        TIED.format(**TIED_RIGHT | {"look_up": "gradient[ids] += q @ table"}),
        # the look-up reaches the answer's row
        TIED.format(
            **TIED_RIGHT
            | {"look_up": "np.add.at(gradient, labels, q @ table)"}
        ),
        # divided by all places
        TIED.format(**TIED_RIGHT | {"count": "len(asked)"}),
        # the sum, not the mean
        TIED.format(**TIED_RIGHT | {"count": "1"}),
        # without the one-hot
        TIED.format(**TIED_RIGHT | {"one_hot": "pass"}),
        # piece 0 is never an answer
        TIED.format(**TIED_RIGHT | {"asked": "labels > 0"}),
        # the unasked places count, as the last piece
        TIED.format(**TIED_RIGHT | {"asked": "labels > -101"}).replace(
            "labels[asked]", "np.maximum(labels[asked], 0)"
        ),
        # the transpose
        TIED.format(**TIED_RIGHT).replace(
            "return gradient", "return gradient.T"
        ),
        # the sign
        TIED.format(**TIED_RIGHT).replace(
            "return gradient", "return -gradient"
        ),
        "def tied_gradient(ids, labels, table): ...",
    ],
    "ch09-ex3-check": [
        # the starter
        WEIGHTED.format(
            result="(losses.mean() * weights).sum() / weights.sum()"
        ),
        # divided by all places
        WEIGHTED.format(result="(losses * weights).mean()"),
        # the sum
        WEIGHTED.format(result="(losses * weights).sum()"),
        # weights taken for yes or no
        WEIGHTED.format(result="losses[weights > 0].mean()"),
        # divided by the number of weights above 0
        WEIGHTED.format(
            result="(losses * weights).sum() / (weights > 0).sum()"
        ),
        "def weighted_loss(logits, labels, weights): ...",
    ],
    "ch09-ex4-check": [
        # the starter, the unasked places made 0: class 0 is ignored in both
        BOTH.format(
            **BOTH_RIGHT
            | {"answers": "labels.clamp(min=0)", "mlm": ", ignore_index=0"}
            | {"nsp": ", ignore_index=0"}
        ),
        # piece 0 is ignored
        BOTH.format(
            **BOTH_RIGHT
            | {"answers": "labels.clamp(min=0)", "mlm": ", ignore_index=0"}
        ),
        # the unasked places count as piece 0
        BOTH.format(**BOTH_RIGHT | {"answers": "labels.clamp(min=0)"}),
        # "follows" is ignored
        BOTH.format(**BOTH_RIGHT | {"nsp": ", ignore_index=0"}),
        # the classes swapped
        BOTH.format(**BOTH_RIGHT | {"label": "1 - next_label"}),
        # the sum over the pairs
        BOTH.format(**BOTH_RIGHT | {"nsp": ', reduction="sum"'}),
        # the MLM loss divided by all places
        BOTH.format(
            **BOTH_RIGHT | {"mlm": ', reduction="sum") / (len(labels)'}
        ),
        # the wrong way round
        BOTH.format(**BOTH_RIGHT).rstrip() + "[::-1]",
        "def both_losses(a, b, c, d): ...",
    ],
}
