"""The block and its parts: against torch's layers, and by formula."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bertlib.attention import additive_mask
from bertlib.encoder import (
    ACTIVATIONS,
    Encoder,
    EncoderBlock,
    FeedForward,
    LayerNorm,
    gelu_new,
    initialise,
)

SIZES = {
    "hidden_size": 12,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "layer_norm_eps": 1e-5,
}


def randomise(module: nn.Module) -> nn.Module:
    """Every parameter random, so that none can be forgotten."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_()
    return module.double().eval()


def torch_block(block: EncoderBlock, activation) -> nn.Module:
    """torch's encoder layer with the weights of ours."""
    theirs = nn.TransformerEncoderLayer(
        d_model=12,
        nhead=3,
        dim_feedforward=20,
        activation=activation,
        layer_norm_eps=1e-5,
        batch_first=True,
        norm_first=False,
    )
    pairs = {
        "self_attn.in_proj_": block.attention.qkv,
        "self_attn.out_proj.": block.attention.output,
        "linear1.": block.feed_forward.expand,
        "linear2.": block.feed_forward.contract,
        "norm1.": block.attention_norm,
        "norm2.": block.feed_forward_norm,
    }
    state = {
        name + kind: getattr(module, kind)
        for name, module in pairs.items()
        for kind in ("weight", "bias")
    }
    theirs.load_state_dict(state)
    return theirs.double().eval()


@pytest.mark.parametrize("hidden_act", ACTIVATIONS)
def test_block_agrees_with_torch(hidden_act) -> None:
    block = randomise(EncoderBlock(**SIZES, hidden_act=hidden_act))
    theirs = torch_block(block, ACTIVATIONS[hidden_act])
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    keep = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    output, weights = block(x, additive_mask(keep, x.dtype))
    expected = theirs(x, src_key_padding_mask=keep == 0)
    real = keep.bool()  # torch's fast path sets padding to zero
    torch.testing.assert_close(
        output[real], expected[real], atol=1e-10, rtol=0
    )
    assert weights is None


def test_block_gradients_agree_with_torch() -> None:
    block = randomise(EncoderBlock(**SIZES))
    theirs = torch_block(block, F.gelu)
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    target = torch.randn_like(x)
    (block(x)[0] * target).sum().backward()
    (theirs(x) * target).sum().backward()
    for ours, reference in (
        (block.attention.qkv.weight, theirs.self_attn.in_proj_weight),
        (block.attention_norm.weight, theirs.norm1.weight),
        (block.feed_forward.expand.bias, theirs.linear1.bias),
        (block.feed_forward_norm.bias, theirs.norm2.bias),
    ):
        torch.testing.assert_close(
            ours.grad, reference.grad, atol=1e-9, rtol=0
        )


def test_layer_norm() -> None:
    norm = randomise(LayerNorm(6, eps=1e-3))
    x = torch.randn(2, 3, 6, dtype=torch.float64)
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)  # divided by 6
    expected = (x - mean) / (variance + 1e-3) ** 0.5 * norm.weight + norm.bias
    torch.testing.assert_close(norm(x), expected, atol=1e-12, rtol=0)
    assert LayerNorm(4).eps == 1e-12


@pytest.mark.parametrize("x", [-6.0, -1.0, -0.2, 0.0, 0.3, 2.0, 8.0])
def test_both_forms_of_gelu(x) -> None:
    exact = x * 0.5 * (1 + math.erf(x / math.sqrt(2)))
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    tanh = 0.5 * x * (1 + math.tanh(inner))
    given = torch.tensor(x, dtype=torch.float64)
    assert abs(ACTIVATIONS["gelu"](given).item() - exact) < 1e-12
    assert abs(ACTIVATIONS["gelu_new"](given).item() - tanh) < 1e-12
    assert gelu_new(given) == ACTIVATIONS["gelu_new"](given)


def test_feed_forward_is_applied_to_each_token_alone() -> None:
    layer = randomise(FeedForward(6, 10, "relu"))
    x = torch.randn(4, 6, dtype=torch.float64)
    one_by_one = torch.stack([layer(row) for row in x])
    torch.testing.assert_close(layer(x), one_by_one)
    assert layer.expand.weight.shape == (10, 6)


def test_encoder_returns_every_layer() -> None:
    encoder = randomise(Encoder(num_hidden_layers=3, **SIZES))
    x = torch.randn(2, 5, 12, dtype=torch.float64)
    last, states, attentions = encoder(x, None, True, True)
    assert len(states) == 4 and len(attentions) == 3
    assert torch.equal(states[0], x) and torch.equal(states[-1], last)
    for block, before, after, weights in zip(
        encoder.blocks, states[:-1], states[1:], attentions, strict=True
    ):
        output, shares = block(before, None, True)
        assert torch.equal(output, after) and torch.equal(shares, weights)
    plain = encoder(x)
    torch.testing.assert_close(plain[0], last, atol=1e-10, rtol=0)
    assert plain[1] is None and plain[2] is None


def test_dropout_stands_before_both_additions() -> None:
    """With nothing left of the changes, only the two norms remain."""
    block = randomise(EncoderBlock(**SIZES)).train()
    block.attention.dropout = 0.0
    block.dropout.p = 1.0
    x = torch.randn(1, 4, 12, dtype=torch.float64)
    expected = block.feed_forward_norm(block.attention_norm(x))
    torch.testing.assert_close(block(x)[0], expected)


def test_dropout_probabilities_reach_their_places() -> None:
    encoder = Encoder(
        2, 8, 2, 16, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.2
    )
    for block in encoder.blocks:
        assert block.dropout.p == 0.3 and block.attention.dropout == 0.2
    layers = [m for m in encoder.modules() if isinstance(m, nn.Dropout)]
    assert len(layers) == 2  # none inside the feed-forward layer


def test_initialise() -> None:
    block = randomise(EncoderBlock(64, 4, 256))
    initialise(block, std=0.02)
    for name, p in block.named_parameters():
        if "norm.weight" in name:
            assert (p == 1).all(), name
        elif p.ndim == 1:
            assert (p == 0).all(), name
        else:
            assert p.abs().max() <= 0.04, name
            assert abs(p.std().item() - 0.0176) < 0.0004, name


@pytest.mark.unhooked
def test_refuses_an_unknown_activation() -> None:
    with pytest.raises(ValueError, match=r"hidden_act.*gelu_new.*'swish'"):
        FeedForward(4, 8, "swish")
