"""Tasks: shapes, determinism, exact generation, baselines by simulation, criteria."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.components import registry
from gradscope.components.options import component
from gradscope.tasks import Task

VARIANTS = {
    "adding halves": {"name": "adding", "length": 20},
    "adding uniform": {"name": "adding", "length": 20, "placement": "uniform"},
    "adding pascanu": {"name": "adding", "length": 20, "placement": "pascanu"},
    "copy arjovsky": {"name": "copy_memory", "length": 15},
    "copy tcn": {"name": "copy_memory", "length": 15, "marker": "tcn"},
    "copy exprnn": {"name": "copy_memory", "length": 15, "marker": "exprnn"},
    "order 2": {"name": "temporal_order", "length": 20},
    "order 3": {"name": "temporal_order", "length": 20, "symbols": 3},
    "order, many lengths": {"name": "temporal_order", "length": 20, "max_length": 40},
    "multiplication": {"name": "multiplication", "length": 20},
    "selective copy": {"name": "selective_copy", "length": 12, "symbols": 3},
    "latch": {"name": "latch", "length": 8},
    "long lag known": {"name": "long_lag", "length": 12},
    "long lag random": {
        "name": "long_lag",
        "length": 12,
        "distractors": "random",
        "alphabet_size": 5,
    },
    "permutation": {"name": "random_permutation", "length": 12, "alphabet_size": 9},
    "parity": {"name": "parity", "length": 9},
    "parity, every step": {"name": "parity", "length": 9, "every_step": True},
    "delayed xor": {"name": "delayed_xor", "length": 6, "extra": 4},
    "flip-flop": {"name": "flip_flop", "length": 15, "channels": 2, "rate": 0.2},
    "influence": {"name": "influence_balancing", "length": 20, "lag": 5},
    "recall": {"name": "associative_recall", "length": 3, "pairs": 3, "keys": 5, "values": 6},
    "digits": {"name": "digits"},
    "digits permuted": {"name": "digits", "permuted": True},
    "characters": {"name": "char_lm", "length": 4, "ngram": 2, "test_tokens": 2000},
    "words": {"name": "word_lm", "length": 3, "ngram": 2, "vocabulary": 60, "test_tokens": 2000},
    "agreement far": {"name": "long_agreement", "length": 12},
    "agreement near": {"name": "long_agreement", "length": 12, "sentence": "near"},
}


def task(spec: object) -> Task:
    return component("task", VARIANTS.get(spec, spec) if isinstance(spec, str) else spec)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_every_task_has_a_variant_here():
    assert {spec["name"] for spec in VARIANTS.values()} == set(registry.names("task"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_contract(variant):
    one = task(variant)
    batch = one.sample(6, generator())
    again, other = one.sample(6, generator()), one.sample(6, generator(1))
    assert all(torch.equal(a, b) for a, b in zip(batch[:3], again[:3], strict=True))
    assert (
        not torch.equal(batch.inputs, other.inputs)
        if batch.inputs.shape == other.inputs.shape
        else True
    )
    assert batch.inputs.shape[1] == 6
    if one.tokens:
        assert batch.inputs.dtype == torch.long
        assert batch.inputs.min() >= 0
        assert batch.inputs.max() < one.input_size
    else:
        assert batch.inputs.shape[2] == one.input_size
    assert batch.steps.max() == batch.time - 1
    outputs = torch.randn(len(batch.steps), 6, one.output_size, generator=generator())
    assert one.score(outputs, batch.targets).shape == (len(batch.steps), 6)
    assert one.wrong(outputs, batch.targets).shape == (6,)
    assert one.criterion
    assert "One example" in type(one).__doc__


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_perfect_answer_scores_zero_and_is_solved(variant):
    one = task(variant)
    batch = one.sample(50, generator())
    if one.loss == "mse":
        outputs = batch.targets.clone()
    else:
        outputs = 100.0 * torch.nn.functional.one_hot(batch.targets, one.output_size)
    loss, wrong = (
        float(one.score(outputs, batch.targets).mean()),
        float(one.wrong(outputs, batch.targets).float().mean()),
    )
    assert loss < 1e-6
    assert wrong == 0
    assert one.solved(loss, wrong)
    assert not one.solved(one.baseline, 1.0)


@pytest.mark.parametrize("variant", VARIANTS)
def test_baseline_is_the_memoryless_loss_by_simulation(variant):
    """The best constant answer (mean, or the frequencies at each scored step) over many sequences."""
    one = task(variant)
    batch = one.sample(160_000 if one.loss == "mse" else 40_000, generator())
    if one.loss == "mse":
        outputs = batch.targets.mean(1, keepdim=True).expand_as(batch.targets)
    else:
        frequencies = (
            torch.nn.functional.one_hot(batch.targets, one.output_size)
            .double()
            .mean(1, keepdim=True)
        )
        outputs = frequencies.log().clamp_min(-1e4).expand(-1, batch.targets.shape[1], -1)
    assert abs(float(one.score(outputs, batch.targets).mean()) / one.baseline - 1) < 0.02


def test_baselines_in_closed_form():
    assert task("adding halves").baseline == pytest.approx(1 / 6)
    assert task("adding pascanu").baseline == pytest.approx(1 / 24)
    assert task("copy tcn").baseline == pytest.approx(10 * math.log(8) / 35)
    assert task("order 2").baseline == pytest.approx(math.log(4))
    assert task("order 3").baseline == pytest.approx(math.log(8))


@given(st.integers(2, 40), st.sampled_from(["uniform", "halves"]), st.integers(0, 1000))
def test_adding_marks_two_numbers_and_asks_for_their_sum(length, placement, seed):
    batch = task({"name": "adding", "length": length, "placement": placement}).sample(
        30, generator(seed)
    )
    values, marks = batch.inputs.unbind(-1)
    assert (marks.sum(0) == 2).all()
    assert (marks[: length // 2].sum(0) == 1).all() or placement == "uniform"
    torch.testing.assert_close(batch.targets[0, :, 0], (values * marks).sum(0))


def test_adding_uniform_marks_every_pair_alike():
    batch = task({"name": "adding", "length": 4, "placement": "uniform"}).sample(
        24_000, generator()
    )
    pairs = torch.stack([column.nonzero().flatten() for column in batch.inputs[..., 1].T])
    counts = torch.bincount(pairs[:, 0] * 4 + pairs[:, 1], minlength=16)
    assert (counts[counts > 0] - 4000).abs().max() < 300
    assert (counts > 0).sum() == 6


@given(st.integers(10, 200), st.integers(0, 1000))
def test_adding_as_pascanu_has_it(length, seed):
    batch = task({"name": "adding", "length": length, "placement": "pascanu"}).sample(
        20, generator(seed)
    )
    time = batch.time
    assert length <= time < max(1.1 * length, length + 1)
    marks, values = batch.inputs.unbind(-1)
    for column in range(20):
        first, second = marks[:, column].nonzero().flatten().tolist()
        assert first < time // 10 <= second < time // 2
    torch.testing.assert_close(batch.targets[0, :, 0], (values * marks).sum(0) / 2)


def test_adding_criteria():
    pascanu, halves = task("adding pascanu"), task("adding halves")
    targets = torch.zeros(1, 3, 1)
    outputs = torch.tensor([0.03, 0.1, 0.21]).view(1, 3, 1)
    assert pascanu.wrong(outputs, targets).tolist() == [False, False, True]
    assert halves.wrong(outputs, targets).tolist() == [False, True, True]
    assert pascanu.solved(0.02, 0.0)
    assert not pascanu.solved(0.0001, 0.0001)
    assert halves.solved(0.0099, 0.5)
    assert not halves.solved(0.0101, 0.0)


@pytest.mark.parametrize(
    ("marker", "where"), [("arjovsky", [24]), ("tcn", list(range(24, 35))), ("exprnn", [25])]
)
def test_copy_memory_lies_as_each_source_has_it(marker, where):
    batch = task({"name": "copy_memory", "length": 15, "marker": marker}).sample(8, generator())
    assert batch.time == 35
    assert ((batch.inputs == 9).nonzero()[:, 0].unique()).tolist() == where
    symbols = batch.inputs[:10]
    assert ((symbols >= 1) & (symbols <= 8)).all()
    assert torch.equal(batch.targets[-10:], symbols)
    assert (batch.targets[:-10] == 0).all()
    assert (batch.inputs[10:24] == 0).all()


@given(st.integers(10, 120), st.sampled_from([2, 3]), st.integers(0, 1000))
def test_temporal_order_positions_and_classes(length, symbols, seed):
    batch = task({"name": "temporal_order", "length": length, "symbols": symbols}).sample(
        20, generator(seed)
    )
    ranges = {2: [(0.1, 0.2), (0.5, 0.6)], 3: [(0.1, 0.2), (0.3, 0.4), (0.6, 0.7)]}[symbols]
    for column in range(20):
        positions = (batch.inputs[:, column] >= 4).nonzero().flatten().tolist()
        assert len(positions) == symbols
        for position, (low, high) in zip(positions, ranges, strict=True):
            assert int(low * length + 1e-9) <= position < max(high * length, int(low * length) + 1)
        values = [int(batch.inputs[p, column]) - 4 for p in positions]
        assert int(batch.targets[0, column]) == sum(v << place for place, v in enumerate(values))


def test_temporal_order_of_many_lengths_uses_them_all():
    one, source = task({"name": "temporal_order", "length": 10, "max_length": 14}), generator()
    assert {one.sample(1, source).time for _ in range(200)} == {10, 11, 12, 13, 14}
    assert one.at_length(30).sample(1, source).time == 30


def test_at_length_checks_it():
    with pytest.raises(ValueError, match="at least 10"):
        task("adding pascanu").at_length(5)
    assert task("adding uniform").at_length(7).placement == "uniform"
