"""What tasks say of themselves, by enumeration, by a plain loop, or by autograd."""

import itertools
import math

import pytest
import torch

from gradscope.dynamics import windows
from gradscope.tasks import TASKS, Task
from tests.tasks._draw import generator, sample

# --- influence balancing --------------------------------------------------------------------------


def influence(task: Task, distance: int) -> float:
    near = distance < task.lag
    return (task.positive if near else task.positive - task.negative) / task.length


def expected_gradient(task: Task, reach: int) -> float:
    """d/dtheta E[mean_t (theta sum_k x_k - y_t)^2] at 0, through the last ``reach`` steps alone.

    By loops over every pair of steps; inputs are independent, of mean 0 and variance 1.
    """
    total = 0.0
    for t in range(task.length):
        for k in range(max(0, t - reach + 1), t + 1):
            total -= 2 * influence(task, t - k) / task.length
    return total


OPTIONS = [{}, {"length": 20, "lag": 5}, {"length": 40}, {"length": 30, "lag": 3, "positive": 0.1}]


@pytest.mark.parametrize("options", OPTIONS)
def test_truncation_to_the_lag_or_less_gets_the_sign_wrong(options):
    task = TASKS.make({"name": "influence_balancing", **options})
    assert expected_gradient(task, task.length) > 0
    assert all(expected_gradient(task, reach) < 0 for reach in range(1, task.lag + 1))


def test_by_the_defaults_the_sign_is_wrong_up_to_18_steps():
    task = TASKS.make("influence_balancing")
    signs = [expected_gradient(task, reach) < 0 for reach in range(1, task.length + 1)]
    assert signs == [reach <= 18 for reach in range(1, task.length + 1)]


def measured_gradient(batch, reach: int) -> float:
    """The truncated gradient of the same model by autograd, the state detached at every window."""
    theta = torch.zeros((), dtype=torch.float64, requires_grad=True)
    inputs, targets = batch.inputs[:, :, 0].double(), batch.targets[:, :, 0].double()
    loss = torch.zeros((), dtype=torch.float64)
    for start, stop, scored in windows(len(inputs), reach, 1):
        state = (theta * inputs[:start].sum(0)).detach()
        for t in range(start, stop):
            state = state + theta * inputs[t]
            if t >= scored:
                loss = loss + (state - targets[t]).square().mean() / len(inputs)
    loss.backward()
    return float(theta.grad)


@pytest.mark.parametrize("reach", [1, 5, 10, 18, 19, 30, 50])
def test_what_a_truncated_training_would_do_is_what_was_expected(reach):
    task, batch = sample("influence_balancing", count=20_000)
    expected = expected_gradient(task, reach)
    # by parts of the batch, for the error of the mean
    parts = torch.tensor(
        [
            measured_gradient(batch._replace(inputs=x, targets=y), reach)
            for x, y in zip(batch.inputs.chunk(20, 1), batch.targets.chunk(20, 1), strict=True)
        ]
    )
    error = float(parts.std()) / math.sqrt(len(parts))
    assert abs(float(parts.mean()) - expected) < 4 * error


def test_inputs_are_of_mean_0_and_variance_1():
    _, batch = sample("influence_balancing", count=4000)
    assert set(batch.inputs.unique().tolist()) == {-1.0, 1.0}
    assert abs(float(batch.inputs.mean())) < 4 / math.sqrt(batch.inputs.numel())


def test_the_example_of_influence_balancing():
    task = TASKS.make({"name": "influence_balancing", "length": 6, "lag": 3})
    inputs = [1, -1, 1, 1, -1, -1]
    targets = [6 * sum(influence(task, t - k) * inputs[k] for k in range(t + 1)) for t in range(6)]
    assert targets == pytest.approx([0.4, 0, 0.4, -0.2, 0.4, -1], abs=1e-12)
    drawn = task._weights().double() @ torch.tensor(inputs).double()
    assert (6 * drawn).tolist() == pytest.approx(targets, abs=1e-6)


# --- chance levels and bounds ---------------------------------------------------------------------


def test_from_the_sum_of_two_numbers_their_product_is_known_to_1_in_540():
    """E Var(u v | u + v) and the least share of misses, over the exact law of (u, v) by a grid."""
    count = 2000
    u = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    total, least_squares, missed = 0.0, 0.0, 0.0
    # of a sum s, u is uniform on [max(0, s - 1), min(1, s)], and s has that interval's length
    for s in 2 * u:
        low, high = max(0.0, float(s) - 1), min(1.0, float(s))
        products = (low + (high - low) * u) * (float(s) - low - (high - low) * u)
        weight = high - low
        total += weight
        least_squares += weight * float(products.var(correction=0))
        ordered = products.sort().values
        inside = torch.searchsorted(ordered, ordered + 0.08, right=True) - torch.arange(count)
        missed += weight * (1 - int(inside.max()) / count)
    assert least_squares / total == pytest.approx(1 / 540, rel=1e-3)
    assert missed / total == pytest.approx((1 - 0.4 * math.sqrt(2)) ** 2, abs=2e-3)
    assert round((1 - 0.4 * math.sqrt(2)) ** 2, 3) == 0.189


