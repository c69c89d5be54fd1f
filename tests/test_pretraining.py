"""Pretraining: exact resume, one large batch in parts, faults, the log."""

import csv
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

import bertlib.pretraining as pretraining
from bertlib.bert import BertConfig
from bertlib.checkpoint import from_pretrained
from bertlib.corpora import Document, state_of_the_union
from bertlib.objectives import BertForPreTraining
from bertlib.optimisation import warmup_linear
from bertlib.positions import sinusoidal_positions
from bertlib.pretraining import (
    Evaluation,
    Run,
    Settings,
    Stopped,
    _settings_from,
    _start_positions_from_sinusoids,
    accumulate_gradients,
    choose_device,
    choose_dtype,
    count_baselines,
    evaluate,
    load_state,
    main,
    prepare_data,
    pretrain,
    save_state,
)
from bertlib.pretraining_data import PretrainingBatch, TokenShards
from bertlib.wordpiece import BertTokenizer

MODEL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
}
SMALL = {
    "vocab_size": 400,
    "seq_len": 32,
    "batch_size": 4,
    "log_every": 3,
    "evaluate_every": 6,
    "save_every": 4,
    "evaluation_batches": 2,
    "dropout": 0.1,
    "dtype": "float32",
    "device": "cpu",
    "model": MODEL,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> str:
    """The first sentences of 24 addresses; two of them are held out."""
    folder = tmp_path_factory.mktemp("corpus")
    for i, document in enumerate(state_of_the_union()[:24]):
        (folder / f"{i:02}.txt").write_text(document.text[:1500], "utf-8")
    return str(folder)


@pytest.fixture
def settings(corpus):
    return lambda **changes: Settings(
        **{"corpus": (corpus,), "steps": 10} | SMALL | changes
    )


def rows(folder: Path) -> list[dict]:
    """The log without its seconds."""
    with (folder / "log.csv").open() as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        del line["seconds"]
    return lines


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


# --- what decides a run


@pytest.mark.parametrize(
    ("requested", "cuda", "mps", "chosen"),
    [
        ("auto", True, True, "cuda"),
        ("auto", True, False, "cuda"),
        ("auto", False, True, "mps"),
        ("auto", False, False, "cpu"),
        ("cpu", True, True, "cpu"),
        ("cuda", True, False, "cuda"),
        ("mps", True, True, "mps"),
    ],
)
def test_device(requested, cuda, mps, chosen):
    assert choose_device(requested, cuda, mps) == chosen


@pytest.mark.parametrize(
    ("requested", "device", "capability", "gain", "chosen"),
    [
        ("auto", "cuda", (7, 5), 0.0, torch.float16),  # a T4
        ("auto", "cuda", (8, 0), 0.0, torch.bfloat16),
        ("auto", "cuda", (9, 0), 0.0, torch.bfloat16),
        ("auto", "cpu", (0, 0), 2.5, torch.bfloat16),
        ("auto", "cpu", (0, 0), 1.2, torch.float32),
        ("auto", "cpu", (0, 0), 0.1, torch.float32),
        ("auto", "mps", (0, 0), 9.0, torch.float32),
        ("float32", "cuda", (9, 0), 0.0, torch.float32),
        ("float16", "cpu", (0, 0), 0.0, torch.float16),
        ("bfloat16", "cpu", (0, 0), 0.1, torch.bfloat16),
    ],
)
def test_dtype(requested, device, capability, gain, chosen):
    assert choose_dtype(requested, device, capability, gain) == chosen


def test_the_gain_of_bfloat16_is_a_ratio_of_times():
    assert 0 < pretraining._measure_bfloat16(size=16, rounds=1) < math.inf


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": None}, "either steps or minutes"),
        ({"minutes": 1.0}, "either steps or minutes"),
        ({"steps": 0}, "steps must be above 0"),
        ({"minutes": -1.0, "steps": None}, "minutes must be above 0"),
        ({"preset": "huge"}, "preset must be one of tiny"),
        ({"position_init": "ones"}, "position_init"),
        ({"batch_size": 0}, "batch_size must be above 0"),
        ({"learning_rate": 0.0}, "learning_rate must be above 0"),
        ({"learning_rate": math.nan}, "learning_rate must be above 0"),
        ({"warmup": 1.5}, "warmup must lie in 0 … 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"seq_len": 7}, "seq_len must lie in 8 … 32, not 7"),
        ({"seq_len": 33}, "seq_len must lie in 8 … 32, not 33"),
        ({"accumulate": 3}, "batch_size 4 is not a multiple"),
        ({"model": {"hidden_size": 17}}, r"17 is not a multiple of"),
        ({"vocab_size": 20}, "vocab_size=20 is too small"),
        ({"device": "tpu"}, "device must be auto"),
        ({"dtype": "int8"}, "dtype must be auto"),
    ],
)
def test_bad_settings(settings, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        pretrain(tmp_path / "run", settings(**changes))


@pytest.mark.unhooked
def test_a_device_that_is_not_there():
    with pytest.raises(ValueError, match="cuda was asked for"):
        choose_device("cuda", cuda=False, mps=True)


@pytest.mark.unhooked
def test_settings_come_from_a_file_and_flags_go_first(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("steps = 7\nseed = 3\n[model]\nhidden_size = 64\n")
    found = _settings_from({"config": str(path), "seed": 4})
    assert (found.steps, found.seed) == (7, 4)
    assert found.model == {"hidden_size": 64}
    path.write_text("stepps = 7\n")
    with pytest.raises(ValueError, match="unknown setting stepps"):
        _settings_from({"config": str(path)})
    for line, message in (
        ('steps = "many"', "steps must be int, not 'many'"),
        ("steps = 1.5", "steps must be int"),
        ('steps = 1\nwhole_word = "false"', "whole_word must be bool"),
        ("steps = 1\ndevice = 3", "device must be str"),
        ('steps = 1\ncorpus = "a.txt"', "corpus must be a list"),
        ("steps = 1\ndropout = 2.0", "hidden_dropout_prob"),
        ("steps = 1\nseed = true", "seed must be int"),
        ('steps = 1\nclip = "no"', "clip must be float"),
        ("steps = 1\nmodel = 3", "model must hold fields of BertConfig"),
        ("steps = 1\n[model]\nsize = 3", "model must hold fields"),
    ):
        path.write_text(line + "\n")
        with pytest.raises(ValueError, match=message):
            _settings_from({"config": str(path)})


# --- one large batch, in parts


def model_and_batch(
    rows: int = 8,
) -> tuple[BertForPreTraining, PretrainingBatch]:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        **MODEL,
    )
    model = BertForPreTraining(config).double()
    ids = torch.randint(5, 50, (rows, 12))
    mask = torch.ones_like(ids)
    mask[0, 7:] = 0
    labels = torch.where(torch.rand(rows, 12) < 0.3, ids, -100)
    labels[:, 1] = ids[:, 1]
    labels[3] = ids[3]  # the parts hold very different numbers of labels
    labels[0, 7:] = -100
    types = (torch.arange(12) > 5).long().repeat(rows, 1)
    return model, PretrainingBatch(
        ids, types, mask, labels, torch.randint(0, 2, (rows,))
    )


def gradients(model) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in model.named_parameters()}


