"""Heads and losses of pretraining against Hugging Face's and by formula."""

import math
from dataclasses import replace

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from bertlib.bert import BertConfig
from bertlib.checkpoint import (
    from_pretrained,
    hugging_face_names,
    save_pretrained,
)
from bertlib.objectives import (
    BertForMaskedLM,
    BertForPreTraining,
    Guess,
    MaskedLMHead,
    fill_mask,
)
from bertlib.wordpiece import BertTokenizer

ODD = BertConfig(
    vocab_size=53,
    hidden_size=15,
    num_hidden_layers=3,
    num_attention_heads=5,
    intermediate_size=7,
    max_position_embeddings=19,
    initializer_range=0.3,
)
CONFIGS = {
    "odd": ODD,
    "odd, tanh": replace(ODD, hidden_act="gelu_new"),
    "odd, ReLU": replace(ODD, hidden_act="relu"),
    "large eps": replace(ODD, layer_norm_eps=1e-3),
    "tiny": BertConfig.tiny(vocab_size=1000, initializer_range=0.1),
}
each_config = pytest.mark.parametrize("name", CONFIGS)
CLASSES = (BertForPreTraining, BertForMaskedLM)
each_class = pytest.mark.parametrize("cls", CLASSES)


def make(cls, config: BertConfig) -> nn.Module:
    """Every parameter random, so that none can be forgotten."""
    model = cls(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(std=config.initializer_range)
            if "norm.weight" in name:
                parameter.add_(1)
    return model


def reference(ours: nn.Module, folder) -> nn.Module:
    """Hugging Face's class of the same name, from our files."""
    save_pretrained(ours, folder)
    theirs = getattr(transformers, type(ours).__name__)
    model, report = theirs.from_pretrained(
        folder, attn_implementation="eager", output_loading_info=True
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    return model.eval()


def batch(config: BertConfig, rows: int = 4, seq: int = 11) -> dict:
    """Padded rows in two segments, some places of each labelled."""
    lengths = torch.linspace(max(seq // 2, 1), seq, rows).long()
    mask = (torch.arange(seq) < lengths[:, None]).long()
    ids = torch.randint(0, config.vocab_size, (rows, seq))
    asked = (torch.rand(rows, seq) < 0.3) & (mask == 1)
    asked[0, 0] = True
    return {
        "input_ids": ids.masked_fill(asked, 3),
        "token_type_ids": (torch.arange(seq) > seq // 2)
        .long()
        .repeat(rows, 1),
        "attention_mask": mask,
        "labels": ids.masked_fill(~asked, -100),
        "next_sentence_label": torch.arange(rows) % 2,
    }


def for_class(cls, inputs: dict) -> dict:
    left_out = set()
    if cls is BertForMaskedLM:
        left_out.add("next_sentence_label")
    return {k: v for k, v in inputs.items() if k not in left_out}


def without_labels(inputs: dict) -> dict:
    names = ("input_ids", "token_type_ids", "attention_mask")
    return {name: inputs[name] for name in names}


def difference(a, b) -> float:
    return (a - b).abs().max().item()


@each_class
@each_config
def test_parity_of_logits_and_loss(cls, name, tmp_path) -> None:
    ours = make(cls, CONFIGS[name])
    theirs = reference(ours, tmp_path)
    inputs = for_class(cls, batch(CONFIGS[name]))
    for allowed in (5e-5, 1e-10):
        with torch.no_grad():
            plain, output = ours(**without_labels(inputs)), ours(**inputs)
            expected = theirs(**inputs)
        if cls is BertForPreTraining:
            logits = expected.prediction_logits
            pairs = [
                (
                    plain.seq_relationship_logits,
                    expected.seq_relationship_logits,
                )
            ]
        else:
            logits, pairs = expected.logits, []
        chosen = inputs["labels"] != -100
        pairs += [
            (plain.prediction_logits, logits),
            (output.prediction_logits, logits[chosen]),
            (output.loss, expected.loss),
        ]
        assert max(difference(a, b) for a, b in pairs) <= allowed
        ours.double(), theirs.double()


@each_class
@each_config
def test_gradients_of_every_parameter(cls, name, tmp_path) -> None:
    ours = make(cls, CONFIGS[name])
    theirs = reference(ours, tmp_path)
    inputs = for_class(cls, batch(CONFIGS[name]))
    for model in (ours.double(), theirs.double()):
        model(**inputs).loss.backward()
    expected = dict(theirs.named_parameters())
    for ours_name, parameter in ours.named_parameters():
        names = hugging_face_names(ours_name)
        grad = torch.cat([expected.pop(n).grad for n in names])
        assert difference(parameter.grad, grad) <= 1e-9, ours_name
        assert parameter.grad.any(), ours_name
    assert not expected


@each_class
def test_files_go_there_and_back(cls, tmp_path) -> None:
    ours = make(cls, ODD)
    reference(ours, tmp_path / "ours").save_pretrained(tmp_path / "theirs")
    for folder in ("ours", "theirs"):
        back = from_pretrained(cls, tmp_path / folder)
        assert type(back) is cls and not back.training
        assert back.config == ours.config
        for one, other in zip(
            ours.parameters(), back.parameters(), strict=True
        ):
            assert torch.equal(one, other)


def test_masked_lm_reads_a_pretraining_checkpoint(tmp_path, capsys) -> None:
    both = make(BertForPreTraining, ODD)
    save_pretrained(both, tmp_path)
    one = from_pretrained(BertForMaskedLM, tmp_path)
    assert "left out cls.seq_relationship, pooler" in capsys.readouterr().out
    inputs = without_labels(batch(ODD))
    torch.testing.assert_close(
        one(**inputs).prediction_logits, both(**inputs).prediction_logits
    )


def test_head_by_formula() -> None:
    head, table = MaskedLMHead(ODD), torch.randn(53, 15)
    nn.init.normal_(head.bias)
    states = torch.randn(2, 3, 15)
    x = states @ head.dense.weight.T + head.dense.bias
    x = 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))
    x = x - x.mean(-1, keepdim=True)
    x = x / x.pow(2).mean(-1, keepdim=True).sqrt()
    torch.testing.assert_close(head(states, table), x @ table.T + head.bias)
    torch.testing.assert_close(
        head(states[0, 0], table), (x @ table.T + head.bias)[0, 0]
    )


@each_class
def test_table_is_tied(cls) -> None:
    model = cls(ODD)
    table = model.bert.embeddings.word.weight
    assert [p.shape for p in model.parameters()].count(table.shape) == 1
    assert "mlm.bias" in dict(model.named_parameters())
    before = model.eval()(torch.tensor([[5, 6]])).prediction_logits
    with torch.no_grad():
        table[40, 0] += 1  # a piece that the input does not hold
    after = model(torch.tensor([[5, 6]])).prediction_logits
    moved = (before - after).abs().amax(dim=(0, 1)) > 1e-6
    assert moved.nonzero().flatten().tolist() == [40]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (BertConfig.tiny(), 4_433_468),
        (BertConfig.mini(), 11_267_900),
        (BertConfig.small(), 29_058_876),
        (BertConfig.medium(), 41_668_412),
        (BertConfig.base(), 110_106_428),
        (BertConfig.large(), 336_226_108),
    ],
)
def test_parameter_counts(config, expected) -> None:
    with torch.device("meta"):
        model = BertForPreTraining(config)
        smaller = BertForMaskedLM(config)
    assert sum(p.numel() for p in model.parameters()) == expected
    h = config.hidden_size
    without = expected - (h * h + h) - (2 * h + 2)  # pooler, NSP
    assert sum(p.numel() for p in smaller.parameters()) == without


@settings(max_examples=40)
@given(st.data())
def test_loss_is_the_mean_over_labelled_places(data) -> None:
    rows, seq = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 9))
    torch.manual_seed(data.draw(st.integers(0, 99)))
    share = data.draw(st.sampled_from([0.0, 0.2, 1.0]))
    model = make(BertForPreTraining, ODD).double()
    ids = torch.randint(0, 53, (rows, seq))
    labels = ids.masked_fill(torch.rand(rows, seq) >= share, -100)
    with torch.no_grad():
        everywhere = model(ids).prediction_logits
        output = model(ids, labels=labels)
    chosen = labels != -100
    torch.testing.assert_close(output.prediction_logits, everywhere[chosen])
    if chosen.any():
        expected = F.cross_entropy(
            everywhere.flatten(0, 1), labels.flatten(), ignore_index=-100
        )
        torch.testing.assert_close(output.mlm_loss, expected)
    else:
        assert output.mlm_loss.item() == 0
        assert output.prediction_logits.shape == (0, 53)
    assert output.loss == output.mlm_loss


