"""Subsets, searches, budgets and temperatures against oracles and faults."""

import itertools
import json
import math
import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.optimize
import scipy.stats
import torch
import transformers
from hypothesis import assume, example, given
from hypothesis import strategies as st
from torch.nn import functional as F

from bertlib.bert import BertConfig, BertModel
from bertlib.checkpoint import save_pretrained
from bertlib.classification import (
    BertForSequenceClassification,
    Example,
    era_sentences,
    predict,
)
from bertlib.pretraining import Stopped
from bertlib.tuning import (
    LogUniform,
    draw_trials,
    expected_best,
    fit_temperature,
    nested_subsets,
    reliability,
    runs_needed,
    scale_temperature,
    search,
)
from bertlib.wordpiece import BertTokenizer

transformers.utils.logging.disable_progress_bar()

DATA = Path(__file__).parents[1] / "data"
SPACE = {
    "rate": LogUniform(1e-4, 1e-2),
    "batch": [16, 32],
    "epochs": range(2, 7),
}


def labelled(counts: list[int]) -> list[Example]:
    """So many examples of each label, one label after the other."""
    labels = [k for k, count in enumerate(counts) for _ in range(count)]
    return [Example(str(i), "text", label) for i, label in enumerate(labels)]


# --- subsets


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=6),
    st.data(),
    st.integers(0, 5),
)
@example([1, 1, 1, 1, 1, 25], None, 0)
def test_subsets_are_nested_and_every_label_has_its_share(counts, data, seed):
    examples = labelled(counts)
    every = range(1, len(examples) + 1)
    sizes = list(every)
    if data is not None:
        sizes = sorted(data.draw(st.sets(st.sampled_from(every), min_size=1)))
    parts = nested_subsets(examples, sizes, seed)
    assert [len(part) for part in parts] == sizes
    for small, large in itertools.pairwise(parts):
        assert large[: len(small)] == small
    for part in parts:
        assert len({e.id for e in part}) == len(part)
        found = Counter(e.label for e in part)
        for label, count in enumerate(counts):
            quota = len(part) * count / len(examples)
            assert abs(found[label] - quota) < 1


def test_the_seed_decides_who_is_drawn():
    examples = labelled([100, 100])
    first, again, other = (
        {e.id for e in nested_subsets(examples, [50], seed)[0]}
        for seed in (0, 0, 1)
    )
    assert first == again
    assert 10 < len(first & other) < 40  # about half


def test_the_order_of_the_labels_changes_nothing():
    mixed = [Example(str(i), "", (7 * i) % 3) for i in range(30)]
    for part in nested_subsets(mixed, [3, 9, 30]):
        assert set(Counter(e.label for e in part).values()) == {len(part) / 3}


@pytest.mark.unhooked
@pytest.mark.parametrize("sizes", [[], [0], [3, 3], [4, 2], [-1, 2]])
def test_sizes_must_rise(sizes):
    with pytest.raises(ValueError, match="sizes must rise"):
        nested_subsets(labelled([9]), sizes)


@pytest.mark.unhooked
def test_sizes_larger_than_the_data():
    with pytest.raises(ValueError, match="must not exceed 9 examples"):
        nested_subsets(labelled([9]), [2, 10])


# --- how many runs


@pytest.mark.parametrize("correlation", [0.0, 0.7])
def test_the_runs_needed_show_the_difference(correlation):
    """Simulated: a z-test with so many runs notices in 80 of 100 cases."""
    difference, deviation = 0.01, 0.02
    runs = runs_needed(deviation, difference, correlation)
    rng = np.random.default_rng(0)
    shared, own = rng.standard_normal((2, 4000, runs, 2))
    draws = correlation**0.5 * shared[..., :1]
    draws = draws + (1 - correlation) ** 0.5 * own
    gaps = deviation * (draws[..., 0] - draws[..., 1]) + difference
    error = deviation * (2 * (1 - correlation) / runs) ** 0.5
    noticed = (np.abs(gaps.mean(axis=1)) > 1.96 * error).mean()
    assert 0.77 < noticed < 0.85
    fewer = 2 * (1 - correlation) * (2.8 * deviation / difference) ** 2
    assert runs == pytest.approx(fewer, abs=1.5)


