"""Classifiers against Hugging Face, the shared loop, predict, the readers."""

import csv
import dataclasses
import itertools
import json
import math
import os
import runpy
import signal
import subprocess
import sys
import time
import types
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from bertlib.bert import BertConfig
from bertlib.checkpoint import from_pretrained, save_pretrained
from bertlib.classification import (
    ERAS,
    BertForSequenceClassification,
    Example,
    FineTuneSettings,
    MeanPooledClassifier,
    Prediction,
    Task,
    classification_task,
    count_tokens,
    era_sentences,
    evaluating,
    fine_tune,
    following_pairs,
    length_batches,
    predict,
    read_labelled,
    rows_for,
    sentiment,
    token_limit,
)
from bertlib.corpora import (
    minilm_folder,
    movie_review_sentences,
    split_documents,
    state_of_the_union,
)
from bertlib.pretraining import Stopped, load_state
from bertlib.wordpiece import BertTokenizer

transformers.utils.logging.disable_progress_bar()

DATA = Path(__file__).parents[1] / "data"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["good", "bad", "fine", "poor", "a", "the", "film", "plot", "cast"]
WORDS += ["is", "was", "it", ".", ",", "!", "not"]
TOKENIZER = BertTokenizer({w: i for i, w in enumerate(SPECIAL + WORDS)})


def config(**changes) -> BertConfig:
    sizes = {
        "vocab_size": len(TOKENIZER.pieces),
        "hidden_size": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 32,
        "max_position_embeddings": 32,
        "initializer_range": 0.2,
    }
    return BertConfig(**sizes | changes)


def model(cls=BertForSequenceClassification, **changes):
    torch.manual_seed(0)
    return cls(config(**changes)).eval()


def inputs(pair: bool = False) -> dict[str, torch.Tensor]:
    """Two rows, the second one padded."""
    batch = TOKENIZER.encode_batch(
        ["it is a good film , not bad", "the plot"],
        ["a fine cast", "was poor !"] if pair else None,
    )
    return vars(batch)


def examples(number: int, start: int = 0) -> list[Example]:
    """Texts with one word that decides the label, and noise around it."""
    rng = np.random.default_rng(start)
    found = []
    for i in range(number):
        noise = rng.choice(WORDS[4:15], size=rng.integers(2, 12)).tolist()
        label = int(rng.integers(2))
        word = [["bad", "poor"], ["good", "fine"]][label][rng.integers(2)]
        noise.insert(int(rng.integers(len(noise) + 1)), word)
        found.append(Example(f"{start}-{i}", " ".join(noise), label))
    return found


# --- models


@pytest.mark.parametrize("pair", [False, True])
@pytest.mark.parametrize("num_labels", [2, 3])
def test_hugging_face_opens_what_is_saved(tmp_path, num_labels, pair):
    ours = model(num_labels=num_labels)
    save_pretrained(ours, tmp_path)
    theirs = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path
    ).eval()
    batch, labels = inputs(pair), torch.tensor([1, num_labels - 1])
    with torch.no_grad():
        expected = theirs(**batch, labels=labels)
        found = ours(**batch, labels=labels)
    torch.testing.assert_close(
        found.logits, expected.logits, atol=1e-5, rtol=0
    )
    torch.testing.assert_close(found.loss, expected.loss, atol=1e-5, rtol=0)
    again = from_pretrained(BertForSequenceClassification, tmp_path)
    assert torch.equal(again(**batch).logits, ours(**batch).logits)
    assert again.config == ours.config


def test_a_model_of_hugging_face_loads(tmp_path):
    torch.manual_seed(1)
    theirs = transformers.BertForSequenceClassification(
        transformers.BertConfig(
            vocab_size=40, hidden_size=16, num_hidden_layers=1,
            num_attention_heads=2, intermediate_size=32, num_labels=4,
            id2label={0: "w", 1: "x", 2: "y", 3: "z"},
        )
    ).eval()  # fmt: skip
    theirs.save_pretrained(tmp_path)
    ours = from_pretrained(BertForSequenceClassification, tmp_path)
    ids = torch.randint(5, 40, (3, 7))
    with torch.no_grad():
        torch.testing.assert_close(
            ours(ids).logits, theirs(ids).logits, atol=1e-5, rtol=0
        )
    assert ours.config.labels == ("w", "x", "y", "z")


def test_a_loaded_classifier_knows_its_labels(tmp_path):
    ours = model(num_labels=3, label_names=("bad", "so-so", "good"))
    save_pretrained(ours, tmp_path / "ours")
    again = from_pretrained(BertForSequenceClassification, tmp_path / "ours")
    found = predict(again, TOKENIZER, ["the plot was fine"])[0]
    theirs = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path / "ours"
    )
    best = int(np.argmax(found.probabilities))
    assert found.label == again.config.labels[best]
    assert found.label == theirs.config.id2label[best]
    theirs.save_pretrained(tmp_path / "theirs")
    again = from_pretrained(BertForSequenceClassification, tmp_path / "theirs")
    assert again.config.labels == ("bad", "so-so", "good")
    # A new head has no names, or its own.
    for names in ((), ("no", "yes")):
        other = from_pretrained(
            BertForSequenceClassification,
            tmp_path / "ours",
            new=("classifier",),
            num_labels=2,
            label_names=names,
        )
        assert other.config.labels == (names or ("LABEL_0", "LABEL_1"))


