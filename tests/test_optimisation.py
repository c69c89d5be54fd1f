"""Optimiser and schedule: against the formulas, torch and Hugging Face."""

import copy
import math
import re

import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from bertlib.bert import BertConfig
from bertlib.checkpoint import hugging_face_names
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import decay_groups, make_optimizer, warmup_linear

CONFIG = BertConfig(
    vocab_size=50,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=16,
)
GOOGLES_EXCEPTIONS = re.compile("LayerNorm|layer_norm|bias")


class Tied(nn.Module):
    """Two names for one matrix."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight


def plain_adamw(theta, gradients, rates, decay, correct=True):
    """Algorithm 2 of Loshchilov and Hutter, one number after the other."""
    beta1, beta2, eps = 0.9, 0.999, 1e-6
    m = v = 0.0
    for t, (g, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        first, second = m, v
        if correct:
            first, second = m / (1 - beta1**t), v / (1 - beta2**t)
        step = first / (math.sqrt(second) + eps) + decay * theta
        theta = theta - rate * step
    return theta


def set_gradients(parameters, step: int) -> None:
    """The same pseudo-random gradients for every copy of a model."""
    generator = torch.Generator().manual_seed(step)
    for parameter in parameters:
        parameter.grad = torch.randn(
            parameter.shape, generator=generator, dtype=torch.float64
        ).to(parameter)


# --- decay groups -----------------------------------------------------------


def test_groups_are_googles() -> None:
    model = BertForPreTraining(CONFIG)
    decayed, spared = (
        set(map(id, group["params"])) for group in decay_groups(model, 0.1)
    )
    assert not decayed & spared
    for name, parameter in model.named_parameters():
        for theirs in hugging_face_names(name):
            spares = bool(GOOGLES_EXCEPTIONS.search(theirs))
            assert (id(parameter) in spared) == spares, name
            assert (id(parameter) in decayed) != spares, name


def test_groups_are_those_of_hugging_faces_trainer() -> None:
    config = transformers.BertConfig(
        vocab_size=50,
        hidden_size=12,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=20,
        max_position_embeddings=16,
    )
    theirs = transformers.BertForPreTraining(config)
    names = transformers.Trainer.get_decay_parameter_names(None, theirs)
    expected = [0, 0]
    for name, parameter in theirs.named_parameters():
        expected[name not in names] += parameter.numel()
    groups = decay_groups(BertForPreTraining(CONFIG), 0.01)
    found = [sum(p.numel() for p in group["params"]) for group in groups]
    assert found == expected


def test_weight_decay_is_that_of_the_first_group_only() -> None:
    groups = decay_groups(BertForPreTraining(CONFIG), 0.3)
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]


def test_tied_parameter_comes_once() -> None:
    model = Tied()
    decayed, spared = decay_groups(model, 0.1)
    assert [id(p) for p in decayed["params"]] == [id(model.first.weight)]
    assert len(spared["params"]) == 2


def test_frozen_parameters_are_left_out() -> None:
    model = BertForPreTraining(CONFIG)
    model.bert.embeddings.requires_grad_(False)
    frozen = set(map(id, model.bert.embeddings.parameters()))
    for group in decay_groups(model, 0.1):
        assert not frozen & set(map(id, group["params"]))


# --- the optimiser ----------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_many_steps_follow_the_formula(dtype) -> None:
    layer = nn.Linear(2, 1).to(dtype)
    start = torch.tensor([0.5, -2.0], dtype=dtype)
    with torch.no_grad():
        layer.weight.copy_(start)
        layer.bias.fill_(1.5)
    optimizer = make_optimizer(layer, 0.01, weight_decay=0.1)
    sizes = torch.tensor([[3.0, 1e-4]], dtype=dtype)
    history, rates = [], []
    for step in range(300):
        set_gradients(layer.parameters(), step)
        layer.weight.grad *= sizes
        rates.append(0.01 * warmup_linear(step, 300, 30))
        for group in optimizer.param_groups:
            group["lr"] = rates[-1]
        history.append(
            [*layer.weight.grad[0].tolist(), layer.bias.grad.item()]
        )
        optimizer.step()
    tolerance = 1e-12 if dtype == torch.float64 else 2e-5
    found = [*layer.weight[0].tolist(), layer.bias.item()]
    starts = [0.5, -2.0, 1.5]
    decays = [0.1, 0.1, 0.0]
    for i in range(3):
        gradients = [row[i] for row in history]
        expected = plain_adamw(starts[i], gradients, rates, decays[i])
        assert abs(found[i] - expected) <= tolerance, i


def test_fused_kernel_agrees_with_torchs_plain_loop() -> None:
    ours = BertForPreTraining(CONFIG).double()
    theirs = copy.deepcopy(ours)
    optimizers = (
        make_optimizer(ours, 1e-2),
        torch.optim.AdamW(
            decay_groups(theirs, 0.01), lr=1e-2, eps=1e-6, foreach=False
        ),
    )
    assert optimizers[0].param_groups[0]["fused"]
    for step in range(50):
        for model, optimizer in zip((ours, theirs), optimizers, strict=True):
            set_gradients(model.parameters(), step)
            optimizer.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


def test_without_gradient_matrices_decay_and_vectors_stay() -> None:
    model = BertForPreTraining(CONFIG).double()
    before = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    make_optimizer(model, 0.1, weight_decay=0.2).step()
    for old, new in zip(before.parameters(), model.parameters(), strict=True):
        factor = 1 - 0.1 * 0.2 if old.ndim > 1 else 1
        torch.testing.assert_close(new, factor * old, rtol=0, atol=1e-15)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_steps_hardly_depend_on_the_scale_of_the_loss(scale) -> None:
    results = []
    for factor in (1, scale):
        torch.manual_seed(0)
        layer = nn.Linear(5, 5).double()
        optimizer = make_optimizer(layer, 0.01, eps=1e-12)
        for step in range(20):
            set_gradients(layer.parameters(), step)
            for parameter in layer.parameters():
                parameter.grad *= factor
            optimizer.step()
        results.append(layer.weight)
    torch.testing.assert_close(*results, rtol=0, atol=1e-8)


def test_missing_correction_is_a_factor() -> None:
    """As chapter 11 derives it, for any gradients."""
    gradients = torch.randn(40, dtype=torch.float64).tolist()
    for t in (1, 2, 12, 40):
        rates = [0.0] * (t - 1) + [1.0]
        first = plain_adamw(0.0, gradients[:t], rates, 0.0)
        other = plain_adamw(0.0, gradients[:t], rates, 0.0, correct=False)
        factor = (1 - 0.9**t) / math.sqrt(1 - 0.999**t)
        assert other / first == pytest.approx(factor, rel=1e-4)


def test_settings_arrive() -> None:
    optimizer = make_optimizer(
        nn.Linear(2, 2), 3e-4, weight_decay=0.02, betas=(0.8, 0.98), eps=1e-8
    )
    assert type(optimizer) is torch.optim.AdamW
    for group, decay in zip(optimizer.param_groups, (0.02, 0), strict=True):
        assert group["lr"] == 3e-4
        assert group["betas"] == (0.8, 0.98)
        assert group["eps"] == 1e-8
        assert group["weight_decay"] == decay
        assert not group["amsgrad"]


def test_resumed_optimizer_goes_on_to_the_same_bits() -> None:
    torch.manual_seed(0)
    model = BertForPreTraining(CONFIG)
    optimizer = make_optimizer(model, 1e-2)
    for step in range(3):
        set_gradients(model.parameters(), step)
        optimizer.step()
    copied = copy.deepcopy(model)
    resumed = make_optimizer(copied, 1e-2)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, other in ((model, optimizer), (copied, resumed)):
        for step in range(3, 6):
            set_gradients(one.parameters(), step)
            other.step()
    for a, b in zip(model.parameters(), copied.parameters(), strict=True):
        assert torch.equal(a, b)


def test_device_without_a_fused_kernel() -> None:
    optimizer = make_optimizer(nn.Linear(2, 2, device="meta"), 1e-3)
    assert not any(group["fused"] for group in optimizer.param_groups)


def test_model_of_vectors_only() -> None:
    norm = nn.LayerNorm(4)
    norm.weight.grad = torch.ones(4)
    make_optimizer(norm, 0.5, weight_decay=0.9).step()
    torch.testing.assert_close(norm.weight, torch.full((4,), 0.5))


# --- the schedule -----------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "warmup"), [(10, 4), (10, 0), (7, 7), (1, 0), (1000, 100)]
)
def test_schedule_is_hugging_faces(total, warmup) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    theirs = transformers.get_linear_schedule_with_warmup(
        optimizer, warmup, total
    )
    for step in range(total + 3):
        expected = theirs.get_last_lr()[0]
        assert warmup_linear(step, total, warmup) == pytest.approx(expected)
        optimizer.step()
        theirs.step()


lengths = st.floats(1e-3, 1e9)
shares = st.floats(0, 1)


@given(lengths, shares, shares)
def test_schedule_in_any_unit(total, warm_share, share) -> None:
    warmup, done = warm_share * total, share * total
    found = warmup_linear(done, total, warmup)
    assert 0 <= found <= 1
    # The same in seconds as in steps of half a second.
    assert warmup_linear(2 * done, 2 * total, 2 * warmup) == found


@given(lengths, shares, shares, shares)
def test_schedule_rises_then_falls(total, warm_share, one, other) -> None:
    warmup = warm_share * total
    first, second = sorted((one * total, other * total))
    a = warmup_linear(first, total, warmup)
    b = warmup_linear(second, total, warmup)
    if second <= warmup < total:
        assert a <= b
    if first >= warmup:
        assert a >= b


def test_ends_of_the_schedule() -> None:
    assert warmup_linear(0, 100, 10) == 0
    assert warmup_linear(0, 100, 0) == 1
    assert warmup_linear(10, 100, 10) == 1
    assert warmup_linear(99, 100, 10) == pytest.approx(1 / 90)
    assert warmup_linear(100, 100, 10) == warmup_linear(1e9, 100, 10) == 0
    assert warmup_linear(12.5, 25.0, 0.0) == 0.5


# --- bad input --------------------------------------------------------------


@pytest.mark.unhooked
@pytest.mark.parametrize("weight_decay", [-0.01, math.nan, math.inf])
def test_bad_weight_decay(weight_decay) -> None:
    with pytest.raises(ValueError, match=r"weight_decay .*not"):
        decay_groups(nn.Linear(2, 2), weight_decay)
    with pytest.raises(ValueError, match=r"weight_decay .*not"):
        make_optimizer(nn.Linear(2, 2), 1e-3, weight_decay)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    "model", [nn.ReLU(), nn.Linear(2, 2).requires_grad_(False)]
)
def test_nothing_to_train(model) -> None:
    with pytest.raises(ValueError, match="no parameters that require"):
        make_optimizer(model, 1e-3)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", -1e-3),
        ("learning_rate", math.nan),
        ("learning_rate", math.inf),
        ("betas", (0.9, 1.0)),
        ("betas", (-0.1, 0.9)),
        ("betas", (0.9,)),
        ("betas", (math.nan, 0.9)),
        ("eps", 0.0),
        ("eps", -1e-8),
        ("eps", math.nan),
    ],
)
def test_bad_settings(name, value) -> None:
    settings = {"learning_rate": 1e-3} | {name: value}
    with pytest.raises(ValueError, match=f"^{name} must"):
        make_optimizer(nn.Linear(2, 2), **settings)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("total", (0, 0, 0)),
        ("total", (0, -5, 0)),
        ("total", (0, math.inf, 0)),
        ("total", (0, math.nan, 0)),
        ("warmup", (0, 10, -1)),
        ("warmup", (0, 10, 11)),
        ("warmup", (0, 10, math.nan)),
        ("done", (-1, 10, 2)),
        ("done", (math.nan, 10, 2)),
        ("done", (math.inf, 10, 2)),
    ],
)
def test_bad_schedule(name, arguments) -> None:
    with pytest.raises(ValueError, match=f"^{name} must"):
        warmup_linear(*arguments)