def test_losses_that_are_not_asked_for() -> None:
    model = make(BertForPreTraining, ODD)
    inputs = batch(ODD)
    pair = inputs.pop("next_sentence_label")
    labels = inputs.pop("labels")
    output = model(**inputs)
    assert output.loss is output.mlm_loss is output.nsp_loss is None
    assert output.prediction_logits.shape == (4, 11, 53)
    assert output.seq_relationship_logits.shape == (4, 2)
    only_mlm = model(**inputs, labels=labels)
    assert only_mlm.nsp_loss is None
    only_nsp = model(**inputs, next_sentence_label=pair)
    assert only_nsp.mlm_loss is None
    assert only_nsp.prediction_logits.shape == (4, 11, 53)
    torch.testing.assert_close(
        only_nsp.nsp_loss,
        F.cross_entropy(output.seq_relationship_logits, pair),
    )
    both = model(**inputs, labels=labels, next_sentence_label=pair)
    torch.testing.assert_close(
        both.loss, only_mlm.mlm_loss + only_nsp.nsp_loss
    )
    plain = make(BertForMaskedLM, ODD)(**inputs, labels=labels)
    assert plain.loss is plain.mlm_loss
    assert plain.nsp_loss is plain.seq_relationship_logits is None


def test_no_labelled_place_still_has_a_gradient() -> None:
    model = BertForPreTraining(ODD)
    ids = torch.randint(0, 53, (2, 5))
    output = model(ids, labels=torch.full((2, 5), -100))
    output.loss.backward()
    assert output.loss.item() == 0
    for name, parameter in model.named_parameters():
        if not name.startswith(("nsp", "bert.pooler")):
            assert parameter.grad is not None, name
            assert not parameter.grad.any(), name


