"""The sinusoids: their values, their geometry, and what they refuse."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bertlib.positions import sinusoidal_positions

even = st.integers(1, 64).map(lambda half: 2 * half)


@given(length=st.integers(0, 600), dim=even)
def test_shape_type_and_norm(length: int, dim: int) -> None:
    table = sinusoidal_positions(length, dim)
    assert table.shape == (length, dim)
    assert table.dtype == torch.float32
    assert not table.requires_grad
    torch.testing.assert_close(
        table.double().norm(dim=1),
        torch.full((length,), math.sqrt(dim / 2), dtype=torch.double),
        rtol=1e-6,
        atol=0,
    )


@given(position=st.integers(0, 100_000), dim=even, data=st.data())
def test_every_number_is_rounded_once(
    position: int, dim: int, data: st.DataObject
) -> None:
    """Also far out, where a float32 angle would be wrong by 0.004."""
    m = data.draw(st.integers(0, dim // 2 - 1))
    row = sinusoidal_positions(position + 1, dim)[position]
    angle = position / 10000 ** (2 * m / dim)
    assert abs(row[2 * m].item() - math.sin(angle)) < 1e-7
    assert abs(row[2 * m + 1].item() - math.cos(angle)) < 1e-7


@given(
    i=st.integers(0, 500),
    j=st.integers(0, 500),
    k=st.integers(0, 500),
    dim=even,
)
def test_dot_product_depends_on_the_distance(
    i: int, j: int, k: int, dim: int
) -> None:
    table = sinusoidal_positions(1001, dim).double()
    here, there = table[i] @ table[j], table[i + k] @ table[j + k]
    assert abs(here - there) < 1e-6 * dim


@given(i=st.integers(0, 400), k=st.integers(0, 100), dim=even)
def test_a_shift_is_a_rotation_of_each_pair(i: int, k: int, dim: int) -> None:
    table = sinusoidal_positions(501, dim).double().view(501, dim // 2, 2)
    angle = k * 10000 ** (-torch.arange(0, dim, 2).double() / dim)
    sin, cos = angle.sin(), angle.cos()
    turned = (
        cos * table[i, :, 0] + sin * table[i, :, 1],
        cos * table[i, :, 1] - sin * table[i, :, 0],
    )
    torch.testing.assert_close(
        torch.stack(turned, dim=1), table[i + k], rtol=0, atol=1e-6
    )


@given(first=st.integers(0, 50), more=st.integers(0, 50))
def test_a_longer_table_begins_with_the_shorter(first: int, more: int) -> None:
    longer = sinusoidal_positions(first + more, 8)
    assert torch.equal(longer[:first], sinusoidal_positions(first, 8))


def test_the_first_row_points_to_twelve() -> None:
    assert sinusoidal_positions(1, 6).tolist() == [[0, 1, 0, 1, 0, 1]]


def test_all_positions_differ() -> None:
    table = sinusoidal_positions(512, 384).double()
    distances = torch.cdist(table, table).fill_diagonal_(math.inf)
    assert distances.min() > 1


@pytest.mark.parametrize(("length", "dim"), [(512, 384), (100, 2), (7, 10)])
def test_equal_to_hugging_face(length: int, dim: int) -> None:
    from transformers.models.distilbert import modeling_distilbert as hf

    theirs = hf.create_sinusoidal_embeddings(
        length, dim, torch.empty(length, dim)
    )
    torch.testing.assert_close(
        sinusoidal_positions(length, dim), theirs, rtol=0, atol=1.2e-7
    )


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("length", "dim", "error", "message"),
    [
        (-1, 8, ValueError, "length must be 0 or more, got -1"),
        (4, 7, ValueError, "dim must be even and positive, got 7"),
        (4, 0, ValueError, "dim must be even and positive, got 0"),
        (4, -2, ValueError, "dim must be even and positive, got -2"),
        (4.0, 8, TypeError, "length must be an int, got 4.0"),
        ("4", 8, TypeError, "length must be an int, got '4'"),
        (4, 8.0, TypeError, "dim must be an int, got 8.0"),
        (True, 8, TypeError, "length must be an int, got True"),
        (None, 8, TypeError, "length must be an int, got None"),
    ],
)
def test_bad_input_is_named(length, dim, error, message) -> None:
    with pytest.raises(error, match=message):
        sinusoidal_positions(length, dim)