def large_batch() -> tuple[dict, float]:
    """The gradient of one backward pass through the whole batch."""
    model, batch = model_and_batch()
    output = model(**vars(batch))
    output.loss.backward()
    return gradients(model), float(output.mlm_loss.detach())


def test_four_parts_give_the_gradient_of_the_whole():
    expected, mlm_loss = large_batch()
    model, batch = model_and_batch()
    parts = [batch.rows(i, i + 2) for i in range(0, 8, 2)]
    totals = accumulate_gradients(model, parts)
    assert totals.mlm / totals.masked == pytest.approx(mlm_loss, abs=1e-12)
    assert totals.masked == (batch.labels != -100).sum()
    assert (totals.pairs, totals.tokens) == (8, 8 * 12 - 5)
    for name, gradient in gradients(model).items():
        assert (gradient - expected[name]).abs().max() <= 1e-10, name
    # A mean of means, the usual mistake, is far away.
    model.zero_grad()
    for part in parts:
        (model(**vars(part)).loss / 4).backward()
    naive = gradients(model)["bert.embeddings.word.weight"]
    true = expected["bert.embeddings.word.weight"]
    assert (naive - true).abs().max() > 1e-3


def _one_rank(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", f"file://{folder}/meet", rank=rank, world_size=2
    )
    model, batch = model_and_batch()
    parallel = DistributedDataParallel(model)
    own = batch.rows(4 * rank, 4 * rank + 4)
    accumulate_gradients(parallel, [own.rows(0, 2), own.rows(2, 4)])
    torch.save(gradients(model), f"{folder}/gradients{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_gradient_of_the_whole(tmp_path):
    expected, _ = large_batch()
    mp.spawn(_one_rank, (str(tmp_path),), nprocs=2)
    for rank in range(2):
        found = torch.load(tmp_path / f"gradients{rank}.pt")
        for name, gradient in expected.items():
            assert (found[name] - gradient).abs().max() <= 1e-10, name


# --- a whole run


def test_a_run_leaves_a_model_that_hugging_face_opens(settings, tmp_path):
    folder = tmp_path / "run"
    model = pretrain(folder, settings()).eval()
    names = {path.name for path in folder.iterdir()}
    assert names >= {
        "config.json", "vocab.txt", "model.safetensors", "log.csv",
        "settings.json", "evaluation.json", "resume.pt", "data",
    }  # fmt: skip
    assert not any(path.suffix == ".part" for path in folder.rglob("*"))
    theirs, report = transformers.BertForPreTraining.from_pretrained(
        folder, output_loading_info=True
    )
    assert not any(report.values())
    ids = torch.randint(5, 300, (2, 9))
    with torch.no_grad():
        ours, other = model(ids), theirs.eval()(ids)
        loaded = from_pretrained(BertForPreTraining, folder)(ids)
    for output in (other, loaded):
        assert torch.allclose(
            ours.prediction_logits, output.prediction_logits, atol=5e-5
        )
    held_out = json.loads((folder / "evaluation.json").read_text())
    assert 0 < held_out["held_out"]["mlm_loss"] < 2 * math.log(400)
    assert held_out["baselines"]["bigram"] < held_out["baselines"]["unigram"]


def test_the_log_has_a_line_for_each_interval(settings, tmp_path):
    pretrain(tmp_path, settings())
    lines = rows(tmp_path)
    assert list(lines[0]) == [
        c for c in pretraining._LOG_COLUMNS if c != "seconds"
    ]
    assert [int(line["step"]) for line in lines] == [3, 6, 9, 10]
    measured = [bool(line["held_out_mlm_loss"]) for line in lines]
    assert measured == [False, True, False, True]
    rates = [float(line["learning_rate"]) for line in lines]
    expected = [
        2e-3 * warmup_linear(step - 1, 10, 3) for step in (3, 6, 9, 10)
    ]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_held_out_documents_are_never_trained_on(settings, tmp_path, corpus):
    pretrain(tmp_path, settings(steps=1))
    tokenizer = BertTokenizer.from_pretrained(tmp_path)
    train = TokenShards(tmp_path / "data" / "train")
    held_out = TokenShards(tmp_path / "data" / "held_out")
    assert (train.num_documents, held_out.num_documents) == (22, 2)
    text = (Path(corpus) / "09.txt").read_text("utf-8")
    ids = tokenizer.encode(text).ids[1:-1]
    assert np.concatenate(held_out.segments(0)).tolist() == ids
    for i in range(22):
        document = np.concatenate(train.segments(i)).tolist()
        assert document[-50:] != ids[-50:]


def test_same_seed_same_bits_and_another_seed_others(settings, tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        pretrain(tmp_path / name, settings(seed=seed))
    assert weights(tmp_path / "a") == weights(tmp_path / "b")
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    assert weights(tmp_path / "a") != weights(tmp_path / "c")


def test_minutes_end_the_run(settings, tmp_path, monkeypatch):
    watch = iter(range(10_000))
    monkeypatch.setattr(pretraining.time, "perf_counter", lambda: next(watch))
    pretrain(tmp_path, settings(steps=None, minutes=2.0))
    state = load_state(tmp_path / "resume.pt")
    assert 10 < state["step"] < 120 and state["seconds"] >= 120
    assert float(rows(tmp_path)[-1]["learning_rate"]) < 3e-4


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_trains(settings, tmp_path, dtype):
    pretrain(tmp_path, settings(dtype=dtype, steps=12))
    losses = [float(line["mlm_loss"]) for line in rows(tmp_path)]
    assert losses[-1] < losses[0]
    assert (load_state(tmp_path / "resume.pt")["scaler"] != {}) == (
        dtype == "float16"
    )


def test_models_are_kept_on_the_way(settings, tmp_path):
    pretrain(tmp_path, settings(keep_every=5))
    names = sorted(p.name for p in tmp_path.glob("step-*"))
    assert names == ["step-10", "step-5"]
    assert weights(tmp_path / "step-10") == weights(tmp_path)
    assert weights(tmp_path / "step-5") != weights(tmp_path)


def test_positions_start_from_sinusoids():
    config = BertConfig(vocab_size=50, **MODEL)
    model = BertForPreTraining(config)
    _start_positions_from_sinusoids(model, amplitude=0.05)
    table = model.bert.embeddings.position.weight
    assert torch.allclose(table, 0.05 * sinusoidal_positions(32, 16))
    assert table.requires_grad


# --- stopped and resumed


def command(folder: Path, corpus: str, *flags: str) -> list[str]:
    config = folder.parent / "run.toml"
    lines = [
        f"{k} = {json.dumps(v)}" for k, v in SMALL.items() if k != "model"
    ]
    lines += ["[model]", *(f"{k} = {v}" for k, v in MODEL.items())]
    config.write_text("\n".join(lines) + "\n")
    return [
        sys.executable, "-m", "bertlib.pretraining", "--out", str(folder),
        "--config", str(config), "--corpus", corpus, *flags,
    ]  # fmt: skip


def steps_logged(folder: Path) -> int:
    """Complete lines of the log."""
    path = folder / "log.csv"
    return max(path.read_text().count("\n") - 1, 0) if path.exists() else 0


def start_and_signal(arguments, folder, number, lines) -> str:
    """Start a run, send a signal when the log has so many lines."""
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    while steps_logged(folder) < lines:
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.002)
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    expected = -number if number == signal.SIGKILL else 130
    assert process.returncode == expected, output
    return output


@pytest.mark.unhooked
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_killed_and_resumed_is_the_same_run(corpus, tmp_path):
    flags = ("--steps", "240")
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(whole, corpus, *flags), check=True)
    start = command(broken, corpus, *flags)
    start_and_signal(start, broken, signal.SIGKILL, lines=10)
    assert 0 < load_state(broken / "resume.pt")["step"] < 240
    (broken / "resume.pt.part").write_bytes(b"half")  # as a kill leaves it
    with (broken / "log.csv").open("a") as file:
        file.write("239,12")
    resume = [*start, "--resume"]
    output = start_and_signal(resume, broken, signal.SIGINT, lines=40)
    assert f"go on with --out {broken} --resume" in output
    assert load_state(broken / "resume.pt")["step"] < 240
    subprocess.run([*resume[:3], "--out", str(broken), "--resume"], check=True)
    assert weights(broken) == weights(whole)
    assert rows(broken) == rows(whole)


