"""What students get wrong in chapter 5."""

WRONG = {
    "ch05-ex1-check": [
        # thinks that each head's query, key and value lie together
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    by_head = qkv_weight.reshape(num_heads, 3, d // num_heads, d)
    return by_head[head]
""",
        # cuts the columns instead of the rows
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    size = d // num_heads
    columns = qkv_weight[:, head * size:(head + 1) * size]
    return columns.T.reshape(size, 3, d).transpose(0, 1)
""",
        # every third row belongs to the head
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    by_head = qkv_weight.reshape(3, d // num_heads, num_heads, d)
    return by_head[:, :, head]
""",
        # counts the heads from 1
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    by_head = qkv_weight.reshape(3, num_heads, d // num_heads, d)
    return by_head[:, head - 1]
""",
        # key, query, value
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    by_head = qkv_weight.reshape(3, num_heads, d // num_heads, d)
    return by_head[[2, 1, 0], head]
""",
        # always the first head's values
        """
import torch
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    size = d // num_heads
    own = slice(head * size, (head + 1) * size)
    query, key, value = qkv_weight.chunk(3)
    return torch.stack([query[own], key[own], value[:size]])
""",
        # transposed
        """
def head_matrices(qkv_weight, num_heads, head):
    d = qkv_weight.shape[1]
    by_head = qkv_weight.reshape(3, num_heads, d // num_heads, d)
    return by_head[:, head].transpose(1, 2)
""",
    ],
    "ch05-ex2-check": [
        # cuts the rows of nn.Linear's weight, which are outputs
        """
import torch
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    _, weights = layer(hidden_states, output_attentions=True)
    value = layer.qkv(hidden_states).chunk(3, dim=-1)[2]
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    bands = layer.output.weight.unflatten(0, (heads, -1))
    return torch.einsum("bhns,hsd->hbnd", weights @ value, bands)
""",
        # adds the bias to every head
        """
import torch
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    _, weights = layer(hidden_states, output_attentions=True)
    value = layer.qkv(hidden_states).chunk(3, dim=-1)[2]
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    bands = layer.output.weight.T.unflatten(0, (heads, -1))
    added = torch.einsum("bhns,hsd->hbnd", weights @ value, bands)
    return added + layer.output.bias
""",
        # the right sum, shared equally
        """
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    added = (layer(hidden_states)[0] - layer.output.bias) / heads
    return added.expand(heads, *added.shape)
""",
        # the heads in reverse order
        """
import torch
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    _, weights = layer(hidden_states, output_attentions=True)
    value = layer.qkv(hidden_states).chunk(3, dim=-1)[2]
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    bands = layer.output.weight.T.unflatten(0, (heads, -1))
    added = torch.einsum("bhns,hsd->hbnd", weights @ value, bands)
    return added.roll(1, dims=0)
""",
        # forgets the value's bias
        """
import torch
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    _, weights = layer(hidden_states, output_attentions=True)
    value = hidden_states @ layer.qkv.weight.chunk(3)[2].T
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    bands = layer.output.weight.T.unflatten(0, (heads, -1))
    return torch.einsum("bhns,hsd->hbnd", weights @ value, bands)
""",
        # batch before heads
        """
import torch
def contributions(layer, hidden_states):
    heads = layer.num_attention_heads
    _, weights = layer(hidden_states, output_attentions=True)
    value = layer.qkv(hidden_states).chunk(3, dim=-1)[2]
    value = value.unflatten(-1, (heads, -1)).transpose(1, 2)
    bands = layer.output.weight.T.unflatten(0, (heads, -1))
    return torch.einsum("bhns,hsd->bhnd", weights @ value, bands)
""",
    ],
    "ch05-ex3-check": [
        # the bug
        """
def join(context):
    batch, heads, n, head_size = context.shape
    return context.reshape(batch, n, heads * head_size)
""",
        # transposes the wrong pair
        """
def join(context):
    batch, heads, n, head_size = context.shape
    joined = context.transpose(2, 3).reshape(batch, n, heads * head_size)
    return joined
""",
        # the right words, but the heads interleaved
        """
def join(context):
    return context.permute(0, 2, 3, 1).flatten(2)
""",
        # the heads in reverse order
        """
def join(context):
    return context.flip(1).transpose(1, 2).flatten(2)
""",
        # adds the heads up
        """
def join(context):
    return context.sum(dim=1).repeat(1, 1, context.shape[1])
""",
        # view refuses
        """
def join(context):
    batch, heads, n, head_size = context.shape
    return context.transpose(1, 2).view(batch, n, heads * head_size)
""",
    ],
}
