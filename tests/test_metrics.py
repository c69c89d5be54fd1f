"""Metrics against scikit-learn and scipy, and their promises by simulation."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sklearn_metrics

from bertlib.metrics import (
    Interval,
    PairedDifference,
    bootstrap_interval,
    confusion_matrix,
    mcnemar_p_value,
    paired_difference,
    precision_recall_f1,
    scores,
    seed_spread,
    sign_flip_p_value,
    wilson_interval,
)

pairs_of_labels = st.integers(1, 5).flatmap(
    lambda k: st.tuples(
        st.just(k),
        st.lists(
            st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)),
            min_size=1,
            max_size=40,
        ),
    )
)


def f1_of_counts(rows: np.ndarray) -> float:
    """Micro-F1 of texts with the counts found, called, present."""
    return precision_recall_f1(rows.sum(axis=0))[2]


# --- scores --------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(pairs_of_labels)
def test_scores_equal_those_of_scikit_learn(given_pairs) -> None:
    num_labels, pairs = given_pairs
    targets, predictions = np.array(pairs).T
    ours = scores(targets, predictions, num_labels)
    labels = list(range(num_labels))
    precision, recall, f1, _ = sklearn_metrics.precision_recall_fscore_support(
        targets, predictions, labels=labels, zero_division=0
    )
    assert np.allclose(ours.precision, precision, atol=1e-15)
    assert np.allclose(ours.recall, recall, atol=1e-15)
    assert np.allclose(ours.f1, f1, atol=1e-15)
    assert math.isclose(ours.macro_f1, f1.mean(), abs_tol=1e-15)
    accuracy = sklearn_metrics.accuracy_score(targets, predictions)
    micro = sklearn_metrics.f1_score(
        targets, predictions, labels=labels, average="micro"
    )
    assert math.isclose(ours.accuracy, accuracy)
    assert math.isclose(micro, accuracy)
    assert np.array_equal(
        confusion_matrix(targets, predictions, num_labels),
        sklearn_metrics.confusion_matrix(targets, predictions, labels=labels),
    )


@given(pairs_of_labels)
def test_baselines_are_what_constant_answers_reach(given_pairs) -> None:
    num_labels, pairs = given_pairs
    targets, predictions = np.array(pairs).T
    ours = scores(targets, predictions, num_labels)
    constant = [
        scores(targets, np.full_like(targets, k), num_labels)
        for k in range(num_labels)
    ]
    assert ours.majority == max(c.accuracy for c in constant)
    assert np.allclose(
        ours.mark_all, [c.f1[k] for k, c in enumerate(constant)]
    )


def test_the_two_mail_filters_of_the_chapter() -> None:
    targets = np.repeat([0, 1], [95, 5])
    marks_none = scores(targets, np.zeros_like(targets), 2)
    predictions = np.repeat([0, 1, 0, 1], [91, 4, 1, 4])
    marks_eight = scores(targets, predictions, 2)
    assert marks_none.accuracy == marks_eight.accuracy == 0.95
    assert marks_none.majority == 0.95
    assert marks_none.f1[1] == marks_none.precision[1] == 0
    assert math.isclose(marks_eight.f1[1], 8 / 13)
    assert marks_none.f1[0] > marks_eight.f1[0]  # the classes swapped


def test_class_that_is_absent_and_never_called_has_zero() -> None:
    with np.errstate(all="raise"):
        result = scores(np.array([0, 0]), np.array([0, 0]), 3)
    assert result.f1.tolist() == [1, 0, 0]
    assert math.isclose(result.macro_f1, 1 / 3)
    assert result.mark_all[1] == 0


def test_guessing_by_the_shares_reaches_one_over_k() -> None:
    rng = np.random.default_rng(0)
    targets, guesses = rng.choice(3, (2, 200_000), p=(0.7, 0.2, 0.1))
    assert abs(scores(targets, guesses, 3).macro_f1 - 1 / 3) < 0.005


@given(
    st.lists(
        st.tuples(*[st.integers(0, 9)] * 3).map(
            lambda c: (c[0], c[0] + c[1], c[0] + c[2])
        ),
        min_size=1,
        max_size=6,
    )
)
def test_harmonic_mean_of_precision_and_recall(rows) -> None:
    counts = np.array(rows)
    precision, recall, f1 = precision_recall_f1(counts).T
    for p, r, f, (found, _, _) in zip(
        precision, recall, f1, rows, strict=True
    ):
        assert f == 0 if not found else math.isclose(f, 2 / (1 / p + 1 / r))
    stacked = precision_recall_f1(np.stack([counts, counts]))
    assert np.array_equal(stacked[1].T, [precision, recall, f1])
    # F1 of the means is never below the mean of the F1s.
    p, r = precision.mean(), recall.mean()
    of_means = 2 * p * r / (p + r) if p + r else 0
    assert of_means >= f1.mean() - 1e-12


# --- intervals -------------------------------------------------------------


@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.99])
@pytest.mark.parametrize(
    ("right", "total"), [(0, 1), (1, 1), (0, 7), (3, 7), (20, 20), (250, 300)]
)
def test_wilson_equals_scipy(right: int, total: int, level: float) -> None:
    ours = wilson_interval(right, total, level)
    theirs = stats.binomtest(right, total).proportion_ci(level, "wilson")
    assert math.isclose(ours.low, theirs.low, abs_tol=1e-9)
    assert math.isclose(ours.high, theirs.high, abs_tol=1e-9)
    assert ours.estimate == right / total


def test_wilson_takes_numpy_counts() -> None:
    answers = np.array([True, True, False])
    expected = wilson_interval(2, 3)
    assert wilson_interval(answers.sum(), np.int64(3)) == expected
    assert str(expected) == "0.667 [0.208, 0.939]"


def test_bootstrap_of_three_answers_by_listing_all_resamples() -> None:
    values = np.array([1.0, 1.0, 0.0])
    means = [
        values[list(i)].mean() for i in itertools.product(range(3), repeat=3)
    ]
    interval = bootstrap_interval(values, resamples=20_000, level=0.7)
    # 1/27 lie at 0, 6/27 at 1/3, 12/27 at 2/3, 8/27 at 1.
    assert (interval.low, interval.high) == (
        pytest.approx(np.quantile(means, 0.15)),
        pytest.approx(np.quantile(means, 0.85)),
    )


@pytest.mark.parametrize("statistic", [np.mean, np.median])
def test_bootstrap_agrees_with_scipy(statistic) -> None:
    values = np.random.default_rng(3).gamma(2, size=80)
    ours = bootstrap_interval(values, statistic, level=0.9, resamples=10_000)
    theirs = stats.bootstrap(
        (values,),
        statistic,
        confidence_level=0.9,
        n_resamples=10_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert abs(ours.low - theirs.low) < 0.05 * width
    assert abs(ours.high - theirs.high) < 0.05 * width


def test_bootstrap_of_an_accuracy_has_the_binomial_width() -> None:
    values = np.repeat([1, 0], [420, 180])
    interval = bootstrap_interval(values, resamples=10_000)
    half = 1.96 * (0.7 * 0.3 / 600) ** 0.5
    assert abs(interval.high - interval.low - 2 * half) < 0.1 * half
    assert interval.estimate == 0.7


def test_bootstrap_draws_rows_as_a_whole() -> None:
    """Where predictions are right, F1 is 1 in every resample with a 1."""
    labels = np.tile([0, 1], 50)
    rows = np.stack([labels, labels], axis=1)

    def f1(rows: np.ndarray) -> float:
        return scores(rows[:, 0], rows[:, 1], 2).f1[1]

    assert bootstrap_interval(rows, f1, resamples=200) == Interval(
        1.0, 1.0, 1.0
    )


def test_bootstrap_of_a_difference_of_f1() -> None:
    """The statistic may compare two systems on rows that hold both."""
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 4, (120, 1))
    better, worse = rng.binomial(counts, 0.9), rng.binomial(counts, 0.5)
    rows = np.stack(
        [
            np.concatenate([better, counts, counts], axis=1),
            np.concatenate([worse, counts, counts], axis=1),
        ],
        axis=1,
    )
    interval = bootstrap_interval(
        rows, lambda r: f1_of_counts(r[:, 0]) - f1_of_counts(r[:, 1])
    )
    direct = (better.sum() - worse.sum()) / counts.sum()
    assert math.isclose(interval.estimate, direct)
    spread = (0.25 + 0.09) ** 0.5 / counts.sum() ** 0.5
    assert abs(interval.high - interval.low - 2 * 1.96 * spread) < 0.3 * spread


def test_bootstrap_is_repeatable_and_takes_a_generator() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    rng = np.random.default_rng(0)
    assert bootstrap_interval(values, rng=rng) == bootstrap_interval(values)
    assert bootstrap_interval(values, rng=rng) != bootstrap_interval(values)


def coverage(draw, truth: float, rounds: int, **options) -> float:
    """How often the interval holds the truth."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(rounds):
        interval = bootstrap_interval(
            draw(rng), resamples=200, rng=rng, **options
        )
        held += interval.low <= truth <= interval.high
    return held / rounds