@pytest.mark.unhooked
def test_resume_before_anything_was_saved(settings, tmp_path):
    pretrain(tmp_path / "a", settings())
    pretrain(tmp_path / "b", settings(), resume=True)
    assert weights(tmp_path / "a") == weights(tmp_path / "b")


@pytest.mark.unhooked
def test_a_killed_preparation_is_done_again(settings, tmp_path):
    pretrain(tmp_path / "a", settings(steps=2))
    (tmp_path / "a" / "data" / "done.json").unlink()
    (tmp_path / "a" / "data" / "train" / "shards.json").unlink()
    pretrain(tmp_path / "a", settings(steps=4), resume=True)
    assert load_state(tmp_path / "a" / "resume.pt")["step"] == 4


@pytest.mark.unhooked
def test_another_corpus_in_the_same_folder_is_read(settings, tmp_path):
    pretrain(tmp_path, settings(steps=1))
    before = TokenShards(tmp_path / "data" / "train").num_tokens
    for name in ("log.csv", "resume.pt"):
        (tmp_path / name).unlink()  # as if it was killed before the first
    text = "\n\n".join(
        d.text[:900].replace("\n\n", " ") for d in state_of_the_union()[:25]
    )
    path = tmp_path / "other.txt"
    path.write_text(text, "utf-8")
    pretrain(tmp_path, settings(steps=1, corpus=(str(path),)))
    assert TokenShards(tmp_path / "data" / "train").num_tokens != before