@pytest.mark.unhooked
@pytest.mark.parametrize("names", [("a", "a"), ("a",), ("a", "b", "c")])
def test_names_that_do_not_fit(names):
    with pytest.raises(ValueError, match="label_names must be 2 different"):
        config(label_names=names)


def test_without_labels_there_is_no_loss():
    assert model()(**inputs()).loss is None


def test_classifier_dropout():
    assert model().dropout.p == 0.1
    assert model(classifier_dropout=0.3).dropout.p == 0.3
    assert model(classifier_dropout=0.0).dropout.p == 0.0


def test_gradients_in_64_bits():
    ours = model(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    ours = ours.double().train()
    batch, labels = inputs(), torch.tensor([0, 1])
    weight = ours.classifier.weight
    ours(**batch, labels=labels).loss.backward()
    step = 1e-6
    with torch.no_grad():
        weight[1, 3] += step
        above = ours(**batch, labels=labels).loss
        weight[1, 3] -= 2 * step
        below = ours(**batch, labels=labels).loss
    slope = (above - below) / (2 * step)
    torch.testing.assert_close(slope, weight.grad[1, 3], atol=1e-8, rtol=1e-6)


def test_the_mean_is_over_tokens_and_not_over_padding():
    ours, batch = model(MeanPooledClassifier), inputs()
    found = ours(**batch).vectors
    for row, length in enumerate(batch["attention_mask"].sum(1)):
        alone = ours.bert(batch["input_ids"][row : row + 1, :length])
        torch.testing.assert_close(
            found[row], alone.last_hidden_state[0].mean(0), atol=1e-5, rtol=0
        )
    without = ours(batch["input_ids"][:1]).vectors
    torch.testing.assert_close(found[:1], without, atol=1e-5, rtol=0)
    as_bool = batch | {"attention_mask": batch["attention_mask"].bool()}
    assert torch.equal(ours(**as_bool).vectors, found)


def test_a_mean_pooled_model_has_no_pooler_and_comes_back(tmp_path):
    ours = model(MeanPooledClassifier)
    assert not any("pooler" in name for name, _ in ours.named_parameters())
    save_pretrained(ours, tmp_path)
    again = from_pretrained(MeanPooledClassifier, tmp_path)
    assert torch.equal(again(**inputs()).logits, ours(**inputs()).logits)
    kept = json.loads((tmp_path / "config.json").read_text())
    assert kept["architectures"] == ["MeanPooledClassifier"]


@pytest.mark.parametrize(
    "cls", [BertForSequenceClassification, MeanPooledClassifier]
)
def test_minilm_with_a_new_head(cls):
    torch.manual_seed(0)
    one = from_pretrained(
        cls, minilm_folder(), new=("classifier",), num_labels=5
    )
    assert one.classifier.weight.shape == (5, 384)
    torch.manual_seed(0)
    other = from_pretrained(
        cls, minilm_folder(), new=("classifier",), num_labels=5
    )
    assert torch.equal(one.classifier.weight, other.classifier.weight)


@pytest.mark.unhooked
def test_a_head_that_the_file_lacks_must_be_named():
    with pytest.raises(ValueError, match="lacks classifier"):
        from_pretrained(BertForSequenceClassification, minilm_folder())


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (torch.tensor([0, 2]), "labels must lie in 0 … 1, found 2"),
        (torch.tensor([-1, 0]), "labels must lie in 0 … 1, found -1"),
        (torch.tensor([-100, 0]), "found -100"),
        (torch.tensor([0, 1, 1]), "must have the shape"),
        (torch.tensor([[0, 1]]), "must have the shape"),
        (torch.tensor([0.0, 1.0]), "labels must be int64 or int32"),
    ],
)
def test_wrong_labels(labels, message):
    with pytest.raises(ValueError, match=message):
        model()(**inputs(), labels=labels)


@pytest.mark.unhooked
def test_one_label_is_no_classification():
    with pytest.raises(ValueError, match="num_labels must be at least 2"):
        BertForSequenceClassification(config(num_labels=1))


# --- batches


lengths_of_examples = st.lists(st.integers(0, 50), max_size=60)


@given(
    lengths_of_examples,
    st.integers(1, 9),
    st.one_of(st.none(), st.integers(50, 120)),
    st.one_of(st.none(), st.integers(0, 99)),
)
def test_every_example_comes_once_and_neighbours_in_length_meet(
    lengths, batch_size, max_tokens, seed
):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = length_batches(lengths, batch_size, rng, max_tokens)
    places = [int(i) for rows in batches for i in rows]
    assert sorted(places) == list(range(len(lengths)))
    found = [[lengths[i] for i in rows] for rows in batches]
    for rows in found:
        assert 1 <= len(rows) <= batch_size
        assert rows == sorted(rows, reverse=True)
        if max_tokens is not None:
            assert len(rows) * rows[0] <= max_tokens
    found.sort(reverse=True)
    for long, short in itertools.pairwise(found):
        assert long[-1] >= short[0]
    if rng is None:
        assert [r[0] for r in found] == [lengths[b[0]] for b in batches]


def test_without_a_generator_the_order_is_fixed_and_the_longest_come_first():
    lengths = np.array([3, 7, 3, 9, 7, 1])
    batches = length_batches(lengths, 2)
    assert [b.tolist() for b in batches] == [[3, 1], [4, 0], [2, 5]]