def test_a_parity_is_independent_of_any_part_that_lacks_a_bit():
    length = 5
    strings = list(itertools.product((0, 1), repeat=length))
    for part in itertools.chain.from_iterable(
        itertools.combinations(range(length), size) for size in range(length)
    ):
        for seen in itertools.product((0, 1), repeat=len(part)):
            odd = [sum(s) % 2 for s in strings if tuple(s[i] for i in part) == seen]
            assert sum(odd) * 2 == len(odd)


def test_with_its_present_input_a_flip_flop_is_better_than_the_baseline():
    """So the baseline is that of who ignores the inputs; at a pulse the pulse is the answer."""
    task, batch = sample({"name": "flip_flop", "length": 12, "rate": 0.3}, count=4000)
    ignoring = float(task.score(torch.zeros_like(batch.targets), batch.targets).mean())
    present = float(task.score(batch.inputs, batch.targets).mean())
    assert ignoring == pytest.approx(task.baseline, rel=0.02)
    assert present < 0.8 * ignoring
    shares = [1 - 0.7 ** (t + 1) for t in range(12)]
    assert task.baseline == pytest.approx(3 * sum(shares) / 12)


@pytest.mark.parametrize("distractors", ["known", "random"])
def test_the_answer_of_long_lag_is_due_p_minus_1_steps_after_the_first_symbol(distractors):
    _, batch = sample({"name": "long_lag", "length": 9, "distractors": distractors}, count=64)
    assert batch.time == 9
    assert batch.steps.tolist() == [8]
    symbols = batch.inputs[0].unique()
    assert len(symbols) == 2
    assert torch.equal(batch.targets[0], (batch.inputs[0] == symbols[1]).long())
    assert not torch.isin(batch.inputs[1:], symbols).any()


def test_the_example_of_temporal_order():
    """c B f e d A d f c e: B then A, so v0 = 1 and v1 = 0."""
    _, batch = sample({"name": "temporal_order", "length": 10}, count=256)
    wanted = (batch.inputs[1] == 5) & (batch.inputs[5] == 4)
    assert wanted.any()
    assert (batch.targets[0][wanted] == 1 + 2 * 0).all()


@pytest.mark.parametrize(("symbols", "classes"), [(2, 4), (3, 8)])
def test_classes_of_temporal_order_are_equally_likely(symbols, classes):
    task, batch = sample({"name": "temporal_order", "length": 20, "symbols": symbols}, count=8000)
    shares = torch.bincount(batch.targets[0], minlength=classes) / 8000
    assert (shares - 1 / classes).abs().max() < 4 * math.sqrt(1 / classes / 8000)
    assert task.baseline == pytest.approx(math.log(classes))


def test_symbols_of_temporal_order_stand_as_far_from_the_end_as_an_experiment_says():
    """tbptt_length.yaml: 24 to 26 and 12 to 14 steps before the last of 30."""
    _, batch = sample({"name": "temporal_order", "length": 30}, count=2000)
    places = (batch.inputs >= 4).nonzero()[:, 0]
    assert sorted(set((29 - places).tolist())) == [12, 13, 14, 24, 25, 26]


@pytest.mark.parametrize("sentence", ["far", "near"])
def test_long_agreement_counts_what_it_says(sentence):
    from gradscope.tasks.long_agreement import LANGUAGES, NEAR, _fillers

    assert (len(LANGUAGES), len(set(LANGUAGES.values())), len(NEAR)) == (50, 39, 6)
    assert len(set(_fillers())) == 852
    task, batch = sample({"name": "long_agreement", "length": 17, "sentence": sentence}, count=50)
    words = list(task.alphabet)
    for sequence in batch.inputs.T.tolist():
        deciding = LANGUAGES if sentence == "far" else NEAR
        (place,) = [i for i, token in enumerate(sequence) if words[token] in deciding]
        assert len(sequence) - place == (17 if sentence == "far" else 4)


@pytest.mark.parametrize("marker", ["arjovsky", "tcn", "exprnn"])
def test_copying_without_a_memory_is_a_guess_among_eight(marker):
    """The least loss of who knows the time alone: entropy of each step's answers, by counting."""
    task, batch = sample({"name": "copy_memory", "length": 6, "marker": marker}, count=6000)
    entropies = []
    for answers in batch.targets:
        shares = torch.bincount(answers, minlength=9) / len(answers)
        entropies.append(-float((shares * shares.clamp_min(1e-30).log()).sum()))
    assert sum(entropies) / len(entropies) == pytest.approx(task.baseline, rel=0.01)
    marks = (batch.inputs[:, 0] == 9).nonzero().flatten().tolist()
    expected = {"arjovsky": [15], "tcn": list(range(15, 26)), "exprnn": [16]}[marker]
    assert marks == expected


def test_of_the_digits_a_fifth_is_for_testing():
    task = TASKS.make("digits")
    tests = sum(batch.inputs.shape[1] for batch in task.test(10_000, generator()))
    assert tests == 1797 - 1797 * 4 // 5
    train = next(task.stream(1437, generator()))
    shares = torch.bincount(train.targets[0]) / 1437
    assert task.baseline == pytest.approx(-float((shares * shares.log()).sum()), rel=1e-6)