def test_both_classes_of_pairs_train_and_zero_means_next() -> None:
    """One shared ignore_index=0 would leave class 0 without a gradient."""
    model = make(BertForPreTraining, ODD)
    ids = torch.randint(0, 53, (1, 6))
    for label in (0, 1):
        model.zero_grad()
        loss = model(ids, next_sentence_label=torch.tensor([label])).loss
        loss.backward()
        grad = model.nsp.bias.grad
        assert grad[label] < 0 < grad[1 - label]


def test_piece_zero_and_pad_count_where_they_are_labelled() -> None:
    model = make(BertForMaskedLM, ODD)
    ids = torch.randint(1, 53, (1, 6))
    labels = torch.full((1, 6), -100)
    labels[0, 2] = 0
    model(ids, labels=labels).loss.backward()
    assert model.mlm.bias.grad[0] < 0


def test_padding_changes_no_loss() -> None:
    model = make(BertForPreTraining, ODD).double()
    ids = torch.randint(0, 53, (3, 6))
    labels = ids.masked_fill(torch.rand(3, 6) < 0.5, -100)
    pair = torch.tensor([0, 1, 1])
    expected = model(ids, None, None, labels, pair)
    padded = model(
        F.pad(ids, (0, 5), value=9),
        attention_mask=(torch.arange(11) < 6).repeat(3, 1),
        labels=F.pad(labels, (0, 5), value=-100),
        next_sentence_label=pair,
    )
    torch.testing.assert_close(padded.loss, expected.loss)
    torch.testing.assert_close(
        padded.prediction_logits, expected.prediction_logits
    )


def test_order_of_the_logits_is_reading_order() -> None:
    model = make(BertForMaskedLM, ODD)
    ids = torch.randint(0, 53, (2, 4))
    labels = torch.full((2, 4), -100)
    labels[0, 3] = labels[1, 0] = labels[1, 2] = 7
    everywhere = model(ids).prediction_logits
    found = model(ids, labels=labels).prediction_logits
    for row, (i, j) in enumerate([(0, 3), (1, 0), (1, 2)]):
        torch.testing.assert_close(found[row], everywhere[i, j])


