"""The look-up table and the search for similar rows."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from bertlib.embeddings import Embedding, nearest_rows


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 6), max_size=12))
def test_output_and_gradient_equal_the_one_hot_product(ids: list[int]) -> None:
    torch.manual_seed(0)
    table = Embedding(7, 4).double()
    indices = torch.tensor(ids, dtype=torch.long)
    one_hot = F.one_hot(indices, 7).double()
    pushes = torch.randn(len(ids), 4, dtype=torch.double)

    output = table(indices)
    (output * pushes).sum().backward()
    torch.testing.assert_close(output, one_hot @ table.weight, rtol=0, atol=0)
    torch.testing.assert_close(
        table.weight.grad, one_hot.T @ pushes, rtol=0, atol=1e-15
    )


@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_any_shape_of_ids(shape: tuple[int, ...]) -> None:
    table = Embedding(5, 2)
    ids = torch.zeros(shape, dtype=torch.long)
    assert table(ids).shape == (*shape, 2)


def test_start_is_bert_sized() -> None:
    torch.manual_seed(0)
    weight = Embedding(1000, 64).weight
    assert abs(weight.std().item() - 0.02) < 5e-4
    assert abs(weight.mean().item()) < 5e-4


def test_nearest_rows_order_and_ties_with_itself() -> None:
    table = torch.tensor([[1.0, 0], [5, 0], [1, 1], [0, 3], [-2, 0], [0, 0]])
    assert nearest_rows(table, 0, 4) == [1, 2, 3, 5] or nearest_rows(
        table, 0, 4
    ) == [1, 2, 5, 3]
    assert nearest_rows(table, 0, 100)[-1] == 4
    assert 0 not in nearest_rows(table, 0, 100)


@pytest.mark.unhooked
@pytest.mark.parametrize("ids", [[0, 5], [-1], [[1, 2], [3, 99]]])
def test_ids_outside_the_table(ids: list) -> None:
    with pytest.raises(ValueError, match=r"ids must lie in 0 … 4"):
        Embedding(5, 2)(torch.tensor(ids))


@pytest.mark.unhooked
@pytest.mark.parametrize("size", [(0, 4), (4, 0), (-1, 2)])
def test_impossible_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="num_embeddings and embedding_dim"):
        Embedding(*size)