@given(st.floats(0, 1), st.floats(0.001, 1), st.floats(-1, 1))
def test_more_runs_for_a_smaller_difference(deviation, difference, rho):
    runs = runs_needed(deviation, difference, rho)
    assert runs >= 2
    assert runs_needed(deviation, difference / 2, rho) >= runs
    assert runs_needed(deviation, difference, 1.0) == 2


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"deviation": -0.1}, "deviation must be at least 0"),
        ({"difference": 0}, "difference must be at least"),
        ({"correlation": 1.5}, "correlation must be at least -1"),
        ({"level": 1}, "level must lie between 0 and 1"),
        ({"power": 0}, "power must lie between 0 and 1"),
        ({"deviation": "a"}, "deviation must be float"),
        ({"difference": math.nan}, "difference must be at least"),
    ],
)
def test_runs_that_cannot_be_counted(changes, message):
    given = {"deviation": 0.01, "difference": 0.01} | changes
    with pytest.raises(ValueError, match=message):
        runs_needed(**given)


# --- drawing


def test_drawn_settings_fill_their_space():
    trials = draw_trials(SPACE, 2000)
    logarithms = np.log([trial["rate"] for trial in trials])
    spread = scipy.stats.uniform(np.log(1e-4), np.log(1e-2) - np.log(1e-4))
    assert scipy.stats.kstest(logarithms, spread.cdf).pvalue > 0.01
    assert set(Counter(t["batch"] for t in trials)) == {16, 32}
    counts = Counter(t["epochs"] for t in trials)
    assert sorted(counts) == [2, 3, 4, 5, 6]
    assert min(counts.values()) > 340
    # Each on its own: the rate says nothing about the batch.
    large = [math.log(t["rate"]) for t in trials if t["batch"] == 32]
    assert np.mean(large) == pytest.approx(logarithms.mean(), abs=0.1)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 9))
def test_a_longer_list_begins_alike(first, second, seed):
    first, second = sorted((first, second))
    longer = draw_trials(SPACE, second, seed)
    assert draw_trials(SPACE, first, seed) == longer[:first]


def test_drawn_settings_are_plain():
    for trial in draw_trials(SPACE, 20):
        assert json.loads(json.dumps(trial)) == trial
        assert float(f"{trial['rate']:.3g}") == trial["rate"]


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space is empty"),
        ({"rate": []}, r"space\['rate'\] must be"),
        ({"rate": "abc"}, r"space\['rate'\] must be"),
        ({"rate": 0.1}, r"space\['rate'\] must be"),
    ],
)
def test_spaces_that_are_refused(space, message):
    with pytest.raises(ValueError, match=message):
        draw_trials(space, 3)


@pytest.mark.unhooked
def test_numbers_that_are_refused():
    with pytest.raises(ValueError, match="number must be at least 1"):
        draw_trials(SPACE, 0)
    for low, high in ((0, 1), (2, 1), (1, 1), (1, math.inf), (math.nan, 1)):
        with pytest.raises(ValueError, match="need 0 < low < high"):
            LogUniform(low, high)


# --- the search

TRIALS = [{"x": 1}, {"x": 3}, {"x": 2}, {"x": 3}]


def parabola(x):
    return float(-((x - 2) ** 2))


def never(**settings):
    raise AssertionError(f"ran {settings} again")


def test_best_first_and_the_earlier_of_equals(capsys):
    found = search(parabola, TRIALS)
    assert [t.settings["x"] for t in found] == [2, 1, 3, 3]
    assert [t.number for t in found] == [2, 0, 1, 3]
    assert all(t.error is None for t in found)
    assert "3/4 {'x': 2}: 0.0000" in capsys.readouterr().out
    search(parabola, TRIALS, progress=False)
    assert capsys.readouterr().out == ""


def test_a_search_goes_on_where_it_stopped(tmp_path):
    calls = []

    def run(x):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(x)
        return parabola(x)

    folder = tmp_path / "new" / "search"
    with pytest.raises(KeyboardInterrupt):
        search(run, TRIALS, folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "trial-000.json",
        "trial-001.json",
    ]

    def rest(x):
        calls.append(x)
        return parabola(x)

    found = search(rest, TRIALS, folder)
    assert calls == [1, 3, 2, 3]
    whole = search(parabola, TRIALS)
    assert [(t.number, t.score) for t in found] == [
        (t.number, t.score) for t in whole
    ]
    assert search(never, TRIALS, folder) == found  # nothing is run
    longer = search(rest, TRIALS + [{"x": 2.5}], folder)
    assert calls[4:] == [2.5] and len(longer) == 5