@each_class
def test_initialisation(cls) -> None:
    config = BertConfig.tiny(vocab_size=1000)
    model = cls(config)
    assert not model.mlm.bias.any() and not model.mlm.dense.bias.any()
    for weight in (model.mlm.dense.weight, model.bert.embeddings.word.weight):
        assert weight.abs().max() <= 0.04
        assert abs(weight.std().item() - 0.0176) < 5e-4
    ids = torch.randint(0, 1000, (4, 30))
    loss = model.eval()(ids, labels=ids.roll(1, 0)).mlm_loss.item()
    assert abs(loss - math.log(1000)) < 0.1  # a new model knows nothing
    if cls is BertForPreTraining:
        assert not model.nsp.bias.any()
        pair = torch.arange(4) % 2
        loss = model(ids, next_sentence_label=pair).nsp_loss.item()
        assert abs(loss - math.log(2)) < 0.02


@each_class
def test_same_seed_same_model(cls) -> None:
    models = []
    for _ in range(2):
        torch.manual_seed(5)
        models.append(cls(ODD))
    for one, other in zip(*(m.parameters() for m in models), strict=True):
        assert torch.equal(one, other)


def test_kinds_of_integers_agree() -> None:
    model = make(BertForPreTraining, ODD)
    inputs = batch(ODD)
    small = {name: tensor.int() for name, tensor in inputs.items()}
    torch.testing.assert_close(model(**small).loss, model(**inputs).loss)


def test_bfloat16_autocast_keeps_the_loss_in_float32() -> None:
    model = make(BertForPreTraining, ODD)
    inputs = batch(ODD)
    exact = model(**inputs).loss
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(**inputs).loss
    assert rough.dtype == torch.float32
    assert abs(rough.item() - exact.item()) < 0.1
    rough.backward()


def test_eight_texts_by_heart() -> None:
    """A model without a bug can learn a few texts word by word."""
    config = BertConfig.tiny(
        vocab_size=60,
        hidden_size=64,
        intermediate_size=128,
        initializer_range=0.05,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    model = BertForPreTraining(config)
    texts, pair = torch.randint(5, 60, (8, 10)), torch.arange(8) % 2
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(250):
        asked = torch.rand(texts.shape) < 0.2
        output = model(
            texts.masked_fill(asked, 4),
            labels=texts.masked_fill(~asked, -100),
            next_sentence_label=pair,
        )
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert output.nsp_loss < 0.1
    hidden = torch.arange(10) == 4
    guesses = model(texts.masked_fill(hidden, 4)).prediction_logits.argmax(-1)
    right = (guesses == texts)[:, hidden].float().mean()
    assert right > 0.85


# --- fill_mask ---

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = [f"w{'abcdefghij'[i // 10]}{'abcdefghij'[i % 10]}" for i in range(48)]
TOKENIZER = BertTokenizer({w: i for i, w in enumerate(SPECIAL + WORDS)})


@each_class
def test_fill_mask_by_hand(cls) -> None:
    model = make(cls, ODD)
    text = "waa [MASK] wab wac [MASK]"
    guesses = fill_mask(model, TOKENIZER, text, top_k=3)
    ids = torch.tensor([TOKENIZER.encode(text).ids])
    probabilities = model(ids).prediction_logits[0].softmax(-1)
    assert [len(g) for g in guesses] == [3, 3]
    for place, found in zip((2, 5), guesses, strict=True):
        best = probabilities[place].topk(3)
        for guess, p, i in zip(found, *best, strict=True):
            assert isinstance(guess, Guess)
            assert guess.token == TOKENIZER.pieces[i]
            assert guess.probability == pytest.approx(p.item(), abs=1e-6)


def test_fill_mask_agrees_with_hugging_face(tmp_path) -> None:
    model = make(BertForMaskedLM, ODD)
    TOKENIZER.save_pretrained(tmp_path)
    theirs = reference(model, tmp_path)
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path)
    pipeline = transformers.pipeline(
        "fill-mask", model=theirs, tokenizer=tokenizer, device="cpu"
    )
    text = "waa wab [MASK] wac"
    ours = fill_mask(model, TOKENIZER, text, top_k=5)[0]
    for guess, expected in zip(ours, pipeline(text, top_k=5), strict=True):
        assert guess.token == expected["token_str"]
        assert guess.probability == pytest.approx(expected["score"], abs=1e-6)


def test_fill_mask_can_list_the_whole_vocabulary() -> None:
    guesses = fill_mask(make(BertForMaskedLM, ODD), TOKENIZER, "[MASK]", 53)
    probabilities = [guess.probability for guess in guesses[0]]
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)
    assert probabilities == sorted(probabilities, reverse=True)
    assert {g.token for g in guesses[0]} == set(TOKENIZER.pieces)