def test_chance_decides_who_meets_and_when():
    lengths = [5] * 40
    first, again, other = (
        [b.tolist() for b in length_batches(lengths, 8, rng)]
        for rng in map(np.random.default_rng, (1, 1, 2))
    )
    assert first == again
    assert first != other
    mixed = length_batches(np.arange(40), 8, np.random.default_rng(0))
    assert [max(b) for b in mixed] != [39, 31, 23, 15, 7]


def test_no_examples_make_no_batches():
    assert length_batches([], 4) == []


def test_less_padding_than_any_other_order():
    """Sorting is optimal: every other cut into equal batches pads more."""
    lengths = np.array([1, 2, 3, 10, 11, 12])
    batches = length_batches(lengths, 3)
    best = sum(3 * lengths[b].max() for b in batches)
    for order in itertools.permutations(range(6)):
        rows = lengths[list(order)].reshape(2, 3)
        assert best <= 3 * rows.max(1).sum()


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.5, 2.0], 2), "lengths must be whole numbers"),
        (([[1, 2], [3, 4]], 2), "lengths must be whole numbers"),
        (([1, 2], 0), "batch_size must be at least 1, not 0"),
        (([1, 9], 2, None, 8), "max_tokens 8 is less than the longest"),
        (([0], 2, None, 0), "max_tokens 0 is less than"),
    ],
)
def test_lengths_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        length_batches(*arguments)


# --- the loop


SETTINGS = {
    "epochs": 4,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "device": "cpu",
    "dtype": "float32",
}


def settings(**changes) -> FineTuneSettings:
    return FineTuneSettings(**SETTINGS | changes)


def toy(cls=BertForSequenceClassification, **changes):
    """A small model and its task."""
    classifier = model(cls, **changes)
    task = classification_task(
        classifier, TOKENIZER, examples(96), examples(40, start=1)
    )
    return classifier, task


def weights(classifier) -> list[torch.Tensor]:
    return [p.detach().clone() for p in classifier.parameters()]


def same(one, other) -> bool:
    return all(
        torch.equal(a, b)
        for a, b in zip(weights(one), weights(other), strict=True)
    )


def without_time(log) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "seconds"} for row in log]


@pytest.mark.parametrize(
    "cls", [BertForSequenceClassification, MeanPooledClassifier]
)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_it_learns(cls, dtype):
    classifier, task = toy(cls)
    trained, result = fine_tune(
        classifier, task, settings(epochs=12, dtype=dtype), progress=False
    )
    assert trained is classifier and not trained.training
    assert result.best_score > 0.9
    assert result.steps == 12 * 12


def test_the_best_weights_come_back():
    """Of scores made up, the third is the highest."""
    classifier, task = toy()
    seen, made_up = [], iter([0.2, 0.5, 0.9, 0.9])

    def evaluate(model):
        assert not model.training and not torch.is_grad_enabled()
        seen.append(weights(model))
        return {"accuracy": next(made_up), "loss": 1.0}

    task = dataclasses.replace(task, evaluate=evaluate)
    trained, result = fine_tune(classifier, task, settings(), progress=False)
    assert (result.best_step, result.best_score) == (36, 0.9)
    assert all(map(torch.equal, weights(trained), seen[2]))
    assert not all(map(torch.equal, weights(trained), seen[3]))


def test_patience():
    classifier, task = toy()
    made_up = iter([0.5, 0.6, 0.6, 0.4, 0.7])
    task = dataclasses.replace(
        task, evaluate=lambda _: {"accuracy": next(made_up), "loss": 1.0}
    )
    _, result = fine_tune(
        classifier,
        task,
        settings(epochs=9, patience=2, evaluate_every=5),
        progress=False,
    )
    assert (result.steps, result.best_step) == (20, 10)


