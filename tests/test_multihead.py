"""Several heads: against torch's module, and both paths against each other."""

import math

import pytest
import torch
from torch import nn

from bertlib.attention import additive_mask, scaled_dot_product_attention
from bertlib.multihead import MultiHeadAttention, dropout

SIZES = [(8, 1), (12, 3), (6, 6), (64, 4)]


def pair(hidden_size: int, heads: int):
    """Our module and torch's with the same weights."""
    ours = MultiHeadAttention(hidden_size, heads).double().eval()
    theirs = nn.MultiheadAttention(hidden_size, heads, batch_first=True)
    theirs = theirs.double().eval()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.normal_()
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias)
        theirs.out_proj.weight.copy_(ours.output.weight)
        theirs.out_proj.bias.copy_(ours.output.bias)
    return ours, theirs


def padded(batch: int, seq: int) -> torch.Tensor:
    keep = torch.ones(batch, seq, dtype=torch.long)
    keep[0, seq // 2 + 1 :] = 0
    return keep


@pytest.mark.parametrize(("hidden_size", "heads"), SIZES)
@pytest.mark.parametrize("seq", [1, 7])
def test_agrees_with_torch(hidden_size, heads, seq) -> None:
    ours, theirs = pair(hidden_size, heads)
    x = torch.randn(3, seq, hidden_size, dtype=torch.float64)
    keep = padded(3, seq)
    mask = additive_mask(keep, x.dtype)
    output, weights = ours(x, mask, output_attentions=True)
    expected, shares = theirs(
        x, x, x, key_padding_mask=keep == 0, average_attn_weights=False
    )
    torch.testing.assert_close(output, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(weights, shares, atol=1e-10, rtol=0)


@pytest.mark.parametrize(("hidden_size", "heads"), SIZES)
@pytest.mark.parametrize("with_mask", [False, True])
def test_both_paths_agree(hidden_size, heads, with_mask) -> None:
    ours, _ = pair(hidden_size, heads)
    x = torch.randn(2, 5, hidden_size, dtype=torch.float64)
    mask = additive_mask(padded(2, 5), x.dtype) if with_mask else None
    fused, nothing = ours(x, mask)
    explicit, weights = ours(x, mask, output_attentions=True)
    assert nothing is None and weights.shape == (2, heads, 5, 5)
    torch.testing.assert_close(fused, explicit, atol=1e-10, rtol=0)
    if with_mask:
        assert not weights[0, :, :, 3:].any()


def test_gradients_of_both_paths_agree() -> None:
    ours, _ = pair(12, 3)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    mask = additive_mask(padded(2, 5), x.dtype)
    target = torch.randn(2, 5, 12, dtype=torch.float64)
    gradients = []
    for output_attentions in (False, True):
        ours.zero_grad()
        (ours(x, mask, output_attentions)[0] * target).sum().backward()
        gradients.append([p.grad.clone() for p in ours.parameters()])
    torch.testing.assert_close(*gradients, atol=1e-9, rtol=0)


def test_agrees_with_a_loop_over_heads() -> None:
    ours, _ = pair(12, 3)
    x = torch.randn(5, 12, dtype=torch.float64)
    rows = ours.qkv(x).split(12, dim=-1)  # all queries, keys, values
    context = []
    for head in range(3):
        q, k, v = (part[:, 4 * head : 4 * head + 4] for part in rows)
        context.append(scaled_dot_product_attention(q, k, v)[0])
    expected = ours.output(torch.cat(context, -1))
    torch.testing.assert_close(
        ours(x[None])[0][0], expected, atol=1e-10, rtol=0
    )


def test_dropout_only_in_training() -> None:
    layer = MultiHeadAttention(8, 2, dropout=0.5)
    x = torch.randn(1, 20, 8)
    for output_attentions in (False, True):
        layer.eval()
        one, _ = layer(x, output_attentions=output_attentions)
        assert torch.equal(
            one, layer(x, output_attentions=output_attentions)[0]
        )
        layer.train()
        other, _ = layer(x, output_attentions=output_attentions)
        assert not torch.allclose(one, other)
    _, weights = layer(x, output_attentions=True)
    dropped = (weights == 0).float().mean()
    assert 0.35 < dropped < 0.65  # the weights that the model used


def test_weights_and_output_belong_together_in_training() -> None:
    layer = MultiHeadAttention(8, 2, dropout=0.5).double().train()
    x = torch.randn(1, 6, 8, dtype=torch.float64)
    output, weights = layer(x, output_attentions=True)
    value = layer.qkv(x)[..., 16:].view(1, 6, 2, 4).transpose(1, 2)
    context = (weights @ value).transpose(1, 2).reshape(1, 6, 8)
    torch.testing.assert_close(output, layer.output(context))


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((10, 3, 0.0), "hidden_size 10 .*num_attention_heads 3"),
        ((0, 1, 0.0), "at least 1"),
        ((8, 0, 0.0), "at least 1"),
        ((8, 2, 1.0), "dropout"),
        ((8, 2, -0.1), "dropout"),
    ],
)
def test_refuses(sizes, message) -> None:
    with pytest.raises(ValueError, match=message):
        MultiHeadAttention(*sizes)


@pytest.mark.unhooked
def test_compiles_whole() -> None:
    """No graph break; the "eager" backend needs no C++ compiler."""
    layer = MultiHeadAttention(8, 2).eval()
    x = torch.randn(2, 5, 8)
    mask = additive_mask(padded(2, 5))
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x, mask)[0], layer(x, mask)[0])


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dropout_drops_the_share_and_keeps_the_mean(p, dtype) -> None:
    torch.manual_seed(0)
    numbers = torch.full((401, 997), 3.0, dtype=dtype, requires_grad=True)
    dropped = dropout(numbers, p)
    is_kept = dropped != 0
    count = numbers.numel()
    share = 1 - is_kept.double().mean().item()
    assert abs(share - p) < 5 * math.sqrt(p * (1 - p) / count)
    factor = 1 / (1 - round(p * 2**16) / 2**16)
    torch.testing.assert_close(
        dropped[is_kept], torch.full_like(dropped[is_kept], 3 * factor)
    )
    dropped.sum().backward()
    torch.testing.assert_close(numbers.grad, is_kept.to(dtype) * factor)
    rows = 1 - is_kept.double().mean(1)  # entries fall independently
    expected = math.sqrt(p * (1 - p) / numbers.shape[1])
    assert 0.85 < rows.std().item() / expected < 1.15
    # neighbours share 64 bits, and must not share their fate
    first, second = is_kept[:, :-1].double(), is_kept[:, 1:].double()
    together = (first * second).mean().item()
    assert abs(together - (1 - p) ** 2) < 5 * 0.5 / math.sqrt(count)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 5), (0, 4)])
def test_dropout_of_any_shape_follows_the_seed(shape) -> None:
    numbers = torch.ones(shape)
    torch.manual_seed(3)
    first = dropout(numbers, 0.5)
    torch.manual_seed(3)
    assert first.shape == numbers.shape
    assert torch.equal(first, dropout(numbers, 0.5))


def test_dropout_of_nothing_and_of_all() -> None:
    numbers = torch.randn(50, 4)
    assert torch.equal(dropout(numbers, 0.0), numbers)
    assert not dropout(numbers, 1.0).any()
    tiny = dropout(torch.ones(2**20, dtype=torch.bfloat16), 0.1)
    assert abs((tiny == 0).double().mean().item() - 0.1) < 2e-3
