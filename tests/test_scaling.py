"""Scaling: formulas against what torch counts, profiles, costs."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from bertlib.bert import BertConfig
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import make_optimizer
from bertlib.scaling import (
    BERT_PHASES,
    Phase,
    operation_shares,
    step_flops,
    step_memory,
    training_cost,
)


def small(**changes) -> BertConfig:
    sizes = {
        "vocab_size": 90,
        "hidden_size": 24,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "intermediate_size": 40,
        "max_position_embeddings": 64,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
    }
    return BertConfig(**sizes | changes)


def batch(config, rows, seq_len, masked) -> dict[str, torch.Tensor]:
    ids = torch.randint(5, config.vocab_size, (rows, seq_len))
    labels = torch.full_like(ids, -100)
    labels.view(-1)[torch.randperm(rows * seq_len)[:masked]] = 7
    return {
        "input_ids": ids,
        "token_type_ids": torch.zeros_like(ids),
        "labels": labels,
        "next_sentence_label": torch.zeros(rows, dtype=torch.long),
    }


# --- operations


@pytest.mark.parametrize(
    ("changes", "rows", "seq_len", "masked"),
    [
        ({}, 2, 10, 3),
        ({}, 1, 1, 1),
        ({"num_hidden_layers": 1, "intermediate_size": 7}, 3, 64, 100),
        ({"num_attention_heads": 1, "vocab_size": 500}, 5, 33, 5),
        ({"num_attention_heads": 24}, 2, 16, 32),
    ],
)
def test_operations_are_those_that_torch_counts(
    changes, rows, seq_len, masked
):
    config = small(**changes)
    model = BertForPreTraining(config).train()
    with FlopCounterMode(display=False) as counter:
        model(**batch(config, rows, seq_len, masked)).loss.backward()
    expected = counter.get_total_flops()
    assert step_flops(config, rows, seq_len, masked) == expected


def test_operations_of_base_are_six_for_each_weight_and_token():
    """The rule of thumb; embeddings do not count, attention adds a bit."""
    config = BertConfig.base()
    found = step_flops(config, 256, 128, 0) / (256 * 128)
    assert 1 < found / (6 * 12 * 12 * 768**2) < 1.05


# --- memory


def kept_bytes(model, inputs) -> int:
    known = {
        t.untyped_storage().data_ptr()
        for t in (*model.parameters(), *inputs.values())
    }
    kept = {}

    def note(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        output = model(**inputs)
    assert output.loss.isfinite()
    return sum(storage.nbytes() for storage in kept.values())


@pytest.mark.parametrize("hidden", [0.0, 0.1])
@pytest.mark.parametrize("attention", [0.0, 0.1])
@pytest.mark.parametrize(
    ("rows", "seq_len", "masked"), [(2, 64, 20), (8, 16, 1), (1, 40, 40)]
)
def test_activations_are_those_that_torch_keeps(
    hidden, attention, rows, seq_len, masked
):
    config = small(
        hidden_dropout_prob=hidden, attention_probs_dropout_prob=attention
    )
    model = BertForPreTraining(config).train()
    found = kept_bytes(model, batch(config, rows, seq_len, masked))
    expected = step_memory(config, rows, seq_len, masked).activations
    assert found == pytest.approx(expected, abs=200)  # single numbers


def test_a_padding_mask_does_not_change_the_activations():
    config = small()
    model = BertForPreTraining(config).train()
    inputs = batch(config, 2, 32, 9)
    plain = kept_bytes(model, inputs)
    inputs["attention_mask"] = torch.ones(2, 32, dtype=torch.long)
    inputs["attention_mask"][0, 20:] = 0
    assert kept_bytes(model, inputs) == pytest.approx(plain, abs=200)


def test_parameters_gradients_and_moments():
    memory = step_memory(BertConfig.base(), 1, 8, 1)
    assert memory.parameters == 4 * 110_106_428
    assert memory.gradients == memory.parameters
    assert memory.moments == 2 * memory.parameters
    parts = (memory.parameters, memory.gradients, memory.moments)
    assert memory.total == sum(parts) + memory.activations
    config = small()
    model = BertForPreTraining(config)
    optimizer = make_optimizer(model, 1e-3)
    model(**batch(config, 2, 8, 3)).loss.backward()
    optimizer.step()
    moments = sum(
        4 * state[name].numel()
        for state in optimizer.state.values()
        for name in ("exp_avg", "exp_avg_sq")
    )
    assert step_memory(config, 2, 8, 3).moments == moments


@pytest.mark.unhooked
@pytest.mark.parametrize("count", [step_flops, step_memory])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 8, 1), "rows must be at least 1, not 0"),
        ((2, 0, 1), "seq_len must be at least 1, not 0"),
        ((2, 8, -1), "masked must be at least 0, not -1"),
        ((2, 8, 17), "masked must be at most rows · seq_len = 16, not 17"),
    ],
)
def test_sizes_that_cannot_be(count, sizes, message):
    with pytest.raises(ValueError, match=message):
        count(small(), *sizes)


# --- profile


def test_shares_of_a_step_add_up_and_name_what_was_done():
    config = small(vocab_size=2000)
    model = BertForPreTraining(config).train()
    optimizer = make_optimizer(model, 1e-3)
    inputs = batch(config, 4, 32, 19)

    def step():
        model(**inputs).loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    shares = operation_shares(step, repeats=2)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares.pop("attention kernel") == 0  # not with dropout
    assert min(shares.values()) > 0


def test_shares_of_a_product_and_of_the_kernel():
    a = torch.randn(300, 300)
    shares = operation_shares(lambda: a @ a)
    assert shares["matrix products"] > 0.9
    q = torch.randn(2, 2, 64, 16)
    attend = torch.nn.functional.scaled_dot_product_attention
    shares = operation_shares(lambda: attend(q, q, q))
    assert shares["attention kernel"] > 0.3


@pytest.mark.unhooked
def test_a_profile_of_nothing_is_refused():
    with pytest.raises(ValueError, match="repeats must be at least 1"):
        operation_shares(lambda: None, repeats=0)
    with pytest.raises(ValueError, match="no operation of torch"):
        operation_shares(lambda: None)


# --- cost


def test_cost_by_hand():
    config = small()
    phases = (Phase(10, 4, 20), Phase(5, 2, 40))
    operations = 10 * step_flops(config, 4, 20, 12) + 5 * step_flops(
        config, 2, 40, 12
    )
    cost = training_cost(
        config,
        peak=operations / 3600,  # an hour at full speed
        utilisation=0.5,
        devices=4,
        price_per_hour=3.0,
        phases=phases,
    )
    assert cost.tokens == 10 * 80 + 5 * 80
    assert cost.operations == operations
    assert cost.days == pytest.approx(0.5 / 24)
    assert cost.price == pytest.approx(4 * 0.5 * 3)


def test_the_paper_reads_43_billion_tokens():
    cost = training_cost(BertConfig.base(), 1e14, 0.4)
    assert sum(phase.steps for phase in BERT_PHASES) == 1_000_000
    assert cost.tokens == 256 * (900_000 * 128 + 100_000 * 512)
    assert cost.operations == pytest.approx(2.4e19, rel=0.05)
    assert cost.price == 0


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peak": 0}, "peak must be above 0"),
        ({"utilisation": 0}, "utilisation must lie in"),
        ({"utilisation": 1.1}, "utilisation must lie in"),
        ({"devices": 0}, "devices must be at least 1"),
        ({"price_per_hour": -1}, "price_per_hour must be at least 0"),
        ({"phases": ()}, "phases is empty"),
        ({"phases": (Phase(1, 0, 8),)}, "rows must be at least 1"),
    ],
)
def test_costs_that_cannot_be(changes, message):
    arguments = {"peak": 1e12, "utilisation": 0.5} | changes
    with pytest.raises(ValueError, match=message):
        training_cost(small(), **arguments)