def test_the_log(tmp_path, capsys):
    classifier, task = toy()
    seen = []

    def collate(numbers):
        seen.append(len(numbers))
        return task.collate(numbers)

    task_seen = dataclasses.replace(task, collate=collate)
    _, result = fine_tune(
        classifier,
        task_seen,
        settings(warmup=0.25, evaluate_every=6),
        tmp_path / "run",
    )
    with (tmp_path / "run" / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "step", "epoch", "seconds", "learning_rate", "loss",
        "validation_accuracy", "validation_loss",
    ]  # fmt: skip
    assert [int(row["step"]) for row in rows] == list(range(6, 49, 6))
    assert len(seen) == 48 and set(seen) == {8}
    # 12 steps of warm-up; the rate of step 12 was that after 11 steps.
    assert float(rows[1]["learning_rate"]) == pytest.approx(3e-3 * 11 / 12)
    assert float(rows[-1]["learning_rate"]) == pytest.approx(3e-3 / 36)
    assert len(result.log) == len(rows)
    assert result.log[-1]["loss"] < result.log[0]["loss"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8
    assert lines[1].startswith("step 12/48 · ")
    assert sum("(best)" in line for line in lines) >= 1


def test_every_example_is_seen_once_an_epoch():
    classifier, task = toy()
    seen = []

    def collate(numbers):
        seen.extend(numbers.tolist())
        return task.collate(numbers)

    fine_tune(
        classifier,
        dataclasses.replace(task, collate=collate),
        settings(epochs=3),
        progress=False,
    )
    orders = [seen[first : first + 96] for first in (0, 96, 192)]
    assert all(sorted(order) == list(range(96)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_steps_instead_of_epochs():
    classifier, task = toy()
    _, result = fine_tune(
        classifier, task, settings(epochs=None, steps=5), progress=False
    )
    assert result.steps == result.best_step == 5


def test_a_frozen_encoder_stays():
    classifier, task = toy()
    classifier.bert.requires_grad_(False)
    before = weights(classifier.bert)
    trained, _ = fine_tune(classifier, task, settings(), progress=False)
    assert all(map(torch.equal, weights(trained.bert), before))


def test_the_saved_folder_holds_the_best_model(tmp_path):
    classifier, task = toy()
    trained, result = fine_tune(
        classifier, task, settings(), tmp_path, progress=False
    )
    again = from_pretrained(BertForSequenceClassification, tmp_path)
    assert same(trained, again)
    score = task.evaluate(again)["accuracy"]
    assert score == pytest.approx(result.best_score, abs=1e-9)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "config.json", "model.safetensors", "log.csv", "resume.pt",
    }  # fmt: skip


# --- resume


def stopping_at(task: Task, evaluation: int) -> Task:
    """The task, with a Ctrl-C during one of its evaluations."""
    count = iter(range(1, 1000))

    def evaluate(model):
        if next(count) == evaluation:
            signal.raise_signal(signal.SIGINT)
        return task.evaluate(model)

    return dataclasses.replace(task, evaluate=evaluate)


@pytest.mark.unhooked
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("changes", [{}, {"evaluate_every": 5}])
def test_stopped_and_resumed_is_the_same_run(tmp_path, dtype, changes):
    chosen = settings(dtype=dtype, **changes)
    whole, expected = fine_tune(*toy(), chosen, progress=False)
    classifier, task = toy()
    with pytest.raises(
        KeyboardInterrupt, match=r"stopped at step .*resume=True"
    ):
        fine_tune(
            classifier, stopping_at(task, 2), chosen, tmp_path, progress=False
        )
    other, _ = toy()
    with torch.no_grad():  # what is resumed does not depend on the start
        other.classifier.weight.add_(1)
    resumed, result = fine_tune(
        other, task, chosen, tmp_path, resume=True, progress=False
    )
    assert same(whole, resumed)
    assert without_time(result.log) == without_time(expected.log)
    assert result.best_step == expected.best_step
    # A run that is done is not done again.
    never = dataclasses.replace(task, collate=None, evaluate=None)
    again, result = fine_tune(
        toy()[0], never, chosen, tmp_path, resume=True, progress=False
    )
    assert same(again, whole) and result.steps == expected.steps


SCRIPT = """
import sys
from pathlib import Path
sys.path[:0] = [{tests!r}]
from test_classification import *
import torch
torch.set_num_threads(1)
classifier, task = toy()
fine_tune(classifier, task, settings(epochs=12, evaluate_every=7),
          Path(sys.argv[1]), resume=True)
"""


@pytest.mark.unhooked
@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_killed_and_resumed_is_the_same_run(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parent)))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    start = [sys.executable, str(script)]
    subprocess.run([*start, str(whole)], check=True, capture_output=True)
    process = subprocess.Popen(
        [*start, str(broken)], stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not (broken / "resume.pt").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert 0 < load_state(broken / "resume.pt")["step"] < 144
    (broken / "resume.pt.part").write_bytes(b"half")  # as a kill leaves it
    subprocess.run([*start, str(broken)], check=True, capture_output=True)
    for name in ("model.safetensors", "config.json"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()
    logs = []
    for folder in (whole, broken):
        with (folder / "log.csv").open() as file:
            logs.append(without_time(list(csv.DictReader(file))))
    assert logs[0] == logs[1]


@pytest.mark.unhooked
def test_what_cannot_be_resumed(tmp_path):
    classifier, task = toy()
    fine_tune(classifier, task, settings(), tmp_path, progress=False)
    with pytest.raises(FileExistsError, match="holds a run"):
        fine_tune(classifier, task, settings(), tmp_path)
    for changes, message in (
        ({"seed": 1}, "seed is 0 there, 1 here"),
        ({"epochs": 5}, "epochs is 4 there, 5 here"),
        ({"batch_size": 4}, "batch_size is 8 there, 4 here"),
    ):
        with pytest.raises(ValueError, match=message):
            fine_tune(
                classifier, task, settings(**changes), tmp_path, resume=True
            )
    fewer = dataclasses.replace(task, lengths=task.lengths[:-1])
    with pytest.raises(ValueError, match="examples is 96 there, 95 here"):
        fine_tune(classifier, fewer, settings(), tmp_path, resume=True)
    with pytest.raises(ValueError, match="needs the folder"):
        fine_tune(classifier, task, settings(), resume=True)
    (tmp_path / "resume.pt").write_bytes(b"PK damaged")
    with pytest.raises(ValueError, match=r"resume.pt is damaged"):
        fine_tune(classifier, task, settings(), tmp_path, resume=True)


@pytest.mark.unhooked
def test_stopped_without_a_folder():
    classifier, task = toy()
    with pytest.raises(KeyboardInterrupt, match="no folder was given"):
        fine_tune(classifier, stopping_at(task, 1), settings())


# --- faults of the loop


@pytest.mark.unhooked
def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    classifier, task = toy()
    with pytest.raises(
        Stopped, match=r"step \d+ is not finite; try a smaller learning rate"
    ):
        fine_tune(
            classifier,
            task,
            settings(learning_rate=1e30, evaluate_every=1),
            tmp_path,
            progress=False,
        )
    assert all(p.isfinite().all() for p in classifier.parameters())


@pytest.mark.unhooked
def test_a_score_that_is_no_number_stops_the_run():
    classifier, task = toy()
    scores = {"accuracy": math.nan, "loss": 1.0}
    task = dataclasses.replace(task, evaluate=lambda _: scores)
    with pytest.raises(Stopped, match="accuracy after step 12 is not a"):
        fine_tune(classifier, task, settings(), progress=False)


@pytest.mark.unhooked
def test_a_full_disk_stops_the_run(tmp_path, monkeypatch):
    classifier, task = toy()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bertlib.pretraining.os.fsync", full)
    with pytest.raises(Stopped, match=r"No space left.*Nothing was saved"):
        fine_tune(classifier, task, settings(), tmp_path, progress=False)
    assert not (tmp_path / "resume.pt").exists()


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": None}, "either epochs or steps"),
        ({"steps": 3}, "either epochs or steps"),
        ({"epochs": 0}, "epochs must be at least 1"),
        ({"epochs": 1.5}, "epochs must be int"),
        ({"epochs": True}, "epochs must be int"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"batch_size": None}, "batch_size must be int"),
        ({"learning_rate": -1.0}, "learning_rate must be at least 0"),
        ({"learning_rate": math.nan}, "learning_rate must be at least 0"),
        ({"learning_rate": "5e-5"}, "learning_rate must be float"),
        ({"warmup": 1.5}, "warmup must be at least 0 and below 1"),
        ({"clip": 0.0}, "clip must be at least"),
        ({"patience": 0}, "patience must be at least 1"),
        ({"evaluate_every": 0}, "evaluate_every must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"device": "tpu"}, "device must be auto"),
        ({"dtype": "int8"}, "dtype must be auto"),
    ],
)
def test_settings_that_are_not_allowed(changes, message):
    classifier, task = toy()
    with pytest.raises(ValueError, match=message):
        fine_tune(classifier, task, settings(**changes))


