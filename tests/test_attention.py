"""Attention: against torch, against loops, and its error messages."""

import math

import pytest
import torch
from torch.nn import functional as F

from bertlib.attention import additive_mask, scaled_dot_product_attention


def random_inputs(*batch, queries=5, keys=7, dim=4, value_dim=3):
    return (
        torch.randn(*batch, queries, dim, dtype=torch.float64),
        torch.randn(*batch, keys, dim, dtype=torch.float64),
        torch.randn(*batch, keys, value_dim, dtype=torch.float64),
    )


@pytest.mark.parametrize("batch", [(), (2,), (2, 3)])
@pytest.mark.parametrize("sizes", [(5, 7, 4, 3), (1, 1, 1, 1), (3, 9, 64, 2)])
def test_agrees_with_torch(batch, sizes) -> None:
    inputs = random_inputs(
        *batch,
        **dict(
            zip(("queries", "keys", "dim", "value_dim"), sizes, strict=True)
        ),
    )
    output, weights = scaled_dot_product_attention(*inputs)
    expected = F.scaled_dot_product_attention(*inputs)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(
        weights.sum(-1), torch.ones_like(output[..., 0])
    )
    assert weights.shape == (*batch, *sizes[:2])


def test_agrees_with_loops() -> None:
    query, key, value = random_inputs(queries=3, keys=4)
    output, weights = scaled_dot_product_attention(query, key, value)
    for i in range(3):
        scores = [
            math.exp(float(query[i] @ key[j]) / math.sqrt(4)) for j in range(4)
        ]
        shares = torch.tensor(scores).double() / sum(scores)
        torch.testing.assert_close(weights[i], shares, atol=1e-7, rtol=0)
        torch.testing.assert_close(
            output[i], shares @ value, atol=1e-6, rtol=0
        )


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 1, 7), (2, 1, 1, 7)])
def test_boolean_mask_agrees_with_torch(shape) -> None:
    if len(shape) < 2:
        shape = (1, *shape)
    inputs = random_inputs(2, 3)
    mask = torch.rand(shape) < 0.6
    mask[..., 0] = True  # nobody looks nowhere
    output, weights = scaled_dot_product_attention(*inputs, mask)
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)
    assert not weights[~mask.expand(weights.shape)].any()


def test_float_mask_is_added() -> None:
    inputs = random_inputs(2)
    mask = torch.randn(2, 5, 7, dtype=torch.float64)
    output, _ = scaled_dot_product_attention(*inputs, mask)
    expected = F.scaled_dot_product_attention(*inputs, attn_mask=mask)
    torch.testing.assert_close(output, expected, atol=1e-12, rtol=0)


def test_boolean_and_additive_masks_agree() -> None:
    query, key, value = (x.float() for x in random_inputs(2, 3, queries=7))
    keep = torch.ones(2, 7, dtype=torch.bool)
    keep[0, 4:] = False
    one, _ = scaled_dot_product_attention(
        query, key, value, keep[:, None, None]
    )
    other, _ = scaled_dot_product_attention(
        query, key, value, additive_mask(keep)
    )
    torch.testing.assert_close(one, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_query_that_may_look_nowhere_gets_the_mean(dtype) -> None:
    query, key, value = (x.to(dtype) for x in random_inputs(2, queries=7))
    nothing = torch.zeros(2, 7, dtype=torch.bool)
    for mask in (nothing[:, None], additive_mask(nothing, dtype)[:, 0]):
        output, weights = scaled_dot_product_attention(query, key, value, mask)
        torch.testing.assert_close(
            weights, torch.full_like(weights, 1 / 7), atol=1e-6, rtol=0
        )
        expected = value.mean(1, keepdim=True).expand(output.shape)
        torch.testing.assert_close(output, expected, atol=1e-5, rtol=0)


def test_large_scores_stay_finite() -> None:
    query = torch.full((1, 4), 1e4)
    key = torch.tensor([[1e4] * 4, [-1e4] * 4])
    output, weights = scaled_dot_product_attention(query, key, torch.eye(2))
    assert weights.tolist() == [[1, 0]] and output.tolist() == [[1, 0]]


def test_gradients() -> None:
    inputs = [x.requires_grad_() for x in random_inputs(2)]
    mask = torch.rand(2, 5, 7) < 0.7
    mask[..., 0] = True
    assert torch.autograd.gradcheck(
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask), inputs
    )


@pytest.mark.parametrize("kind", [torch.int64, torch.bool, torch.float32])
@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.float32, torch.float64]
)
def test_additive_mask(kind, dtype) -> None:
    mask = additive_mask(torch.tensor([[1, 1, 0], [1, 0, 0]]).to(kind), dtype)
    low = torch.finfo(dtype).min
    assert mask.shape == (2, 1, 1, 3) and mask.dtype == dtype
    assert mask[:, 0, 0].tolist() == [[0, 0, low], [0, low, low]]


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (torch.ones(3), "shape"),
        (torch.ones(2, 1, 3), "shape"),
        (torch.tensor([[0, 2]]), r"0 … 2"),
        (torch.tensor([[0.0, -10000.0]]), "-10000"),
        (torch.tensor([[float("nan"), 1.0]]), "nan"),
    ],
)
def test_additive_mask_refuses(wrong, message) -> None:
    with pytest.raises(ValueError, match="attention_mask.*" + message):
        additive_mask(wrong, torch.float32)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": torch.ones(4)}, "two dimensions"),
        ({"key": torch.ones(7, 5)}, "key .*does not fit query"),
        ({"key": torch.ones(2, 7, 4)}, "key .*does not fit query"),
        ({"value": torch.ones(6, 3)}, "value .*does not fit key"),
        ({"mask": torch.ones(5, 7).long()}, "mask must be boolean"),
        ({"mask": torch.ones(5, 6)}, "mask .*broadcast"),
        ({"mask": torch.ones(5, 7).bool().T}, "mask .*broadcast"),
        ({"mask": torch.ones(2, 5, 7)}, "mask .*broadcast"),
    ],
)
def test_refuses_what_does_not_fit(change, message) -> None:
    names = ("query", "key", "value")
    inputs = dict(zip(names, random_inputs(), strict=True)) | change
    with pytest.raises(ValueError, match=message):
        scaled_dot_product_attention(**inputs)
