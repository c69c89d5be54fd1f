"""BertModel against Hugging Face's: outputs, gradients, parameter counts."""

from dataclasses import replace

import pytest
import torch
import transformers
from torch import nn

from bertlib.bert import BertConfig, BertEmbeddings, BertModel, Pooler
from bertlib.checkpoint import from_pretrained, hugging_face_names
from bertlib.corpora import minilm_folder

ODD = BertConfig(
    vocab_size=53,
    hidden_size=15,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=7,
    max_position_embeddings=19,
    type_vocab_size=3,
    initializer_range=0.3,
)
CONFIGS = {
    "odd": ODD,
    "odd, tanh": replace(ODD, hidden_act="gelu_new"),
    "odd, ReLU": replace(ODD, hidden_act="relu"),
    "one head, no pad": replace(ODD, num_attention_heads=1, pad_token_id=None),
    "large eps": replace(ODD, layer_norm_eps=1e-3),
    "tiny": BertConfig.tiny(vocab_size=1000, initializer_range=0.1),
}
each_config = pytest.mark.parametrize("name", CONFIGS)
FIELDS = [
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "pad_token_id",
    "layer_norm_eps",
]


def randomise(model: nn.Module, std: float) -> None:
    """Every parameter random, so that none can be forgotten."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(std=std)
            if "norm.weight" in name:
                parameter.add_(1)


def reference(ours: BertModel) -> transformers.BertModel:
    """Hugging Face's model with the same weights."""
    values = {name: getattr(ours.config, name) for name in FIELDS}
    config = transformers.BertConfig(**values, attn_implementation="eager")
    theirs = transformers.BertModel(config).to(ours.embeddings.word.weight)
    state = {}
    for name, parameter in ours.named_parameters():
        names = hugging_face_names(name)
        state |= zip(names, parameter.detach().chunk(len(names)), strict=True)
    theirs.load_state_dict(state)
    return theirs.eval()