@pytest.mark.unhooked
def test_examples_that_do_not_fit():
    classifier, good = model(), examples(4)
    for train, validation, message in (
        ([], good, "train is empty"),
        (good, [], "validation is empty"),
        (good, good[:1], "'0-0' is in train and in validation"),
        (
            [*good, Example("x", "a", 2)],
            examples(2, 1),
            "train, example 'x': label 2 is not in 0 … 1",
        ),
        (
            [Example("x", "a", 1)],
            examples(2, 1),
            "train has no example of 'LABEL_0'",
        ),
        (
            [*good, Example("x", "a", 1, "b")],
            examples(2, 1),
            "train, example 'x': some examples are pairs and others are not",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            classification_task(classifier, TOKENIZER, train, validation)
    with pytest.raises(ValueError, match="max_length must lie in 3 … 32"):
        classification_task(
            classifier, TOKENIZER, good, examples(2, 1), max_length=33
        )
    with pytest.raises(ValueError, match="do not belong together"):
        classification_task(
            model(vocab_size=30), TOKENIZER, good, examples(2, 1)
        )
    empty = Task([], None, None)
    with pytest.raises(ValueError, match="no training examples"):
        fine_tune(classifier, empty, settings())


def test_long_examples_are_counted_and_cut(capsys):
    train = [*examples(6), Example("long", "good film " * 40, 1)]
    task = classification_task(model(), TOKENIZER, train, examples(2, 1))
    assert capsys.readouterr().out == (
        "1 of 7 training examples are longer than 32 tokens: cut at the end\n"
    )
    assert max(task.lengths) == 32
    batch = task.collate(np.array([6, 0]))
    assert batch["input_ids"].shape == (2, 32)
    assert batch["labels"][0] == 1


def test_pairs_train_and_predict():
    """The label says if the second text repeats the first one's last word."""
    rng, pairs = np.random.default_rng(0), []
    for i in range(64):
        one, other = rng.choice(WORDS[:8], 2, replace=False)
        label = i % 2
        second = str(one) if label else str(other)
        pairs.append(Example(str(i), f"the {one}", label, second))
    classifier = model()
    task = classification_task(classifier, TOKENIZER, pairs[:48], pairs[48:])
    batch = task.collate(np.array([0, 1]))
    assert batch["token_type_ids"].max() == 1
    trained, _ = fine_tune(
        classifier, task, settings(epochs=1), progress=False
    )
    found = predict(
        trained,
        TOKENIZER,
        [e.text for e in pairs[48:]],
        [e.pair for e in pairs[48:]],
    )
    assert len(found) == 16


# --- predict


def test_predictions_come_in_the_order_given():
    classifier = model(label_names=("bad", "good"))
    texts = [e.text for e in examples(23)]
    found = predict(classifier, TOKENIZER, texts, batch_size=4)
    for text, prediction in zip(texts, found, strict=True):
        ids = torch.tensor([TOKENIZER.encode(text).ids])
        with torch.no_grad():
            row = classifier(ids).logits.softmax(1)[0]
        assert prediction.label == ("bad", "good")[int(row.argmax())]
        assert prediction.probability == pytest.approx(
            float(row.max()), abs=1e-5
        )
        assert prediction.probabilities == pytest.approx(
            row.tolist(), abs=1e-5
        )
        assert prediction.cut == 0


@pytest.mark.parametrize(
    "cls", [BertForSequenceClassification, MeanPooledClassifier]
)
def test_unusual_texts(cls):
    classifier = model(cls).train()
    texts = ["", " \n", "😀 👩‍👩‍👧 good", "good " * 5000, "\x00\u200b", "film",
             "g" * 10_000]  # fmt: skip
    found = predict(classifier, TOKENIZER, texts)
    assert [p.cut for p in found] == [0, 0, 0, 5002 - 32, 0, 0, 0]
    assert all(math.isclose(sum(p.probabilities), 1, abs_tol=1e-5)
               for p in found)  # fmt: skip
    assert found[0].label in ("LABEL_0", "LABEL_1")
    assert found[0].probability == pytest.approx(
        found[1].probability, abs=1e-6
    )
    short = predict(classifier, TOKENIZER, ["good " * 30])
    assert found[3].probability == pytest.approx(
        short[0].probability, abs=1e-5
    )
    assert classifier.training and classifier.dropout.training


def test_nothing_to_predict():
    assert predict(model(), TOKENIZER, []) == []
    assert predict(model(), TOKENIZER, [], pairs=[]) == []


def test_half_precision_is_near():
    texts = [e.text for e in examples(9)]
    full = predict(model(), TOKENIZER, texts)
    half = predict(model(), TOKENIZER, texts, dtype="bfloat16")
    for one, other in zip(full, half, strict=True):
        assert one.probability == pytest.approx(other.probability, abs=0.05)


def test_a_prediction_is_a_plain_object():
    found = predict(model(), TOKENIZER, ["good"])[0]
    assert isinstance(found, Prediction)
    assert type(found.probability) is float and type(found.cut) is int


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"texts": "good"}, TypeError, "not be a string"),
        ({"texts": ["good", 3]}, TypeError, "must be a string"),
        ({"pairs": ["a", "b"]}, ValueError, "1 texts, but 2 pairs"),
        ({"pairs": [None]}, TypeError, "pairs must hold strings"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1"),
        ({"max_length": 2}, ValueError, "max_length must lie in 3 … 32"),
        ({"max_length": 33}, ValueError, "max_length must lie in 3 … 32"),
        ({"dtype": "int8"}, ValueError, "dtype must be auto"),
        (
            {"model": model(vocab_size=40)},
            ValueError,
            "do not belong together",
        ),
    ],
)
def test_what_predict_refuses(changes, error, message):
    given = {"model": model(), "tokenizer": TOKENIZER, "texts": ["good"]}
    with pytest.raises(error, match=message):
        predict(**given | changes)