@pytest.mark.unhooked
def test_resume_may_be_longer_but_not_different(corpus, tmp_path, capsys):
    folder = tmp_path / "run"
    start = command(folder, corpus, "--steps", "6")[3:]
    assert main(start) == 0
    assert main(start) == 2
    assert "holds a run: resume it" in capsys.readouterr().err
    assert main([*start, "--resume", "--seed", "1"]) == 2
    assert "seed is 0 there, 1 was given" in capsys.readouterr().err
    assert main(["--out", str(folder), "--resume", "--steps", "9"]) == 0
    assert rows(folder)[-1]["step"] == "9"
    assert main(["--out", str(tmp_path / "none"), "--resume"]) == 2
    assert "steps or minutes" in capsys.readouterr().err


@pytest.mark.unhooked
def test_a_damaged_checkpoint_is_refused_by_name(settings, tmp_path):
    pretrain(tmp_path, settings())
    path = tmp_path / "resume.pt"
    content = path.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    for damaged in (content[:-100], content[:1000], b"", bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"resume.pt is damaged"):
            pretrain(tmp_path, settings(), resume=True)
    torch.save({"weights": torch.ones(1)}, path)
    with pytest.raises(ValueError, match="not written by"):
        load_state(path)


@pytest.mark.unhooked
def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "resume.pt"
    save_state(path, {"step": 5})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pretraining.os, "fsync", full)
    with pytest.raises(Stopped, match=r"No space left.*resume.pt, step 5"):
        save_state(path, {"step": 6})
    assert load_state(path)["step"] == 5
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.unhooked
def test_a_loss_that_is_not_finite_stops_the_run(settings, tmp_path):
    with pytest.raises(
        Stopped, match=r"step \d+ is not finite.*resume.pt, step"
    ):
        pretrain(
            tmp_path, settings(learning_rate=1e30, steps=40, save_every=1)
        )
    state = load_state(tmp_path / "resume.pt")
    assert all(v.isfinite().all() for v in state["model"].values())