def test_coverage_is_near_the_level() -> None:
    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.random(200) < 0.7

    # 400 rounds: a standard error of 1.1 points.
    assert abs(coverage(draw, 0.7, 400) - 0.95) < 0.04
    assert abs(coverage(draw, 0.7, 400, level=0.8) - 0.8) < 0.07


def test_groups_restore_the_coverage() -> None:
    groups = np.repeat(np.arange(30), 10)

    def draw(rng: np.random.Generator) -> np.ndarray:
        return (rng.random((30, 10)) < rng.beta(2, 1, (30, 1))).ravel()

    assert coverage(draw, 2 / 3, 300) < 0.8
    assert coverage(draw, 2 / 3, 300, groups=groups) > 0.88


def test_groups_of_one_change_nothing_but_the_draws() -> None:
    values = np.random.default_rng(0).random(100)
    names = np.array([f"document {i}" for i in range(100)])
    alone = bootstrap_interval(values, resamples=5000)
    grouped = bootstrap_interval(values, resamples=5000, groups=names)
    assert abs(alone.low - grouped.low) < 0.005
    assert abs(alone.high - grouped.high) < 0.005


def test_group_members_stay_together() -> None:
    groups = np.array(["b", "a", "b", "a", "b"])
    seen = set()

    def note(rows: np.ndarray) -> float:
        seen.add(tuple(sorted(rows.tolist())))
        return 0.0

    bootstrap_interval(np.arange(5), note, resamples=50, groups=groups)
    seen.discard(tuple(range(5)))
    assert seen == {(1, 1, 3, 3), (0, 0, 2, 2, 4, 4)}