def test_rows_come_in_the_order_given():
    classifier = model(MeanPooledClassifier)
    texts = [e.text for e in examples(11)]
    found = rows_for(
        classifier, TOKENIZER, texts, batch_size=3, what="vectors"
    )
    lengths = count_tokens(TOKENIZER, texts)
    assert len(set(lengths.tolist())) > 3
    for text, row, length in zip(texts, found, lengths, strict=True):
        ids = torch.tensor([TOKENIZER.encode(text).ids])
        assert ids.shape == (1, length)
        with torch.no_grad():
            alone = classifier(ids).vectors[0]
        torch.testing.assert_close(row, alone, atol=1e-5, rtol=0)
    assert count_tokens(TOKENIZER, []).dtype == np.int64
    with pytest.raises(ValueError, match="texts is empty"):
        rows_for(classifier, TOKENIZER, [])


def test_token_limit():
    assert token_limit(model(), TOKENIZER) == 32
    assert token_limit(model(), TOKENIZER, 3) == 3


def test_modes_come_back_after_an_error():
    classifier = model().train()
    classifier.dropout.eval()
    with pytest.raises(RuntimeError), evaluating(classifier):
        assert not classifier.bert.training
        raise RuntimeError
    assert classifier.bert.training and not classifier.dropout.training


# --- data


def test_the_split_of_the_reviews_follows_its_rule():
    parts = sentiment()
    assert len(parts.test) == 1500 and len(parts.validation) == 800
    rated = {s.id: s for s in movie_review_sentences()}
    every = [*parts.train, *parts.validation, *parts.test]
    assert len({e.id for e in every}) == len({e.text for e in every})
    assert len(every) == len({e.text for e in every}) == 10_041
    for example in every:
        rating = rated[example.id].rating
        assert abs(rating) > 0.5 and example.label == (rating > 0)
        assert example.text == rated[example.id].text
    made = runpy.run_path(str(DATA / "make_review_split.py"))
    again = made["to_json"](made["split"]())
    assert (DATA / "review_split.json").read_text("utf-8") == again