def test_failed_trials_come_last_and_say_why(tmp_path):
    def run(x):
        if x == 1:
            raise Stopped("loss or gradient of step 3 is not finite")
        if x == 2:
            raise FloatingPointError("no number")
        return math.nan if x == 3 else float(x)

    trials = [{"x": x} for x in (1, 2, 3, -5, 4)]
    found = search(run, trials, tmp_path)
    assert [t.number for t in found] == [4, 3, 0, 1, 2]
    assert [t.score for t in found] == [4.0, -5.0, None, None, None]
    assert [t.error for t in found[2:]] == [
        "loss or gradient of step 3 is not finite",
        "no number",
        "the score is nan",
    ]
    assert search(never, trials, tmp_path) == found


@pytest.mark.unhooked
def test_errors_of_the_program_are_no_failed_trials():
    with pytest.raises(TypeError, match="unexpected keyword"):
        search(parabola, [{"y": 1}])
    with pytest.raises(ZeroDivisionError):
        search(lambda x: 1 / x, [{"x": 0}])


@pytest.mark.unhooked
def test_what_search_refuses(tmp_path):
    with pytest.raises(ValueError, match="trials is empty"):
        search(parabola, [])
    with pytest.raises(TypeError, match="JSON"):
        search(parabola, [{"x": {1, 2}}])
    with pytest.raises(RuntimeError, match=r"every trial failed.* is inf"):
        search(lambda x: math.inf, TRIALS)
    search(parabola, TRIALS, tmp_path)
    with pytest.raises(ValueError, match=r"belongs to \{'x': 1\}, not to"):
        search(parabola, TRIALS[::-1], tmp_path)
    path = tmp_path / "trial-001.json"
    for content in ("{", "[]", '{"number": 1}', "null"):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"trial-001\.json is damaged"):
            search(parabola, TRIALS, tmp_path)


def test_a_trial_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def fails(path, *_):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_text", fails)
    with pytest.raises(OSError, match="no space left"):
        search(parabola, TRIALS, tmp_path)
    assert not list(tmp_path.iterdir())


# --- the best of n

SCORES = st.lists(st.floats(-1, 1), min_size=1, max_size=4)


@given(SCORES)
@example([0.5, 0.5, 0.5])
def test_expected_best_is_the_mean_over_all_draws(scores):
    found = expected_best(scores)
    for budget, value in enumerate(found, start=1):
        draws = list(itertools.product(scores, repeat=budget))
        assert value == pytest.approx(
            np.mean([max(draw) for draw in draws]), abs=1e-9
        )


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=40))
def test_expected_best_rises_from_the_mean_towards_the_best(scores):
    found = expected_best(np.array(scores))
    assert len(found) == len(scores)
    assert found[0] == pytest.approx(np.mean(scores), abs=1e-9)
    assert (np.diff(found) >= -1e-12).all()
    assert found[-1] <= max(scores) + 1e-12
    assert np.allclose(found, expected_best(scores[::-1]))


@pytest.mark.unhooked
@pytest.mark.parametrize("scores", [[], [0.5, math.nan], [math.inf], [[0.5]]])
def test_scores_that_are_refused(scores):
    with pytest.raises(ValueError, match="scores must be a list of finite"):
        expected_best(scores)


# --- calibration


