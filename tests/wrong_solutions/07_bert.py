"""What students get wrong in chapter 7."""

COUNT = """
def count_with_heads(V, H, L, I):
    def linear(a, b):
        return a * b + b
    norm = 2 * H
    embeddings = {embeddings}
    layer = {layer}
    pooler = {pooler}
    heads = {heads}
    return embeddings + L * layer + pooler + heads
"""
RIGHT = {
    "embeddings": "(V + 512 + 2) * H + norm",
    "layer": "4 * linear(H, H) + linear(H, I) + linear(I, H) + 2 * norm",
    "pooler": "linear(H, H)",
    "heads": "linear(H, H) + norm + V + linear(H, 2)",
}

WRONG = {
    "ch07-ex1-check": [
        # no position
        """
def embed(ids, types, word, token_type, position):
    if ids.shape[1] > len(position):
        raise ValueError
    return word[ids] + token_type[types]
""",
        # positions start at 1
        """
def embed(ids, types, word, token_type, position):
    seq = ids.shape[1]
    if seq > len(position):
        raise ValueError
    places = [min(i + 1, len(position) - 1) for i in range(seq)]
    return word[ids] + token_type[types] + position[places]
""",
        # positions run on through the batch
        """
import numpy as np
def embed(ids, types, word, token_type, position):
    if ids.shape[1] > len(position):
        raise ValueError
    places = np.arange(ids.size).reshape(ids.shape) % len(position)
    return word[ids] + token_type[types] + position[places]
""",
        # concatenated, not added
        """
import numpy as np
def embed(ids, types, word, token_type, position):
    places = np.broadcast_to(position[:ids.shape[1]], (*ids.shape, 2))
    return np.concatenate([word[ids], token_type[types], places], axis=-1)
""",
        # a long text is cut without a word
        """
def embed(ids, types, word, token_type, position):
    ids, types = ids[:, :len(position)], types[:, :len(position)]
    return word[ids] + token_type[types] + position[:ids.shape[1]]
""",
        # one position is never used
        """
def embed(ids, types, word, token_type, position):
    seq = ids.shape[1]
    if seq >= len(position):
        raise ValueError
    return word[ids] + token_type[types] + position[:seq]
""",
    ],
    "ch07-ex2-check": [
        COUNT.format(**{**RIGHT, **change})
        for change in (
            {"layer": "4 * H * H + 2 * H * I + 2 * norm"},  # no biases
            {"layer": RIGHT["layer"].replace("2 * norm", "norm")},
            {"layer": RIGHT["layer"].replace("4 *", "3 *")},  # no output
            {"embeddings": "(V + 512) * H + norm"},  # no segments
            {"embeddings": "(V + 512 + 2) * H"},  # no LayerNorm
            {"pooler": "0"},
            {"heads": "linear(H, H) + norm + linear(H, 2)"},  # no bias
            {"heads": "linear(H, H) + norm + linear(H, V) + linear(H, 2)"},
            # takes I for 4 H
            {"layer": RIGHT["layer"].replace("I", "4 * H")},
            {"embeddings": "(V + I + 2) * H + norm"},  # 512 by chance
        )
    ],
    "ch07-ex3-check": [
        # the bug
        """
def sentence_vector(model, ids):
    return model(ids).pooler_output
""",
        # does not put the mode back
        """
def sentence_vector(model, ids):
    return model.eval()(ids).pooler_output
""",
        # always leaves the model in training mode
        """
def sentence_vector(model, ids):
    vector = model.eval()(ids).pooler_output
    model.train()
    return vector
""",
        # fixes the seed instead of the mode
        """
import torch
def sentence_vector(model, ids):
    torch.manual_seed(0)
    return model(ids).pooler_output
""",
        # the first vector instead of the pooled one
        """
def sentence_vector(model, ids):
    training = model.training
    vector = model.eval()(ids).last_hidden_state[:, 0]
    model.train(training)
    return vector
""",
    ],
}