def test_eras_are_split_by_document():
    parts = era_sentences(train=50, validation=20, test=30)
    names = [
        {e.id.rpartition("-")[0] for e in part}
        for part in (parts.train, parts.validation, parts.test)
    ]
    assert not names[0] & names[1] and not (names[0] | names[1]) & names[2]
    held_out = {d.id for d in split_documents(state_of_the_union())[1]}
    assert names[2] <= held_out and not (names[0] | names[1]) & held_out
    for part, number in ((parts.train, 50), (parts.test, 30)):
        counts = np.bincount([e.label for e in part], minlength=len(ERAS))
        assert counts.tolist() == [number] * 5
    starts = (0, 1830, 1866, 1901, 1945, 9999)
    for example in parts.train:
        year = int(example.id[:4])
        assert starts[example.label] <= year < starts[example.label + 1]
        assert 10 <= len(example.text.split()) <= 60
    assert era_sentences(50, 20, 30) == parts


def test_pairs_are_split_by_document_and_every_other_one_follows():
    parts = following_pairs(train=300, validation=40, test=100)
    held_out = {d.id for d in split_documents(state_of_the_union())[1]}
    text = {d.id: " ".join(d.text.split()) for d in state_of_the_union()}
    seen = set()
    for part, number in (
        (parts.train, 300),
        (parts.validation, 40),
        (parts.test, 100),
    ):
        names = {e.id.rpartition("-")[0] for e in part}
        assert (names <= held_out) == (part is parts.test)
        assert not names & seen
        seen |= names
        assert sum(e.label for e in part) == number // 2
        assert len({e.id for e in part}) == number
        for e in part:
            address = text[e.id.rpartition("-")[0]]
            assert (f"{e.text} {e.pair}" in address) == e.label
            assert e.text in address and e.pair in address
            assert all(5 <= len(s.split()) <= 30 for s in (e.text, e.pair))
    assert following_pairs(300, 40, 100) == parts


@pytest.mark.unhooked
def test_more_than_there_is():
    with pytest.raises(ValueError, match="test must be at most"):
        era_sentences(train=10, validation=10, test=10**6)
    with pytest.raises(ValueError, match="train must be at most"):
        following_pairs(train=10**6)


def fake_datasets(monkeypatch, train, validation):
    """A module `datasets` that gives rows in the format of SST-2."""
    module = types.ModuleType("datasets")
    asked = []

    def load_dataset(name):
        asked.append(name)
        return {
            "train": train,
            "validation": validation,
            "test": [{"idx": 0, "sentence": "x", "label": -1}],
        }

    module.load_dataset = load_dataset
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked


def test_sst2(monkeypatch):
    train = [
        {"idx": i, "sentence": f"phrase {i} ", "label": i % 2}
        for i in range(150)
    ]
    dev = [{"idx": i, "sentence": f"dev {i}", "label": 1} for i in range(3)]
    asked = fake_datasets(monkeypatch, train, dev)
    parts = sentiment(full=True)
    assert asked == ["stanfordnlp/sst2"]
    assert len(parts.train) == 147 and len(parts.validation) == 3
    assert [e.id for e in parts.validation] == [
        "train-0", "train-67", "train-134",
    ]  # fmt: skip
    assert parts.validation[1] == Example("train-67", "phrase 67", 1)
    assert [e.text for e in parts.test] == ["dev 0", "dev 1", "dev 2"]
    assert parts.labels == ("negative", "positive")


@pytest.mark.unhooked
def test_sst2_needs_datasets(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match="datasets"):
        sentiment(full=True)


# --- files of labelled texts


FORMATS = {
    "tsv": 'id\ttext\tlabel\na\tsay "no"\tneg\nb\t☕ fine, it is\tpos\n',
    "csv": 'id,text,label\na,"say ""no""",neg\nb,"☕ fine, it is",pos\n',
    "jsonl": '{"id": "a", "text": "say \\"no\\"", "label": "neg"}\n\n'
    '{"label": "pos", "text": "☕ fine, it is", "id": "b"}\n',
}


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("start", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_formats(tmp_path, kind, start, end):
    path = tmp_path / f"a.{kind}"
    path.write_bytes((start + FORMATS[kind]).replace("\n", end).encode())
    found, labels = read_labelled(path)
    assert labels == ("neg", "pos")
    assert found == [
        Example("a", 'say "no"', 0), Example("b", "☕ fine, it is", 1),
    ]  # fmt: skip
    found, labels = read_labelled(path, labels=("pos", "neg"))
    assert [e.label for e in found] == [1, 0]


def test_pairs_and_numbers(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"text": "a", "pair": "b", "label": 1, "id": 10}\n'
        '{"text": "c", "pair": "d", "label": 0, "id": 11, "x": 1}\n'
    )
    found, labels = read_labelled(path)
    assert labels == ("0", "1")
    assert found == [Example("10", "a", 1, "b"), Example("11", "c", 0, "d")]


def test_two_files_without_ids_train_and_validate(tmp_path):
    parts = []
    for name in ("train.tsv", "validation.tsv"):
        path = tmp_path / name
        path.write_text("text\tlabel\ngood\t1\nbad\t0\n")
        parts.append(read_labelled(path, ("0", "1"))[0])
    assert len(classification_task(model(), TOKENIZER, *parts).lengths) == 2