def inputs(config: BertConfig, batch: int = 3, seq: int = 11) -> dict:
    """Random ids in two segments, the rows padded to different lengths."""
    lengths = torch.linspace(max(seq // 2, 1), seq, batch).long()
    mask = (torch.arange(seq) < lengths[:, None]).long()
    return {
        "input_ids": torch.randint(0, config.vocab_size, (batch, seq)),
        "token_type_ids": torch.randint(
            0, config.type_vocab_size, (batch, seq)
        ),
        "attention_mask": mask,
    }


def differences(ours, theirs, given, **options) -> dict[str, float]:
    """The largest difference in each kind of output."""
    with torch.no_grad():
        a = ours(**given, output_hidden_states=True, **options)
        b = theirs(**given, output_hidden_states=True, output_attentions=True)
    kinds = {"hidden": (a.hidden_states, b.hidden_states)}
    kinds["last"] = ([a.last_hidden_state], [b.last_hidden_state])
    if a.pooler_output is not None:
        kinds["pooler"] = ([a.pooler_output], [b.pooler_output])
    if options.get("output_attentions"):
        kinds["attentions"] = (a.attentions, b.attentions)
    return {
        kind: max(
            (x - y).abs().max().item() for x, y in zip(one, two, strict=True)
        )
        for kind, (one, two) in kinds.items()
    }


ALLOWED = {
    "hidden": 5e-5,
    "last": 5e-5,
    "pooler": 2e-5,
    "attentions": 1e-5,
}


def assert_within(found: dict[str, float], allowed: dict[str, float]) -> None:
    for kind, difference in found.items():
        assert difference <= allowed[kind], (kind, difference)


@each_config
@pytest.mark.parametrize("shape", [(3, 11), (1, 1), (2, 19)])
@pytest.mark.parametrize("output_attentions", [False, True])
def test_parity_with_random_weights(name, shape, output_attentions) -> None:
    ours = BertModel(CONFIGS[name]).eval()
    randomise(ours, CONFIGS[name].initializer_range)
    theirs = reference(ours)
    given = inputs(ours.config, *shape)
    options = {"output_attentions": output_attentions}
    assert_within(differences(ours, theirs, given, **options), ALLOWED)
    found = differences(ours.double(), theirs.double(), given, **options)
    assert_within(found, dict.fromkeys(ALLOWED, 1e-10))


def test_parity_in_half_precision_types_runs() -> None:
    ours = BertModel(ODD).eval().bfloat16()
    output = ours(**inputs(ODD), output_attentions=True)
    assert output.last_hidden_state.dtype == torch.bfloat16
    assert not output.last_hidden_state.isnan().any()


@pytest.mark.parametrize("output_attentions", [False, True])
def test_parity_with_minilm(output_attentions) -> None:
    ours = from_pretrained(BertModel, minilm_folder())
    theirs = transformers.BertModel.from_pretrained(
        minilm_folder(), attn_implementation="eager"
    ).eval()
    given = inputs(ours.config, batch=4, seq=23)
    options = {"output_attentions": output_attentions}
    assert_within(differences(ours, theirs, given, **options), ALLOWED)
    given = inputs(ours.config, batch=1, seq=131)
    assert_within(differences(ours, theirs, given, **options), ALLOWED)


@each_config
@pytest.mark.parametrize("output_attentions", [False, True])
def test_gradients_of_every_parameter(name, output_attentions) -> None:
    ours = BertModel(CONFIGS[name]).eval().double()
    randomise(ours, 0.3)
    theirs = reference(ours)
    given = inputs(ours.config)
    given["input_ids"][0, :2] = torch.tensor([0, 7])  # [PAD] among them
    targets = torch.randn(3, 11, ours.config.hidden_size).double()
    for model in (ours, theirs):
        options = {"output_attentions": output_attentions}
        output = model(**given, **options)
        loss = (output.last_hidden_state * targets).sum()
        (loss + output.pooler_output.sum()).backward()
    expected = dict(theirs.named_parameters())
    for parameter_name, parameter in ours.named_parameters():
        names = hugging_face_names(parameter_name)
        grad = torch.cat([expected.pop(n).grad for n in names])
        difference = (parameter.grad - grad).abs().max().item()
        assert difference <= 1e-9, (parameter_name, difference)
        assert parameter.grad.any(), parameter_name
    assert not expected


@each_config
def test_defaults_mean_one_segment_and_no_padding(name) -> None:
    model = BertModel(CONFIGS[name]).eval()
    ids = inputs(model.config)["input_ids"]
    one = model(ids).last_hidden_state
    other = model(ids, torch.zeros_like(ids), torch.ones_like(ids))
    torch.testing.assert_close(one, other.last_hidden_state)


def test_kinds_of_mask_agree() -> None:
    model = BertModel(ODD).eval()
    given = inputs(ODD)
    mask = given.pop("attention_mask")
    expected = model(**given, attention_mask=mask).last_hidden_state
    for kind in (torch.bool, torch.int32, torch.float32):
        output = model(**given, attention_mask=mask.to(kind))
        assert torch.equal(output.last_hidden_state, expected)


def test_padding_does_not_change_the_rest() -> None:
    model = BertModel(ODD).eval().double()
    ids = inputs(ODD, batch=1, seq=6)["input_ids"]
    padded = torch.cat([ids, torch.randint(0, 53, (1, 5))], dim=1)
    mask = (torch.arange(11) < 6)[None]
    for output_attentions in (False, True):
        alone = model(ids, output_attentions=output_attentions)
        output = model(
            padded, attention_mask=mask, output_attentions=output_attentions
        )
        torch.testing.assert_close(
            output.last_hidden_state[:, :6],
            alone.last_hidden_state,
            atol=1e-10,
            rtol=0,
        )
    for weights in output.attentions:
        assert not weights[..., 6:].any()


def test_outputs_are_optional() -> None:
    model = BertModel(ODD, add_pooling_layer=False).eval()
    ids = inputs(ODD)["input_ids"]
    plain = model(ids)
    assert plain.pooler_output is None
    assert plain.hidden_states is None and plain.attentions is None
    full = model(ids, output_attentions=True, output_hidden_states=True)
    assert len(full.hidden_states) == 4 and len(full.attentions) == 3
    assert all(w.shape == (3, 5, 11, 11) for w in full.attentions)
    for weights in full.attentions:
        torch.testing.assert_close(
            weights.sum(-1), torch.ones_like(weights[..., 0])
        )


def test_attention_weights_are_returned_in_training() -> None:
    model = BertModel(ODD).train()
    output = model(inputs(ODD)["input_ids"], output_attentions=True)
    assert len(output.attentions) == ODD.num_hidden_layers


def test_embeddings_and_pooler_by_formula() -> None:
    embeddings = BertEmbeddings(ODD).eval()
    ids, types = torch.tensor([[5, 2]]), torch.tensor([[0, 2]])
    rows = embeddings.word.weight[[5, 2]] + embeddings.position.weight[:2]
    rows = rows + embeddings.token_type.weight[[0, 2]]
    rows = rows - rows.mean(-1, keepdim=True)
    rows = rows / rows.pow(2).mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(embeddings(ids, types)[0], rows)
    pooler, states = Pooler(4), torch.randn(2, 3, 4)
    expected = torch.tanh(
        states[:, 0] @ pooler.dense.weight.T + pooler.dense.bias
    )
    torch.testing.assert_close(pooler(states), expected)


def count(config: BertConfig) -> int:
    with torch.device("meta"):  # shapes, no memory
        return sum(p.numel() for p in BertModel(config).parameters())


@pytest.mark.parametrize(
    ("config", "expected", "with_heads"),
    [
        (BertConfig.tiny(), 4_385_920, 4_433_468),
        (BertConfig.mini(), 11_170_560, 11_267_900),
        (BertConfig.small(), 28_763_648, 29_058_876),
        (BertConfig.medium(), 41_373_184, 41_668_412),
        (BertConfig.base(), 109_482_240, 110_106_428),
        (BertConfig.base(vocab_size=28_996), 108_310_272, 108_932_934),
        (BertConfig.large(), 335_141_888, 336_226_108),
        (BertConfig.base(vocab_size=21_128), 102_267_648, 102_882_442),
    ],
)
def test_parameter_counts(config, expected, with_heads) -> None:
    assert count(config) == expected
    h, vocab = config.hidden_size, config.vocab_size
    heads = (h * h + h) + 2 * h + vocab + (2 * h + 2)
    assert expected + heads == with_heads


def test_initialisation_is_google_s() -> None:
    model = BertModel(BertConfig.tiny(vocab_size=1000))
    table = model.embeddings.word.weight
    assert table.abs().max() <= 0.04
    assert abs(table.std().item() - 0.0176) < 2e-4
    assert not model.encoder.blocks[0].attention.qkv.bias.any()
    wide = BertModel(BertConfig.tiny(vocab_size=1000, initializer_range=0.1))
    assert abs(wide.embeddings.word.weight.std().item() - 0.088) < 1e-3


def test_same_seed_same_model() -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        models.append(BertModel(ODD))
    for one, other in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(one, other)


def test_both_ways_of_dropout() -> None:
    model = BertModel(replace(ODD, attention_probs_dropout_prob=0.0))
    rates = {m.p for m in model.modules() if isinstance(m, nn.Dropout)}
    assert rates == {0.1}
    ids = inputs(ODD)["input_ids"]
    one, other = model(ids), model(ids)
    assert not torch.equal(one.last_hidden_state, other.last_hidden_state)
    model.eval()
    one, other = model(ids), model(ids)
    assert torch.equal(one.last_hidden_state, other.last_hidden_state)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("vocab_size", 0, "at least 1"),
        ("vocab_size", 30522.0, "must be int"),
        ("vocab_size", True, "must be int"),
        ("vocab_size", 10**30, "below"),
        ("hidden_size", -768, "at least 1"),
        ("hidden_size", "768", "must be int"),
        ("hidden_size", 770, "multiple of num_attention_heads 12"),
        ("hidden_size", None, "must be int"),
        ("num_hidden_layers", 0, "at least 1"),
        ("num_hidden_layers", [12], "must be int"),
        ("num_attention_heads", 0, "at least 1"),
        ("intermediate_size", 0, "at least 1"),
        ("max_position_embeddings", 0, "at least 1"),
        ("type_vocab_size", 0, "at least 1"),
        ("num_labels", 0, "at least 1"),
        ("hidden_act", "swish", "gelu_new"),
        ("hidden_act", ["gelu"], "gelu_new"),
        ("hidden_dropout_prob", 1.0, "below 1"),
        ("hidden_dropout_prob", -0.1, "at least 0"),
        ("hidden_dropout_prob", float("nan"), "at least 0"),
        ("attention_probs_dropout_prob", "0.1", "must be float"),
        ("classifier_dropout", 2, "below 1"),
        ("initializer_range", 0.0, "at least"),
        ("initializer_range", float("inf"), "at least"),
        ("layer_norm_eps", 0.0, "at least"),
        ("layer_norm_eps", float("nan"), "at least"),
        ("pad_token_id", 30522, "below 30522"),
        ("pad_token_id", -1, "at least 0"),
        ("pad_token_id", 0.0, "must be int"),
    ],
)
def test_config_refuses(name, value, message) -> None:
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        BertConfig(**{name: value})