# --- paired comparison -----------------------------------------------------


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5))
def test_mcnemar_is_the_binomial_test(
    wins: int, losses: int, ties: int
) -> None:
    first = np.repeat([1, 0, 1], [wins, losses, ties + 1])
    second = np.repeat([0, 1, 1], [wins, losses, ties + 1])
    ours = mcnemar_p_value(first, second)
    total = wins + losses
    theirs = stats.binomtest(wins, total).pvalue if total else 1.0
    assert math.isclose(ours, theirs, rel_tol=1e-9)
    assert ours == mcnemar_p_value(second.astype(bool), first.astype(bool))


def test_mcnemar_of_many_examples() -> None:
    first = np.repeat([1, 0], [5200, 4800])
    theirs = stats.binomtest(4800, 10_000).pvalue
    assert math.isclose(
        mcnemar_p_value(first, 1 - first), theirs, rel_tol=1e-9
    )
    certain = np.ones(5000, dtype=int)
    assert 0 <= mcnemar_p_value(certain, 0 * certain) < 1e-300


def all_flips(differences: np.ndarray) -> float:
    """The sign-flip test by listing every combination of signs."""
    signs = itertools.product((-1, 1), repeat=len(differences))
    sums = np.abs(np.array(list(signs)) @ differences)
    return float((sums >= abs(differences.sum()) - 1e-9).mean())


@pytest.mark.parametrize("seed", range(4))
def test_sign_flips_agree_with_listing_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differences = rng.integers(-3, 4, 11) / 3 + rng.choice([0, 0.2])
    ours = sign_flip_p_value(differences, resamples=40_000)
    assert abs(ours - all_flips(differences)) < 0.01
    theirs = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf
    )
    assert abs(ours - theirs.pvalue) < 0.01


def test_sign_flips_of_right_and_wrong_are_mcnemar() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random(200) < 0.75, rng.random(200) < 0.65
    exact = mcnemar_p_value(first, second)
    flips = sign_flip_p_value(first.astype(int) - second, resamples=40_000)
    assert abs(exact - flips) < 0.006


def test_sign_flips_ignore_ties_by_rounding() -> None:
    """0.1 + 0.2 + 0.3 and its reverse differ in the last bit."""
    differences = np.array([0.1, 0.2, 0.3] * 7)
    assert (
        abs(sign_flip_p_value(-differences) - sign_flip_p_value(differences))
        < 0.002
    )
    assert sign_flip_p_value(np.array([0.1, 0.2, 0.3])) == pytest.approx(
        0.25, abs=0.02
    )