def test_without_ids_file_and_line_stand_for_them(tmp_path):
    path = tmp_path / "dev.tsv"
    path.write_text('text\tlabel\na " quote\t1\n\ndull\t0\n')
    found, _ = read_labelled(path, ("0", "1"))
    assert found[0] == Example("dev.tsv, line 2", 'a " quote', 1)
    assert found[1].id == "dev.tsv, line 4"


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "x", "must end in .tsv, .csv, .jsonl"),
        ("a.tsv", b"text\tlabel\na\tx\n\xff\ty\n", "line 3: not UTF-8"),
        ("a.tsv", "text\tlabel\na\tx\tb\n", "line 2: not 2 fields"),
        (
            "a.tsv",
            "text\tx\na\tb\n",
            "line 2, id 'a.tsv, line 2': label is missing",
        ),
        ("a.tsv", "text\tlabel\na\n", "line 2: not 2 fields"),
        ("a.tsv", "text\ttext\na\tb\n", "line 1: two columns have the same"),
        ("a.csv", 'text,label\n"a,b\n', "unexpected end of data"),
        (
            "a.tsv",
            "id\ttext\tlabel\nq\ta\tx\nr\t \ty\n",
            "line 3, id 'r': text is ' '",
        ),
        (
            "a.tsv",
            "id\ttext\tlabel\nq\ta\tx\nq\tb\ty\n",
            "line 3, id 'q': this id stands there twice",
        ),
        ("a.tsv", "text\tlabel\na\tx\nb\tx\n", "two different labels"),
        ("a.tsv", "text\tlabel\n", "two different labels"),
        ("a.tsv", "", "two different labels"),
        (
            "a.tsv",
            "id\ttext\tpair\tlabel\nq\ta\t\tx\n",
            "line 2, id 'q': pair is ''",
        ),
        ("a.jsonl", "{}\n", "line 1, id 'a.jsonl, line 1': text is missing"),
        ("a.jsonl", "[1]\n", "line 1: not an object"),
        ("a.jsonl", '\n{"text": \n', "line 2: Expecting value"),
        (
            "a.jsonl",
            '{"text": "a", "label": true}\n',
            "line 1, id 'a.jsonl, line 1': label is True",
        ),
        (
            "a.jsonl",
            '{"text": ["a"], "label": "x"}\n',
            "line 1, id 'a.jsonl, line 1': text is",
        ),
        ("a.jsonl", "[" * 100_000 + "\n", "line 1: "),
    ],
)
def test_files_that_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_labelled(path)
    assert str(path) in str(caught.value)


@pytest.mark.unhooked
def test_labels_that_do_not_fit(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("id\ttext\tlabel\nq\ta\tx\nr\tb\tz\n")
    with pytest.raises(
        ValueError, match="line 3, id 'r': unknown label 'z'; allowed are x, y"
    ):
        read_labelled(path, labels=("x", "y"))
    with pytest.raises(ValueError, match="no example has the label 'y'"):
        read_labelled(path, labels=("x", "y", "z"))
    with pytest.raises(ValueError, match="two different labels"):
        read_labelled(path, labels=("x", "z", "x"))
    with pytest.raises(FileNotFoundError):
        read_labelled(tmp_path / "none.tsv")


# --- the stored runs


def test_every_run_of_the_chapter_on_a_few_examples(tmp_path, capsys):
    """The script behind data/classification.json, from end to end."""
    made = runpy.run_path(str(DATA / "run_classification.py"))
    work = made["Work"](tmp_path, smoke=True)
    assert set(work.tasks) == {
        "reviews", "eras", "pairs", "no stop words",
        "no stop words but negations",
    }  # fmt: skip
    whole = sentiment().train[0].text
    shorter = work.tasks["no stop words"].train[0].text
    assert len(shorter) < len(whole)
    work.tasks = {name: work.tasks[name] for name in ("reviews", "pairs")}
    runs = work.all_runs()
    assert len(runs) == 2 * 8
    capsys.readouterr()
    assert work.all_runs() == runs  # read, not done again
    assert capsys.readouterr().out == ""
    made["store"](work, runs, tmp_path / "out.json")
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert stored["labels"]["pairs"] == "00001111"
    for run in stored["runs"]:
        if "predictions" in run:
            same = [
                a == b
                for a, b in zip(
                    run["predictions"],
                    stored["labels"][run["task"]],
                    strict=True,
                )
            ]
            assert run["accuracy"] == pytest.approx(np.mean(same), abs=1e-6)
        assert ("negations" in run) == (
            run["task"] == "reviews" and "predictions" in run
        )
    rates = [run for run in stored["runs"] if run["system"] == "ours"]
    assert len(rates) == 4
    assert sum("predictions" in run for run in rates) == 2


def test_stored_runs_fit_the_data():
    """Every stored accuracy is that of its predictions."""
    stored = json.loads((DATA / "classification.json").read_text("utf-8"))
    parts = {
        "reviews": sentiment(),
        "eras": era_sentences(),
        "pairs": following_pairs(),
    }
    for name, part in parts.items():
        labels = "".join(str(e.label) for e in part.test)
        assert stored["labels"][name] == labels
    seeds = {}
    for run in stored["runs"]:
        if "predictions" not in run:
            continue
        labels = stored["labels"].get(run["task"], stored["labels"]["reviews"])
        same = [
            a == b for a, b in zip(run["predictions"], labels, strict=True)
        ]
        assert run["accuracy"] == pytest.approx(np.mean(same), abs=1e-6)
        seeds.setdefault((run["task"], run["system"]), []).append(
            run.get("seed")
        )
    for (_, system), found in seeds.items():
        many = system in ("scratch", "ours", "minilm")
        assert sorted(found) == [0, 1, 2] if many else found == [None]