@pytest.mark.unhooked
def test_torchrun_computes_the_same_run(corpus, tmp_path):
    """With dropout off: dropout draws other numbers on each process."""
    alone, together = tmp_path / "alone", tmp_path / "together"
    flags = ("--steps", "8", "--config")
    toml = tmp_path / "run.toml"
    arguments = command(alone, corpus)
    toml.write_text(toml.read_text().replace("dropout = 0.1", "dropout = 0.0"))
    flags = ("--steps", "8", "--accumulate", "2")
    subprocess.run([*arguments, *flags], check=True)
    arguments = arguments[3:]
    arguments[1] = str(together)
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            "--nproc-per-node", "2", "-m", "bertlib.pretraining",
            *arguments, *flags,
        ],
        check=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
    )  # fmt: skip
    for one, other in zip(rows(alone), rows(together), strict=True):
        assert one["tokens"] == other["tokens"]
        for name in ("mlm_loss", "nsp_loss", "held_out_mlm_loss"):
            if one[name]:
                assert float(one[name]) == pytest.approx(
                    float(other[name]), abs=2e-4
                )


# --- measuring


def test_evaluation_by_hand():
    """A model that always says 7 and always says "random"."""
    model, batch = model_and_batch(rows=4)
    model = model.float()
    with torch.no_grad():
        for parameter in model.mlm.parameters():
            parameter.zero_()
        model.mlm.bias[7] = math.log(49 * 3)  # probability 3/4
        model.nsp.weight.zero_()
        model.nsp.bias.copy_(torch.tensor([0.0, 1.0]))
    labels = torch.full_like(batch.labels, -100)
    labels[0, 1], labels[1, 2], labels[1, 3], labels[3, 1] = 7, 7, 8, 9
    found = evaluate(
        model.train(),
        [
            PretrainingBatch(
                batch.input_ids,
                batch.token_type_ids,
                batch.attention_mask,
                labels,
                torch.tensor([1, 1, 1, 0]),
            ).rows(first, first + 2)
            for first in (0, 2)
        ],
    )
    loss = (2 * math.log(4 / 3) + 2 * math.log(4 * 49)) / 4
    assert found.mlm_loss == pytest.approx(loss, rel=1e-5)
    assert found == Evaluation(found.mlm_loss, 0.5, 0.75, 4, 4)
    assert model.training


def test_a_small_corpus_is_trained_on_without_measuring(settings, tmp_path):
    text = "\n\n".join(
        d.text[:1500].replace("\n\n", " ") for d in state_of_the_union()[:12]
    )
    path = tmp_path / "corpus.txt"
    path.write_text(text, "utf-8")
    pretrain(tmp_path / "run", settings(corpus=(str(path),)))
    assert not rows(tmp_path / "run")[-1]["held_out_mlm_loss"]
    assert not (tmp_path / "run" / "evaluation.json").exists()