@pytest.mark.parametrize("text", ["waa [MASK]", "waa", "[MASK] " * 18])
def test_fill_mask_leaves_the_mode(text) -> None:
    """Also where it raises, and where parts are in different modes."""
    model = make(BertForMaskedLM, ODD).train()
    model.bert.embeddings.eval()
    before = [module.training for module in model.modules()]
    state = torch.get_rng_state()
    try:
        first = fill_mask(model, TOKENIZER, text)
        assert first == fill_mask(model, TOKENIZER, text)  # no dropout
    except ValueError:
        assert text != "waa [MASK]"
    assert [module.training for module in model.modules()] == before
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())


def test_fill_mask_leaves_the_mode_when_the_model_fails(monkeypatch) -> None:
    model = make(BertForMaskedLM, ODD).train()

    def fail(*args, **kwargs):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(model.mlm, "forward", fail)
    with pytest.raises(RuntimeError):
        fill_mask(model, TOKENIZER, "waa [MASK]")
    assert all(module.training for module in model.modules())


# --- faults ---


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"text": "waa wab"}, r"no \[MASK\].*waa wab"),
        ({"text": ""}, r"no \[MASK\]"),
        ({"text": "waa " * 18 + "[MASK]"}, "21 tokens.*allows 19"),
        ({"top_k": 0}, "top_k.*1 … 53, not 0"),
        ({"top_k": -1}, "top_k.*not -1"),
        ({"top_k": 54}, "top_k.*not 54"),
        (
            {
                "tokenizer": BertTokenizer(
                    {w: i for i, w in enumerate(SPECIAL)}
                )
            },
            "tokenizer has 5 pieces, the model 53",
        ),
    ],
)
def test_fill_mask_refuses(change, message) -> None:
    model = make(BertForMaskedLM, ODD)
    asked = {"tokenizer": TOKENIZER, "text": "waa [MASK]", "top_k": 5}
    with pytest.raises(ValueError, match=message):
        fill_mask(model, **asked | change)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": torch.full((2, 5), 53)}, "labels.*0 … 52 or be -100.*53"),
        ({"labels": torch.full((2, 5), -1)}, "labels.*found -1$"),
        ({"labels": torch.ones(2, 4).long()}, r"labels.*\(2, 5\)"),
        ({"labels": torch.ones(10).long()}, r"labels.*\(2, 5\)"),
        ({"labels": torch.ones(2, 5)}, "labels.*int64.*float32"),
        (
            {"next_sentence_label": torch.tensor([0, 2])},
            "next_sentence_label.*0 … 1, found 2",
        ),
        (
            {"next_sentence_label": torch.tensor([0, -100])},
            "next_sentence_label.*found -100",
        ),
        (
            {"next_sentence_label": torch.tensor([[0], [1]])},
            r"next_sentence_label.*shape \(2,\)",
        ),
        (
            {"next_sentence_label": torch.tensor([0.0, 1.0])},
            "next_sentence_label.*int64",
        ),
        ({"input_ids": torch.full((2, 5), 53)}, "input_ids.*0 … 52"),
    ],
)
def test_forward_refuses(change, message) -> None:
    model = BertForPreTraining(ODD).eval()
    inputs = {"input_ids": torch.ones(2, 5).long()} | change
    with pytest.raises(ValueError, match=message):
        model(**inputs)


@pytest.mark.unhooked
def test_wrong_files_are_refused(tmp_path) -> None:
    save_pretrained(BertForMaskedLM(ODD), tmp_path)
    with pytest.raises(ValueError, match=r"lacks.*BertForPreTraining needs"):
        from_pretrained(BertForPreTraining, tmp_path)
    model = from_pretrained(
        BertForPreTraining, tmp_path, new=("pooler", "nsp")
    )
    assert not model.nsp.bias.any() and model.nsp.weight.any()


@pytest.mark.unhooked
@each_class
def test_compiles(cls) -> None:
    """Whole without labels; the "eager" backend needs no C++ compiler."""
    model = make(cls, ODD)
    inputs = for_class(cls, batch(ODD))
    plain = without_labels(inputs)
    whole = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(
        whole(**plain).prediction_logits, model(**plain).prediction_logits
    )
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(compiled(**inputs).loss, model(**inputs).loss)