@pytest.mark.unhooked
def test_presets_take_changes_and_check_them() -> None:
    assert BertConfig.tiny(vocab_size=99).vocab_size == 99
    assert BertConfig() == BertConfig.base()
    with pytest.raises(ValueError, match="vocab_size"):
        BertConfig.large(vocab_size=-1)
    with pytest.raises(TypeError, match="vocabulary_size"):
        BertConfig.mini(vocabulary_size=99)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"input_ids": torch.tensor([[1, 53]])}, "input_ids.*0 … 52.*1 … 53"),
        ({"input_ids": torch.tensor([[1, -1]])}, "input_ids.*0 … 52.*-1 … 1"),
        ({"input_ids": torch.ones(1, 20).long()}, "input_ids.*20.*allows 19"),
        ({"input_ids": torch.ones(0, 5).long()}, "input_ids.*at least 1"),
        ({"input_ids": torch.ones(2, 0).long()}, "input_ids.*at least 1"),
        ({"input_ids": torch.ones(5).long()}, r"input_ids.*\(batch, seq\)"),
        ({"input_ids": torch.ones(1, 5)}, "input_ids.*int64.*float32"),
        ({"token_type_ids": torch.ones(1, 5).long()}, "token_type_ids.*shape"),
        ({"token_type_ids": torch.full((2, 5), 3)}, "token_type_ids.*0 … 2"),
        ({"token_type_ids": torch.ones(2, 5)}, "token_type_ids.*float32"),
        ({"attention_mask": torch.ones(2, 4)}, "attention_mask.*shape"),
        ({"attention_mask": torch.ones(5)}, "attention_mask.*shape"),
        ({"attention_mask": torch.ones(2, 1, 1, 5)}, "attention_mask.*shape"),
        (
            {"attention_mask": torch.full((2, 5), 2)},
            "attention_mask.*0 for pad",
        ),
    ],
)
def test_input_errors_come_before_index_errors(change, message) -> None:
    model = BertModel(ODD).eval()
    given = {"input_ids": torch.ones(2, 5).long()} | change
    with pytest.raises(ValueError, match=message):
        model(**given)


@pytest.mark.unhooked
def test_compiles_whole() -> None:
    """No graph break; the "eager" backend needs no C++ compiler."""
    model = BertModel(ODD).eval()
    given = inputs(ODD)
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(
        compiled(**given).last_hidden_state, model(**given).last_hidden_state
    )