def test_sign_flips_of_groups_flip_together() -> None:
    differences = np.repeat(np.random.default_rng(0).normal(0.5, 1, 8), 20)
    groups = np.repeat(np.arange(8), 20)
    expected = all_flips(differences[::20])
    grouped = sign_flip_p_value(differences, 20_000, groups)
    assert abs(grouped - expected) < 0.01
    assert sign_flip_p_value(differences, 20_000) < expected / 2


def test_no_difference_at_all() -> None:
    same = np.repeat([1, 0], [30, 20])
    assert paired_difference(same, same) == PairedDifference(
        0.0, 0.0, 0.0, 1.0
    )
    assert mcnemar_p_value(same, same) == 1


def test_p_value_is_never_zero() -> None:
    assert sign_flip_p_value(np.ones(500), resamples=99) == 0.01


def test_paired_difference_has_a_sign_and_an_interval() -> None:
    rng = np.random.default_rng(0)
    second = rng.random(400)
    first = np.clip(second + rng.normal(0.05, 0.1, 400), 0, 1)
    result = paired_difference(first, second)
    assert math.isclose(result.difference, (first - second).mean())
    assert 0 < result.low < result.difference < result.high < 0.1
    assert result.p_value < 0.001
    back = paired_difference(second, first)
    assert math.isclose(back.difference, -result.difference)
    assert str(back).startswith("-0.0")
    half = 1.96 * (first - second).std() / 20
    assert abs(result.high - result.low - 2 * half) < 0.1 * half


def test_false_positives_are_as_many_as_promised() -> None:
    rng = np.random.default_rng(0)
    called = np.zeros(2)
    for _ in range(600):
        easy = rng.beta(1, 0.5, 150)
        first, second = rng.random((2, 150)) < easy
        d = first.astype(float) - second
        called += (
            sign_flip_p_value(d, resamples=400, rng=rng) < 0.05,
            mcnemar_p_value(first, second) < 0.05,
        )
    assert (called / 600 < 0.07).all() and (called / 600 > 0.015).all()


# --- several seeds ---------------------------------------------------------


def simulated(rng, seeds: int, examples: int) -> np.ndarray:
    """Scores with deviations 0.05 by run, 0.3 by example, 0.4 by both."""
    return (
        0.7
        + 0.05 * rng.standard_normal((seeds, 1))
        + 0.3 * rng.standard_normal(examples)
        + 0.4 * rng.standard_normal((seeds, examples))
    )


def test_seed_spread_finds_what_was_put_in() -> None:
    rng = np.random.default_rng(0)
    spreads = [seed_spread(simulated(rng, 20, 100)) for _ in range(400)]
    error = (0.05**2 / 20 + 0.3**2 / 100 + 0.4**2 / 2000) ** 0.5
    means = np.array([s.mean for s in spreads])
    assert abs(means.std() / error - 1) < 0.1

    def root_mean(name: str) -> float:
        return np.mean([getattr(s, name) ** 2 for s in spreads]) ** 0.5

    assert abs(root_mean("error") / error - 1) < 0.05
    assert abs(root_mean("seed_deviation") / 0.05 - 1) < 0.1
    assert (
        abs(root_mean("deviation") / (0.05**2 + 0.4**2 / 100) ** 0.5 - 1)
        < 0.05
    )
    kept_runs = (0.3**2 / 100 + 0.4**2 / 2000) ** 0.5
    assert abs(root_mean("example_error") / kept_runs - 1) < 0.05
    held = [abs(s.mean - 0.7) < 1.96 * s.error for s in spreads]
    assert abs(np.mean(held) - 0.95) < 0.03


def test_seed_spread_of_differences_cancels_the_examples() -> None:
    rng = np.random.default_rng(0)
    easy = 0.5 * rng.standard_normal(200)
    first, second = 0.1 * rng.standard_normal((2, 10, 200)) + easy
    assert seed_spread(first).error > 0.03
    difference = seed_spread(first - second)
    assert difference.error < 0.01 and abs(difference.mean) < 0.01


def test_seed_spread_takes_right_and_wrong() -> None:
    right = np.random.default_rng(0).random((5, 40)) < 0.8
    spread = seed_spread(right)
    assert math.isclose(spread.mean, right.mean())
    assert math.isclose(spread.deviation, right.mean(axis=1).std(ddof=1))
    assert str(spread).startswith(f"{right.mean():.3f} ± 0.")


