"""Checkpoints: both ways with Hugging Face, old names, hostile files."""

import json
import pickle
import struct
import sys
import tracemalloc
import types
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
import transformers
from torch import nn
from torch.nn import functional as F

from bertlib.bert import BertConfig, BertModel
from bertlib.checkpoint import (
    from_pretrained,
    hub_folder,
    hugging_face_names,
    read_config,
    save_pretrained,
)
from bertlib.encoder import LayerNorm

CONFIG = BertConfig(
    vocab_size=37,
    hidden_size=12,
    num_hidden_layers=2,
    num_attention_heads=3,
    intermediate_size=20,
    max_position_embeddings=16,
    initializer_range=0.3,
)
IDS = torch.tensor([[2, 5, 9, 3], [2, 7, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])


# Stand-ins for the models of later chapters, with the names of their heads.


class Classifier(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids, attention_mask):
        output = self.bert(input_ids, attention_mask=attention_mask)
        return self.classifier(output.pooler_output)


class Tagger(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.classifier = nn.Linear(config.hidden_size, config.num_labels)

    def forward(self, input_ids, attention_mask):
        output = self.bert(input_ids, attention_mask=attention_mask)
        return self.classifier(output.last_hidden_state)


class Span(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = BertModel(config, add_pooling_layer=False)
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, input_ids, attention_mask):
        output = self.bert(input_ids, attention_mask=attention_mask)
        return self.qa_outputs(output.last_hidden_state)


class WordHead(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.norm = LayerNorm(config.hidden_size, config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def forward(self, hidden_states, table):
        hidden_states = self.norm(F.gelu(self.dense(hidden_states)))
        return F.linear(hidden_states, table, self.bias)


class PreTraining(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.bert = BertModel(config)
        self.mlm = WordHead(config)
        self.nsp = nn.Linear(config.hidden_size, 2)

    def forward(self, input_ids, attention_mask):
        output = self.bert(input_ids, attention_mask=attention_mask)
        table = self.bert.embeddings.word.weight
        return self.mlm(output.last_hidden_state, table)


PAIRS = {
    "BertModel": BertModel,
    "BertForSequenceClassification": Classifier,
    "BertForTokenClassification": Tagger,
    "BertForQuestionAnswering": Span,
    "BertForPreTraining": PreTraining,
}
LABELS = {name: 2 if "Question" in name else 3 for name in PAIRS}
each_pair = pytest.mark.parametrize("name", PAIRS)


def randomise(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def run(model: nn.Module) -> torch.Tensor:
    """The first output of a model of ours or of Hugging Face's."""
    with torch.no_grad():
        output = model(IDS, attention_mask=MASK)
    if isinstance(output, torch.Tensor):
        return output
    if hasattr(output, "last_hidden_state"):
        return output.last_hidden_state
    for field in ("logits", "prediction_logits"):
        if hasattr(output, field):
            return getattr(output, field)
    return torch.stack([output.start_logits, output.end_logits], -1)


def theirs(name: str) -> transformers.PreTrainedModel:
    fields = [
        "vocab_size",
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
        "num_labels",
    ]
    values = {field: getattr(CONFIG, field) for field in fields}
    config = transformers.BertConfig(
        **values | {"num_labels": LABELS[name]}, attn_implementation="eager"
    )
    return randomise(getattr(transformers, name)(config))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with a small model of ours."""
    save_pretrained(randomise(BertModel(CONFIG)), tmp_path)
    return tmp_path


def change_tensors(folder: Path, change) -> None:
    """Rewrite model.safetensors after `change(dictionary)`."""
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load(path.read_bytes())
    tensors = change(tensors) or tensors
    path.write_bytes(safetensors.torch.save(tensors))


def change_config(folder: Path, **changes) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


# Both ways


@each_pair
def test_hugging_face_reads_what_we_save(name, tmp_path) -> None:
    ours = randomise(PAIRS[name](replace(CONFIG, num_labels=LABELS[name])))
    save_pretrained(ours, tmp_path)
    model, report = getattr(transformers, name).from_pretrained(
        tmp_path, attn_implementation="eager", output_loading_info=True
    )
    assert not any(report.values()), report
    torch.testing.assert_close(run(model.eval()), run(ours), atol=2e-5, rtol=0)
    for field in ("hidden_act", "layer_norm_eps", "pad_token_id"):
        assert getattr(model.config, field) == getattr(CONFIG, field)
    assert model.config.num_labels == LABELS[name]


@each_pair
def test_we_read_what_hugging_face_saves(name, tmp_path, capsys) -> None:
    model = theirs(name)
    model.save_pretrained(tmp_path)
    ours = from_pretrained(PAIRS[name], tmp_path)
    assert not ours.training and ours.config.num_labels == LABELS[name]
    torch.testing.assert_close(run(ours), run(model), atol=2e-5, rtol=0)
    assert capsys.readouterr().out == ""  # nothing was left out
    assert all(p.requires_grad and p.is_leaf for p in ours.parameters())


@each_pair
def test_round_trip_is_exact(name, tmp_path) -> None:
    ours = randomise(PAIRS[name](CONFIG))
    save_pretrained(ours, tmp_path / "new" / "folder")
    again = from_pretrained(PAIRS[name], tmp_path / "new" / "folder")
    assert again.config == CONFIG
    for (one, p), (other, q) in zip(
        ours.named_parameters(), again.named_parameters(), strict=True
    ):
        assert one == other and torch.equal(p, q)
    assert sorted(f.name for f in (tmp_path / "new/folder").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]


def test_every_parameter_has_the_name_hugging_face_uses() -> None:
    names = [
        "bert." * (not n.startswith("mlm") and not n.startswith("nsp"))
        + n.removeprefix("bert.")
        for n, _ in PreTraining(CONFIG).named_parameters()
    ]
    mapped = {m for n in names for m in hugging_face_names(n)}
    model = theirs("BertForPreTraining")
    assert mapped == {n for n, _ in model.named_parameters()}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_files_fill_a_full_precision_model(
    saved, dtype
) -> None:
    expected = from_pretrained(BertModel, saved)
    change_tensors(saved, lambda t: {n: v.to(dtype) for n, v in t.items()})
    model = from_pretrained(BertModel, saved)
    for p, q in zip(model.parameters(), expected.parameters(), strict=True):
        assert p.dtype == torch.float32
        assert torch.equal(p, q.to(dtype).float())


def test_saving_half_precision_and_over_an_older_file(saved) -> None:
    model = from_pretrained(BertModel, saved).half()
    save_pretrained(model, saved)
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    assert {t.dtype for t in tensors.values()} == {torch.float16}


def test_a_save_that_fails_keeps_the_older_file(saved, monkeypatch) -> None:
    before = (saved / "model.safetensors").read_bytes()

    def full_disk(tensors, path, metadata):
        Path(path).write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("bertlib.checkpoint.save_file", full_disk)
    with pytest.raises(OSError, match="no space"):
        save_pretrained(BertModel(CONFIG), saved)
    assert (saved / "model.safetensors").read_bytes() == before


def test_the_model_does_not_share_memory_with_the_file(saved) -> None:
    model = from_pretrained(BertModel, saved)
    before = run(model)
    with torch.no_grad():
        model.embeddings.word.weight.add_(0)
    with (saved / "model.safetensors").open("r+b") as file:
        file.seek(2000)
        file.write(b"\xff" * 2000)
    assert torch.equal(run(model), before)


# Names of older files


@pytest.mark.parametrize("prefix", ["", "bert."])
@pytest.mark.parametrize("old", [False, True])
def test_names_with_and_without_prefix_and_of_2018(saved, prefix, old) -> None:
    expected = run(from_pretrained(BertModel, saved))

    def rename(tensors):
        for name in list(tensors):
            new = prefix + name
            if old:
                new = new.replace("LayerNorm.weight", "LayerNorm.gamma")
                new = new.replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[new] = tensors.pop(name)
        ids = torch.arange(16)[None]
        tensors[prefix + "embeddings.position_ids"] = ids

    change_tensors(saved, rename)
    assert torch.equal(run(from_pretrained(BertModel, saved)), expected)
    # … and into a model that keeps the encoder in .bert
    model = from_pretrained(Classifier, saved, new=("classifier",))
    assert torch.equal(run(model.bert), expected)


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_formats(saved, zipped) -> None:
    expected = run(from_pretrained(BertModel, saved))
    tensors = safetensors.torch.load_file(saved / "model.safetensors")
    (saved / "model.safetensors").unlink()
    torch.save(
        tensors,
        saved / "pytorch_model.bin",
        _use_new_zipfile_serialization=zipped,
    )
    assert torch.equal(run(from_pretrained(BertModel, saved)), expected)


@pytest.fixture
def pretraining(tmp_path: Path) -> Path:
    save_pretrained(randomise(PreTraining(CONFIG)), tmp_path)
    return tmp_path


TABLE = "bert.embeddings.word_embeddings.weight"


@pytest.mark.parametrize("weight", [False, True])
@pytest.mark.parametrize("bias", ["bias", "decoder.bias", "both"])
def test_tied_decoder_present_or_absent(pretraining, weight, bias) -> None:
    expected = run(from_pretrained(PreTraining, pretraining))

    def change(tensors):
        value = tensors.pop("cls.predictions.bias")
        for kind in ("bias", "decoder.bias"):
            if bias in (kind, "both"):
                tensors["cls.predictions." + kind] = value.clone()
        if weight:
            decoder = tensors[TABLE].clone()
            tensors["cls.predictions.decoder.weight"] = decoder

    change_tensors(pretraining, change)
    model = from_pretrained(PreTraining, pretraining)
    assert torch.equal(run(model), expected)


@pytest.mark.unhooked
@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_an_untied_decoder_is_refused(pretraining, kind) -> None:
    shape = (37, 12) if kind == "weight" else (37,)
    name = f"cls.predictions.decoder.{kind}"
    change_tensors(pretraining, lambda t: t | {name: torch.ones(shape)})
    with pytest.raises(ValueError, match=rf"{name} differs.*tied"):
        from_pretrained(PreTraining, pretraining)


# Heads


def test_heads_that_the_class_lacks_are_listed(pretraining, capsys) -> None:
    model = from_pretrained(BertModel, pretraining)
    assert model.pooler is not None
    out = capsys.readouterr().out
    assert out == "BertModel: left out cls.predictions, cls.seq_relationship\n"
    from_pretrained(Tagger, pretraining, new=("classifier",))
    assert "pooler" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("cls", "new"), [(Tagger, "classifier"), (Span, "qa_outputs")]
)
def test_a_missing_head_must_be_named(pretraining, cls, new) -> None:
    with pytest.raises(ValueError, match=rf"lacks {new}.*new=\("):
        from_pretrained(cls, pretraining)
    torch.manual_seed(1)
    model = from_pretrained(cls, pretraining, new=[new])
    weight = getattr(model, new).weight
    assert 0 < weight.abs().max() <= 2 * CONFIG.initializer_range
    assert not getattr(model, new).bias.any()
    torch.manual_seed(1)
    again = from_pretrained(cls, pretraining, new=[new])
    assert torch.equal(getattr(again, new).weight, weight)


def test_a_new_head_replaces_one_of_another_shape(tmp_path) -> None:
    save_pretrained(randomise(Classifier(CONFIG)), tmp_path)
    with pytest.raises(ValueError, match=r"classifier.*2.*5"):
        from_pretrained(Classifier, tmp_path, num_labels=5)
    model = from_pretrained(
        Classifier, tmp_path, new=("classifier",), num_labels=5
    )
    assert model.classifier.weight.shape == (5, 12)
    assert model.config.num_labels == 5


def test_a_new_pooler(tmp_path) -> None:
    save_pretrained(randomise(Span(CONFIG)), tmp_path)
    with pytest.raises(ValueError, match="lacks pooler"):
        from_pretrained(BertModel, tmp_path)
    model = from_pretrained(BertModel, tmp_path, new=("pooler",))
    assert model.pooler.dense.weight.any()


def test_a_head_with_a_norm_starts_at_one(saved) -> None:
    model = from_pretrained(PreTraining, saved, new=("mlm", "nsp"))
    assert (model.mlm.norm.weight == 1).all() and not model.mlm.bias.any()


@pytest.mark.unhooked
@pytest.mark.parametrize("new", [("clasifier",), "classifier", ("bert",)])
def test_new_must_name_heads(saved, new) -> None:
    with pytest.raises(ValueError, match=r"new must be.*'pooler'"):
        from_pretrained(Classifier, saved, new=new)


def test_shared_parameters_stay_shared(saved) -> None:
    class Shared(nn.Module):
        def __init__(self, config):
            super().__init__()
            self.bert = BertModel(config)
            self.decoder = nn.Linear(12, 37, bias=False)
            self.decoder.weight = self.bert.embeddings.word.weight

    model = from_pretrained(Shared, saved)
    assert model.decoder.weight is model.bert.embeddings.word.weight
    assert not any(p.is_meta for p in model.parameters())


# Configuration


def test_changes_reach_the_model(saved) -> None:
    model = from_pretrained(BertModel, saved, hidden_dropout_prob=0.4)
    assert model.embeddings.dropout.p == 0.4
    with pytest.raises(ValueError, match="hidden_act"):
        from_pretrained(BertModel, saved, hidden_act="swish")
    with pytest.raises(TypeError, match="dropuot"):
        from_pretrained(BertModel, saved, dropuot=0.4)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Expecting value"),
        ("{", "Expecting property"),
        ("[1, 2]", "not a dictionary but list"),
        ("null", "not a dictionary but NoneType"),
        ('"bert"', "not a dictionary but str"),
        ("{}", "without vocab_size"),
        ("[" * 100_000, "recursion"),
        (b"\xff\xfe{}", "decode"),
        ("9" * 5000, "digits"),
    ],
)
def test_a_configuration_that_is_none(saved, text, reason) -> None:
    content = text if isinstance(text, bytes) else text.encode()
    (saved / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=rf"config\.json: .*{reason}"):
        from_pretrained(BertModel, saved)


@pytest.mark.unhooked
@pytest.mark.parametrize(
    "change",
    [
        {"vocab_size": 10**30},
        {"hidden_size": 0},
        {"hidden_size": -12},
        {"hidden_size": 12.0},
        {"num_hidden_layers": "2"},
        {"num_attention_heads": 5},
        {"num_attention_heads": None},
        {"layer_norm_eps": float("nan")},
        {"hidden_dropout_prob": 2},
        {"hidden_act": "import os"},
        {"hidden_act": {"a": 1}},
        {"pad_token_id": 99},
        {"model_type": "roberta"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"id2label": {}},
    ],
)
def test_impossible_values_are_named(saved, change) -> None:
    change_config(saved, **change)
    name = next(iter(change)).replace("id2label", "num_labels")
    with pytest.raises(ValueError, match=rf"config\.json: .*{name}"):
        from_pretrained(BertModel, saved)


def test_minilm_s_and_hugging_face_s_configurations(tmp_path) -> None:
    transformers.BertConfig(num_labels=7).save_pretrained(tmp_path)
    config = read_config(tmp_path / "config.json")
    assert config == BertConfig.base(num_labels=7)


# Files from a stranger

WEIGHTS = "model.safetensors"
LAST = "output.dense.bias"


class Bomb:
    """An object whose unpickling runs code."""

    def __reduce__(self):
        return (exec, ("import sys; sys.modules['bertlib_bomb'] = sys",))


def only_torch_file(folder: Path) -> Path:
    (folder / WEIGHTS).unlink()
    return folder / "pytorch_model.bin"


def header(entries: dict, length: int | None = None) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text


def cut(folder: Path, keep: float) -> None:
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: int(keep * len(content))])


def claim_shape(folder: Path, rows: int) -> None:
    """A header whose word table is larger than its bytes."""
    content = (folder / WEIGHTS).read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    entries = json.loads(content[8 : 8 + length])
    entries["embeddings.word_embeddings.weight"]["shape"][0] = rows
    (folder / WEIGHTS).write_bytes(header(entries) + content[8 + length :])


def code_in_zip(folder: Path) -> None:
    torch.save({"weight": Bomb()}, only_torch_file(folder))


def code_in_old_format(folder: Path) -> None:
    torch.save(
        {"weight": Bomb()},
        only_torch_file(folder),
        _use_new_zipfile_serialization=False,
    )


def bare_pickle(folder: Path) -> None:
    only_torch_file(folder).write_bytes(pickle.dumps({"weight": Bomb()}))


def old_file(folder: Path) -> bytes:
    path = only_torch_file(folder)
    tensors = {"weight": torch.zeros(7, 1001)}
    torch.save(tensors, path, _use_new_zipfile_serialization=False)
    return path.read_bytes()


def cut_old_format(folder: Path) -> None:
    content = old_file(folder)
    (folder / "pytorch_model.bin").write_bytes(content[:-2000])


def old_format_that_asks_for_much(folder: Path) -> None:
    content = old_file(folder)
    size = struct.pack("<H", 7007)  # the storage: BININT2
    assert content.count(b"M" + size) == 1
    large = content.replace(b"M" + size, b"J" + struct.pack("<i", 2**31 - 1))
    (folder / "pytorch_model.bin").write_bytes(large)


def cut_zip(folder: Path) -> None:
    path = only_torch_file(folder)
    torch.save({"weight": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:-300])


def zip_of_text(folder: Path) -> None:
    with zipfile.ZipFile(only_torch_file(folder), "w") as archive:
        archive.writestr("readme.txt", "hello")


def strides_of_zero(folder: Path) -> None:
    tensor = torch.zeros(1).expand(10**12)
    torch.save({"weight": tensor}, only_torch_file(folder))


def tensor_without_data(folder: Path) -> None:
    tensors = {"weight": torch.empty(3, device="meta")}
    torch.save(tensors, only_torch_file(folder))


HOSTILE = {
    "code in a zip": (code_in_zip, "pytorch_model.bin: unsafe"),
    "code, old": (code_in_old_format, "pytorch_model.bin: unsafe"),
    "bare pickle": (bare_pickle, "pytorch_model.bin: unsafe"),
    "cut, old": (cut_old_format, "pytorch_model.bin: unsafe or damaged"),
    "large, old": (old_format_that_asks_for_much, "size of 2147483647"),
    "cut zip": (cut_zip, "pytorch_model.bin: unsafe or damaged"),
    "zip of text": (zip_of_text, "pytorch_model.bin: unsafe or damaged"),
    "strides of zero": (strides_of_zero, "larger than the file"),
    "no data": (tensor_without_data, "not a plain tensor"),
    "empty torch file": (
        lambda f: only_torch_file(f).write_bytes(b""),
        "pytorch_model.bin: unsafe or damaged",
    ),
    "noise": (
        lambda f: only_torch_file(f).write_bytes(bytes(range(256)) * 9),
        "pytorch_model.bin: unsafe or damaged",
    ),
    "list": (
        lambda f: torch.save([torch.zeros(3)], only_torch_file(f)),
        "no dictionary",
    ),
    "empty dictionary": (
        lambda f: torch.save({}, only_torch_file(f)),
        "no dictionary",
    ),
    "nested": (
        lambda f: torch.save({"state_dict": {}}, only_torch_file(f)),
        "'state_dict' is not a named tensor",
    ),
    "numbered": (
        lambda f: torch.save({3: torch.zeros(3)}, only_torch_file(f)),
        "3 is not a named tensor",
    ),
    "empty": (
        lambda f: (f / WEIGHTS).write_bytes(b""),
        "safetensors: unsafe or damaged",
    ),
    "cut in the header": (
        lambda f: cut(f, 0.1),
        "safetensors: unsafe or damaged",
    ),
    "cut in the data": (
        lambda f: cut(f, 0.9),
        "safetensors: unsafe or damaged",
    ),
    "header without end": (
        lambda f: (f / WEIGHTS).write_bytes(header({}, 2**62)),
        "safetensors: unsafe or damaged",
    ),
    "header longer than the file": (
        lambda f: (f / WEIGHTS).write_bytes(header({}, 5000)),
        "safetensors: unsafe or damaged",
    ),
    "shape without bytes": (
        lambda f: claim_shape(f, 10**12),
        "safetensors: unsafe or damaged",
    ),
    "nothing inside": (
        lambda f: (f / WEIGHTS).write_bytes(header({})),
        "no dictionary",
    ),
    "other shape": (
        lambda f: change_config(f, vocab_size=38),
        r"word_embeddings.weight is \(37, 12\).*\(38, 12\)",
    ),
    "far larger": (
        lambda f: change_config(f, vocab_size=2**23),
        r"\(8388608, 12\)",
    ),
    "other inner size": (
        lambda f: change_config(f, intermediate_size=24),
        r"intermediate.dense.weight is \(20, 12\).*\(24, 12\)",
    ),
    "too few layers": (
        lambda f: change_config(f, num_hidden_layers=3),
        "holds 2 layers, but num_hidden_layers is 3",
    ),
    "too many layers": (
        lambda f: change_config(f, num_hidden_layers=1),
        "holds 2 layers",
    ),
    "a million layers": (
        lambda f: change_config(f, num_hidden_layers=10**6),
        "holds 2 layers",
    ),
    "numbered otherwise": (
        lambda f: change_tensors(
            f,
            lambda t: {
                n.replace("layer.1.", "layer.01."): v for n, v in t.items()
            },
        ),
        r"lacks encoder\.layer\.1\.",
    ),
    "one tensor missing": (
        lambda f: change_tensors(
            f,
            lambda t: {
                n: v for n, v in t.items() if n != "encoder.layer.1." + LAST
            },
        ),
        r"lacks encoder\.layer\.1\.output\.dense\.bias",
    ),
    "one tensor more": (
        lambda f: change_tensors(f, lambda t: t | {"extra": torch.ones(1)}),
        "holds extra, unknown",
    ),
    "a head of another kind": (
        lambda f: change_tensors(f, lambda t: t | {"head.w": torch.ones(1)}),
        "holds head.w, unknown",
    ),
    "twice": (
        lambda f: change_tensors(
            f,
            lambda t: t | {"bert.pooler.dense.bias": torch.zeros(12)},
        ),
        "pooler.dense.bias stands there twice",
    ),
    "integers": (
        lambda f: change_tensors(
            f,
            lambda t: t | {"pooler.dense.bias": torch.zeros(12).long()},
        ),
        "pooler.dense.bias is .*int64",
    ),
}


@pytest.mark.unhooked
@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files(saved, case) -> None:
    change, reason = HOSTILE[case]
    change(saved)
    tracemalloc.start()
    with pytest.raises(ValueError, match=reason) as error:
        from_pretrained(BertModel, saved)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert str(saved) in str(error.value)  # which file
    assert "bertlib_bomb" not in sys.modules, "code was run"
    assert peak < 30e6, peak


@pytest.mark.unhooked
def test_no_large_allocation_by_torch(saved, monkeypatch) -> None:
    """Sizes in the configuration alone must not make torch allocate."""
    change_config(saved, vocab_size=2**23, intermediate_size=2**23)
    monkeypatch.setattr(
        torch, "empty_like", lambda *a, **k: pytest.fail("allocated")
    )
    with pytest.raises(ValueError, match="configuration asks for"):
        from_pretrained(BertModel, saved)


@pytest.mark.unhooked
def test_missing_files(tmp_path, saved) -> None:
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        from_pretrained(BertModel, tmp_path / "bert-base-uncased")
    (saved / WEIGHTS).unlink()
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin"):
        from_pretrained(BertModel, saved)


# The hub


@pytest.fixture
def hub(saved, monkeypatch):
    """A hub that has one model; downloads are noted in `hub.asked`."""
    asked = []

    def snapshot_download(name, allow_patterns):
        asked.append((name, tuple(allow_patterns)))
        return str(saved)

    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download
    module.asked = asked
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return module


def test_the_hub_is_asked_only_by_name(hub, saved) -> None:
    expected = run(from_pretrained(BertModel, saved))
    assert not hub.asked
    model = from_pretrained(BertModel, hub="bert-base-uncased")
    assert torch.equal(run(model), expected)
    [(name, patterns)] = hub.asked
    assert name == "bert-base-uncased"
    assert {"config.json", "model.safetensors", "vocab.txt"} <= set(patterns)
    assert "pytorch_model.bin" not in patterns


def test_the_hub_s_older_file_is_the_second_choice(hub, saved) -> None:
    tensors = safetensors.torch.load_file(saved / WEIGHTS)
    torch.save(tensors, only_torch_file(saved))
    assert hub_folder("old") == saved
    assert "pytorch_model.bin" in hub.asked[1][1]


@pytest.mark.unhooked
def test_folder_or_hub(hub, saved) -> None:
    for arguments in ({}, {"folder": saved, "hub": "bert-base-uncased"}):
        with pytest.raises(ValueError, match="either folder or hub"):
            from_pretrained(BertModel, **arguments)
    assert not hub.asked


# MiniLM at work


def test_sentence_vectors_agree_with_sentence_transformers() -> None:
    from sentence_transformers import SentenceTransformer

    from bertlib.corpora import minilm_folder
    from bertlib.wordpiece import BertTokenizer

    sentences = ["The bank approved the loan.", "We sat on the river bank."]
    sentences.append("Naïve café owners re-opened in 2020!")
    oracle = SentenceTransformer(str(minilm_folder()), device="cpu")
    expected = oracle.encode(sentences, convert_to_tensor=True)
    tokenizer = BertTokenizer.from_pretrained(minilm_folder())
    batch = tokenizer.encode_batch(sentences)
    model = from_pretrained(BertModel, minilm_folder())
    with torch.no_grad():
        output = model(
            batch.input_ids, batch.token_type_ids, batch.attention_mask
        )
    kept = batch.attention_mask[..., None]
    vectors = (output.last_hidden_state * kept).sum(1) / kept.sum(1)
    torch.testing.assert_close(
        F.normalize(vectors, dim=1), expected, atol=1e-6, rtol=0
    )
