"""What students get wrong in chapter 8."""

WRONG = {
    "ch08-ex1-check": [
        # bert. anywhere
        """
def modern(name):
    name = name.replace("bert.", "")
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    name = name.replace("LayerNorm.gamma", "LayerNorm.weight")
    return name.replace("LayerNorm.beta", "LayerNorm.bias")
""",
        # gamma and beta anywhere
        """
def modern(name):
    name = name.removeprefix("bert.")
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    return name.replace("gamma", "weight").replace("beta", "bias")
""",
        # gamma and beta exchanged
        """
def modern(name):
    name = name.removeprefix("bert.")
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    name = name.replace("LayerNorm.gamma", "LayerNorm.bias")
    return name.replace("LayerNorm.beta", "LayerNorm.weight")
""",
        # the prefix goes only where there is nothing else to do
        """
def modern(name):
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    if name.endswith("LayerNorm.gamma"):
        return name.removesuffix("gamma") + "weight"
    if name.endswith("LayerNorm.beta"):
        return name.removesuffix("beta") + "bias"
    return name.removeprefix("bert.")
""",
        # position_ids before the prefix is gone
        """
def modern(name):
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    name = name.removeprefix("bert.")
    for old, new in (("gamma", "weight"), ("beta", "bias")):
        if name.endswith("LayerNorm." + old):
            name = name.removesuffix(old) + new
    return name
""",
        # keeps the heads
        """
def modern(name):
    name = name.removeprefix("bert.")
    if name == "embeddings.position_ids":
        return None
    for old, new in (("gamma", "weight"), ("beta", "bias")):
        if name.endswith("LayerNorm." + old):
            name = name.removesuffix(old) + new
    return name
""",
        # removes characters, not a prefix
        """
def modern(name):
    name = name.lstrip("bert.")
    if name == "embeddings.position_ids" or name.startswith("cls."):
        return None
    for old, new in (("gamma", "weight"), ("beta", "bias")):
        if name.endswith("LayerNorm." + old):
            name = name.removesuffix(old) + new
    return name
""",
    ],
    "ch08-ex2-check": [
        # the mean over padding too
        """
def mean_vector(hidden_states, attention_mask):
    return hidden_states.mean(1)
""",
        # divides by the length with padding
        """
def mean_vector(hidden_states, attention_mask):
    kept = attention_mask.bool()[..., None]
    return hidden_states.masked_fill(~kept, 0.0).mean(1)
""",
        # 0 times infinity
        """
def mean_vector(hidden_states, attention_mask):
    kept = attention_mask[..., None]
    return (hidden_states * kept).sum(1) / kept.sum(1)
""",
        # divides by the number of all tokens
        """
def mean_vector(hidden_states, attention_mask):
    kept = attention_mask.bool()[..., None]
    return hidden_states.masked_fill(~kept, 0.0).sum(1) / kept.sum()
""",
        # the first token
        """
def mean_vector(hidden_states, attention_mask):
    return hidden_states[:, 0]
""",
        # one vector for the whole batch
        """
def mean_vector(hidden_states, attention_mask):
    return hidden_states[attention_mask.bool()].mean(0)
""",
        # the sum
        """
def mean_vector(hidden_states, attention_mask):
    kept = attention_mask.bool()[..., None]
    return hidden_states.masked_fill(~kept, 0.0).sum(1)
""",
        # takes it for granted that padding stands on the right
        """
import torch
def mean_vector(hidden_states, attention_mask):
    lengths = attention_mask.sum(1).tolist()
    return torch.stack(
        [row[:n].mean(0) for row, n in zip(hidden_states, lengths)]
    )
""",
    ],
    "ch08-ex3-check": [
        # the bug
        """
def load(model, tensors):
    own = model.state_dict()
    for name, tensor in tensors.items():
        if name in own and own[name].numel() == tensor.numel():
            own[name].copy_(tensor.reshape(own[name].shape))
""",
        # silence by another name
        """
def load(model, tensors):
    model.load_state_dict(tensors, strict=False)
""",
        # half loaded before the error
        """
def load(model, tensors):
    own = model.state_dict()
    for name, tensor in tensors.items():
        if name not in own:
            raise ValueError(name)
        if own[name].shape != tensor.shape:
            raise ValueError(name)
        own[name].copy_(tensor)
    for name in own:
        if name not in tensors:
            raise ValueError(name)
""",
        # does not notice what is missing
        """
def load(model, tensors):
    own = model.state_dict()
    for name, tensor in tensors.items():
        if name not in own or own[name].shape != tensor.shape:
            raise ValueError(name)
    for name, tensor in tensors.items():
        own[name].copy_(tensor)
""",
        # compares counts, not shapes
        """
def load(model, tensors):
    own = model.state_dict()
    for name in set(own) ^ set(tensors):
        raise ValueError(name)
    for name, tensor in tensors.items():
        if own[name].numel() != tensor.numel():
            raise ValueError(name)
    for name, tensor in tensors.items():
        own[name].copy_(tensor.reshape(own[name].shape))
""",
        # does not say which
        """
def load(model, tensors):
    own = model.state_dict()
    if set(own) != set(tensors):
        raise ValueError("names differ")
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise ValueError("shapes differ")
    for name, tensor in tensors.items():
        own[name].copy_(tensor)
""",
        # copies nothing
        """
def load(model, tensors):
    own = model.state_dict()
    for name in set(own) ^ set(tensors):
        raise ValueError(name)
    for name, tensor in tensors.items():
        if own[name].shape != tensor.shape:
            raise ValueError(name)
""",
    ],
}