def test_seed_spread_without_any_rest() -> None:
    """Runs that agree everywhere: only the examples are left."""
    answers = np.tile(np.repeat([1, 0], [30, 10]), (3, 1))
    spread = seed_spread(answers)
    assert spread.deviation == spread.seed_deviation == 0
    expected = (0.75 * 0.25 * 40 / 39 / 40) ** 0.5
    assert math.isclose(spread.error, expected, rel_tol=1e-9)


def test_seed_spread_never_takes_the_root_of_a_negative_number() -> None:
    spread = seed_spread(np.array([[1, 0], [0, 1]]))
    assert spread.seed_deviation == 0 and spread.error == 0.5


# --- bad input -------------------------------------------------------------

ONE_TWO = np.array([1, 2])


@pytest.mark.unhooked
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: scores(np.array([0, 2]), np.array([0, 1]), 2), "targets"),
        (
            lambda: scores(np.array([0, 1]), np.array([0, -1]), 2),
            "predictions",
        ),
        (lambda: scores(np.array([0, -100]), np.array([0, 1]), 2), "0 … 1"),
        (lambda: scores(np.array([0, 1]), np.array([0]), 2), "shapes"),
        (lambda: scores(np.array([], int), np.array([], int), 2), "shapes"),
        (
            lambda: scores(np.zeros((2, 2), int), np.zeros((2, 2), int), 2),
            "shapes",
        ),
        (lambda: precision_recall_f1(np.array([3, 2, 4])), "more found"),
        (lambda: precision_recall_f1(np.array([-1, 2, 4])), "more found"),
        (lambda: precision_recall_f1(np.array([1, 2])), "last dimension"),
        (lambda: precision_recall_f1(np.array(3)), "last dimension"),
        (lambda: wilson_interval(3, 2), "right"),
        (lambda: wilson_interval(-1, 2), "right"),
        (lambda: wilson_interval(0, 0), "total"),
        (lambda: wilson_interval(0.85, 300), "count"),
        (lambda: wilson_interval(1, 2, level=95), "level"),
        (lambda: bootstrap_interval(ONE_TWO, level=1.0), "level"),
        (lambda: bootstrap_interval(ONE_TWO, resamples=0), "resamples"),
        (lambda: bootstrap_interval(np.array([1.0])), "two or more"),
        (lambda: bootstrap_interval(np.array([])), "two or more"),
        (lambda: bootstrap_interval(np.array([1, np.nan])), "not finite"),
        (
            lambda: bootstrap_interval(ONE_TWO, lambda x: math.inf),
            "not finite",
        ),
        (lambda: bootstrap_interval(ONE_TWO, groups=np.array([1])), "groups"),
        (
            lambda: bootstrap_interval(ONE_TWO, groups=np.array([7, 7])),
            "groups",
        ),
        (lambda: mcnemar_p_value(ONE_TWO, np.array([0, 1])), "first"),
        (lambda: mcnemar_p_value(np.array([0.5]), np.array([1])), "first"),
        (lambda: mcnemar_p_value(np.array([1]), np.array([1, 0])), "shapes"),
        (lambda: sign_flip_p_value(np.array([])), "differences"),
        (lambda: sign_flip_p_value(np.array([np.nan])), "differences"),
        (lambda: sign_flip_p_value(ONE_TWO, resamples=0), "resamples"),
        (lambda: sign_flip_p_value(ONE_TWO, groups=np.array([1])), "groups"),
        (lambda: paired_difference(ONE_TWO, np.array([1])), "shapes"),
        (lambda: paired_difference(np.array([]), np.array([])), "shapes"),
        (lambda: paired_difference(ONE_TWO, np.array([1, np.inf])), "finite"),
        (lambda: paired_difference(ONE_TWO, ONE_TWO, level=0), "level"),
        (lambda: seed_spread(np.ones((1, 5))), "two or more"),
        (lambda: seed_spread(np.ones((5, 1))), "two or more"),
        (lambda: seed_spread(np.ones(5)), "two or more"),
        (lambda: seed_spread(np.full((2, 2), np.nan)), "finite"),
    ],
)
def test_bad_input_is_named(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.unhooked
def test_labels_must_be_integers() -> None:
    with pytest.raises(TypeError, match="targets must be integers"):
        scores(np.array([0.0, 1.0]), np.array([0, 1]), 2)