@pytest.mark.unhooked
def test_nothing_to_evaluate():
    with pytest.raises(ValueError, match="no held-out text"):
        evaluate(model_and_batch()[0], [])


def test_baselines_by_hand(tmp_path):
    """The text "a b a b a c": after a comes b, twice of three times."""
    from bertlib.pretraining_data import write_shards

    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c"]
    tokenizer = BertTokenizer({piece: i for i, piece in enumerate(vocab)})
    shards = write_shards(
        [Document("0", "", "a b a b a c")], tokenizer, tmp_path, progress=False
    )
    batch = PretrainingBatch(
        torch.tensor([[2, 5, 4, 5, 4, 3]]),
        torch.zeros(1, 6, dtype=torch.long),
        None,
        torch.tensor([[-100, -100, 6, -100, 7, -100]]),
        torch.tensor([1]),
    )
    found = count_baselines(shards, [batch])
    unigram = np.array([3, 2]) / (6 + 8)  # b and c, one added
    assert found.uniform == pytest.approx(math.log(8))
    assert found.unigram == pytest.approx(-np.log(unigram).mean())
    # Witten-Bell: (count + kinds · unigram) / (count of a + kinds)
    bigram = (np.array([2, 1]) + 2 * unigram) / (3 + 2)
    assert found.bigram == pytest.approx(-np.log(bigram).mean())
    assert (found.unigram_accuracy, found.bigram_accuracy) == (0.0, 0.5)
    assert found.nsp_accuracy == 1.0


def test_short_rows_come_first(settings, tmp_path):
    chosen = settings(short_seq_len=16, short_share=0.6, log_every=1)
    pretrain(tmp_path / "once", chosen)
    tokens = np.diff(
        [0, *(int(row["tokens"]) for row in rows(tmp_path / "once"))]
    )
    assert (tokens[:6] <= 4 * 16).all() and tokens[6:].max() > 4 * 16
    pretrain(tmp_path / "again", chosen)
    assert weights(tmp_path / "again") == weights(tmp_path / "once")
    with pytest.raises(ValueError, match="short_seq_len must lie in 8 … 31"):
        settings(short_seq_len=32)
    with pytest.raises(ValueError, match="short_share"):
        settings(short_seq_len=16, short_share=1.5)


def test_short_rows_are_measured_on_short_rows(
    settings, tmp_path, monkeypatch
):
    widths = []

    def spy(model, batches, *others):
        widths.append(max(b.input_ids.shape[1] for b in batches))
        return evaluate(model, batches, *others)

    monkeypatch.setattr(pretraining, "evaluate", spy)
    pretrain(
        tmp_path, settings(short_seq_len=16, short_share=0.6, evaluate_every=5)
    )
    assert widths == [16, 32, 32]  # step 5, step 10, and the end


def test_a_run_with_short_rows_resumes_exactly(settings, tmp_path):
    chosen = settings(short_seq_len=16)
    tokenizer, shards, _ = prepare_data(chosen, tmp_path)
    first = Run(chosen, tokenizer, shards, "cpu", torch.float32)
    for kind in ("short", "short", "long"):
        first.train_step(1e-3, kind)
    save_state(tmp_path / "state.pt", first.state())
    for kind in ("short", "long"):
        first.train_step(1e-3, kind)
    second = Run(chosen, tokenizer, shards, "cpu", torch.float32)
    second.load_state(load_state(tmp_path / "state.pt"))
    for kind in ("short", "long"):
        second.train_step(1e-3, kind)
    for ours, theirs in zip(
        first.model.parameters(), second.model.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


MEMORY = """
import torch
from bertlib.pretraining import keep_freed_memory, return_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 1e6  # MB

assert keep_freed_memory()
before = resident()
blocks = [torch.ones(2**20) for _ in range(50)]
del blocks
kept = resident()
assert return_freed_memory()
print(kept - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_freed_memory_is_kept_and_given_back():
    done = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True
    )
    kept, left = map(float, done.stdout.split())
    assert kept > 150 and left < 50


def test_without_glibc_nothing_happens(monkeypatch):
    def none(_):
        raise OSError("no such library")

    monkeypatch.setattr(pretraining.ctypes, "CDLL", none)
    assert not pretraining.keep_freed_memory()
    assert not pretraining.return_freed_memory()