def rows(seed: int, examples: int = 60, labels: int = 4, scale: float = 3.0):
    """Logits, and labels that they know something about."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(examples, labels, generator=generator)
    noise = scale * torch.randn(examples, labels, generator=generator)
    return logits, (logits + noise).argmax(dim=1)


def test_reliability_by_hand():
    sure = torch.tensor([0.95, 0.55, 0.65, 0.85, 0.75])
    table = reliability(
        torch.stack([sure, 1 - sure], dim=1), torch.tensor([0, 0, 1, 0, 1]), 2
    )
    # Sorted: .55 right, .65 wrong, .75 wrong | .85 right, .95 right.
    assert table.confidence == pytest.approx([0.65, 0.9], abs=1e-6)
    assert table.accuracy == pytest.approx([1 / 3, 1])
    assert table.counts.tolist() == [3, 2]
    by_hand = (3 * (0.65 - 1 / 3) + 2 * 0.1) / 5
    assert table.error == pytest.approx(by_hand, abs=1e-6)


@given(st.integers(0, 50), st.integers(1, 60))
def test_bins_share_out_the_examples(seed, bins):
    logits, labels = rows(seed)
    probabilities = logits.softmax(dim=1)
    table = reliability(probabilities, labels, bins)
    assert table.counts.sum() == 60 and np.ptp(table.counts) <= 1
    assert (np.diff(table.confidence) >= -1e-9).all()
    surest, answers = probabilities.max(dim=1)
    right = float((answers == labels).double().mean())
    whole = np.average(table.accuracy, weights=table.counts)
    assert whole == pytest.approx(right)
    assert 0 <= table.error <= 1
    # No bins at all is the least that any bins can show.
    gap = abs(right - float(surest.double().mean()))
    assert table.error >= gap - 1e-6
    assert reliability(probabilities, labels, 1).error == pytest.approx(
        gap, abs=1e-6
    )


def test_a_calibrated_model_has_an_error_that_shrinks_with_the_examples():
    errors = []
    for number in (200, 20_000):
        probabilities = torch.rand(number, 3).softmax(dim=1)
        labels = torch.multinomial(probabilities, 1)[:, 0]
        errors.append(reliability(probabilities, labels).error)
    assert 0.03 < errors[0] < 0.2 and errors[1] < 0.02


@pytest.mark.unhooked
def test_what_reliability_refuses():
    logits, labels = rows(0)
    good = logits.softmax(dim=1)
    for probabilities, target, bins, message in (
        (logits, labels, 10, "add up to 1"),
        (good - 0.1, labels, 10, "add up to 1"),
        (good[0], labels, 10, "of the shape"),
        (good[:0], labels[:0], 10, "of the shape"),
        (good, labels[:-1], 10, "labels must have the shape"),
        (good, labels + 1, 10, "labels must lie in 0 … 3"),
        (good, labels.float(), 10, "labels must be int64"),
        (good * math.nan, labels, 10, "finite"),
        (good, labels, 0, "bins must be at least 1"),
        (good, labels, 61, "bins must be at least 1 and below 61"),
    ):
        with pytest.raises(ValueError, match=message):
            reliability(probabilities, target, bins)


@given(st.integers(0, 200), st.sampled_from([1e-4, 0.1, 1.0, 30.0, 1e4]))
def test_the_temperature_is_scipys(seed, scale):
    logits, labels = rows(seed)
    assume(bool((logits.argmax(dim=1) != labels).any()))
    logits = logits.double() * scale

    def loss(logarithm):
        return float(F.cross_entropy(math.exp(logarithm) * logits, labels))

    best = scipy.optimize.minimize_scalar(
        loss,
        bounds=(-15 - math.log(scale), 10 - math.log(scale)),
        method="bounded",
        options={"xatol": 1e-9},
    )
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(math.exp(-best.x), rel=1e-4)
    # At the minimum the derivative is 0, to the last digits.
    p = (logits / found).softmax(dim=1)
    slope = (p * logits).sum(dim=1) - logits.gather(1, labels[:, None])[:, 0]
    assert abs(float(slope.mean())) < 1e-9 * float(logits.abs().max())


def test_a_temperature_undoes_a_factor():
    logits, labels = rows(3)
    first = fit_temperature(logits, labels)
    assert fit_temperature(logits * 4, labels) == pytest.approx(4 * first)
    shifted = logits + torch.randn(60, 1)
    assert fit_temperature(shifted, labels) == pytest.approx(first, rel=1e-4)
    logarithms = logits.log_softmax(dim=1)
    assert fit_temperature(logarithms, labels) == pytest.approx(first, 1e-4)
    again = fit_temperature(logits.double() / first, labels)
    assert again == pytest.approx(1)


def test_one_wrong_answer_is_enough():
    logits = torch.tensor([[5.0, 0.0]] * 99 + [[9.0, 0.0]])
    labels = torch.tensor([0] * 99 + [1])
    found = fit_temperature(logits, labels)
    assert 0 < found < math.inf


@pytest.mark.unhooked
def test_logits_without_a_best_temperature():
    logits, _ = rows(0)
    with pytest.raises(ValueError, match="no answer is wrong"):
        fit_temperature(logits, logits.argmax(dim=1))
    with pytest.raises(ValueError, match="not above the mean"):
        fit_temperature(logits, logits.argmin(dim=1))
    with pytest.raises(ValueError, match="no answer is wrong"):
        fit_temperature(torch.zeros(3, 2), torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="logits must be finite"):
        fit_temperature(torch.full((3, 2), math.inf), torch.tensor([0, 1, 0]))
    with pytest.raises(ValueError, match="labels must lie in 0 … 1"):
        fit_temperature(torch.zeros(3, 2), torch.tensor([0, 1, 2]))


SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENIZER = BertTokenizer(
    {word: i for i, word in enumerate(SPECIAL + ["good", "bad", "film"])}
)
CONFIG = BertConfig(
    vocab_size=8,
    hidden_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=16,
    initializer_range=0.5,
    num_labels=3,
)


def test_a_scaled_model_needs_nothing_new(tmp_path):
    model = BertForSequenceClassification(CONFIG).eval()
    torch.nn.init.normal_(model.classifier.bias)
    texts = ["good film", "bad", "film film good bad"]
    batch = vars(TOKENIZER.encode_batch(texts))
    with torch.no_grad():
        before = model(**batch).logits
    scale_temperature(model, 2.5)
    found = predict(model, TOKENIZER, texts)
    expected = (before / 2.5).softmax(dim=1)
    for guess, row in zip(found, expected, strict=True):
        assert guess.probabilities == pytest.approx(row.tolist(), abs=1e-6)
        assert guess.label == model.config.labels[int(row.argmax())]
    save_pretrained(model, tmp_path)
    theirs = transformers.BertForSequenceClassification.from_pretrained(
        tmp_path
    ).eval()
    with torch.no_grad():
        torch.testing.assert_close(theirs(**batch).logits, before / 2.5)
    scale_temperature(model, 0.4)
    with torch.no_grad():
        torch.testing.assert_close(model(**batch).logits, before)


@pytest.mark.unhooked
def test_what_cannot_be_scaled():
    model = BertForSequenceClassification(CONFIG)
    for temperature in (0, -1, math.inf, math.nan):
        with pytest.raises(ValueError, match="temperature must be above 0"):
            scale_temperature(model, temperature)
    with pytest.raises(ValueError, match="no linear layer named classifier"):
        scale_temperature(BertModel(CONFIG), 2.0)


# --- the stored runs


def test_every_run_of_the_chapter_on_a_few_examples(tmp_path, capsys):
    """The script behind data/tuning.json, from end to end."""
    made = runpy.run_path(str(DATA / "run_tuning.py"))
    plan = made["Plan"](tmp_path, smoke=True)
    found = made["every_run"](plan, one_by_one=True)
    capsys.readouterr()
    assert (
        made["every_run"](plan, one_by_one=True) == found
    )  # read, not done again
    assert "validation" not in capsys.readouterr().out
    made["store"](plan, found, tmp_path / "out.json")
    stored = json.loads((tmp_path / "out.json").read_text("utf-8"))
    check_stored(stored, trials=2, sizes=(10, 20), seeds=2, sources=2)


def test_stored_runs_fit_the_data():
    stored = json.loads((DATA / "tuning.json").read_text("utf-8"))
    check_stored(
        stored, trials=12, sizes=(50, 150, 500, 1500, 5000), seeds=3, sources=8
    )
    parts = era_sentences()
    for name in ("validation", "test"):
        labels = "".join(str(e.label) for e in getattr(parts, name))
        assert stored["labels"][name] == labels
    assert (DATA / "tuning.json").stat().st_size < 600_000


def check_stored(stored, trials, sizes, seeds, sources):
    """Every number follows from what is stored beside it."""
    truth = {
        name: np.array([int(digit) for digit in row])
        for name, row in stored["labels"].items()
    }
    for system, settings in stored["chosen"].items():
        tried = [t for t in stored["trials"] if t["system"] == system]
        assert len(tried) == trials
        good = [t for t in tried if t["validation"] is not None]
        assert settings == max(good, key=lambda t: t["validation"])["settings"]
    same = [
        [t["settings"] for t in stored["trials"] if t["system"] == system]
        for system in ("scratch", "ours")
    ]
    assert same[0] == same[1]
    counts = Counter((run["part"], run["system"]) for run in stored["runs"])
    curve = len(sizes) * seeds
    assert counts == {
        ("curve", "tfidf"): curve,
        ("curve", "scratch"): curve,
        ("curve", "ours"): curve,
        ("head", "ours"): sources,
        ("loop", "ours"): sources,
        ("sentences", "ours"): sources,
        ("epochs", "ours"): 1,
        ("paper", "ours"): 1 if trials == 2 else 3,
    }
    for run in stored["runs"]:
        if run["part"] == "epochs":
            rows = np.array(run["validation_logits"])
            right = (rows.argmax(axis=2) == truth["validation"]).mean(axis=1)
            assert right == pytest.approx(run["validation"], abs=1e-6)
            continue
        guesses = np.array([int(digit) for digit in run["predictions"]])
        right = (guesses == truth["test"]).mean()
        assert right == pytest.approx(run["test"], abs=1e-6)
        settings = stored["chosen"][run["system"]]
        if run["part"] != "paper":
            assert {name: run[name] for name in settings} == settings
        if "test_logits" in run:
            for name in ("test", "validation"):
                rows = np.array(run[f"{name}_logits"])
                assert rows.shape == (len(truth[name]), 5)
                right = (rows.argmax(axis=1) == truth[name]).mean()
                assert right == pytest.approx(run[name], abs=1e-6)
