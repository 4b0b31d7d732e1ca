"""What every task promises: shapes, determinism, a baseline by simulation, a criterion."""

from pathlib import Path

import pytest
import torch

from gradscope.errors import ConfigError
from gradscope.tasks import TASKS, Task
from tests.tasks._draw import generator

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


@pytest.fixture(params=VARIANTS)
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS.make(VARIANTS[request.param])


def test_every_task_has_a_variant_here():
    assert {spec["name"] for spec in VARIANTS.values()} == set(TASKS.names())


def test_shapes_fit_what_the_task_says_of_itself(task):
    batch = task.sample(6, generator())
    assert batch.inputs.shape[1] == 6
    if task.tokens:
        assert batch.inputs.dtype == torch.long
        assert batch.inputs.min() >= 0
        assert batch.inputs.max() < task.input_size
    else:
        assert batch.inputs.shape[2] == task.input_size
    assert batch.steps.max() == batch.time - 1
    assert (batch.steps.diff() > 0).all()
    outputs = torch.randn(len(batch.steps), 6, task.output_size, generator=generator())
    assert task.score(outputs, batch.targets).shape == (len(batch.steps), 6)
    assert task.wrong(outputs, batch.targets).shape == (6,)


def test_a_seed_decides_the_sequences(task):
    batch, again = task.sample(6, generator()), task.sample(6, generator())
    assert all(torch.equal(a, b) for a, b in zip(batch[:3], again[:3], strict=True))
    other = task.sample(6, generator(1))
    assert batch.inputs.shape != other.inputs.shape or not torch.equal(batch.inputs, other.inputs)


def test_the_task_describes_itself(task):
    assert task.criterion
    assert "One example" in type(task).__doc__
    assert set(task.measures(1.0)) == set(task.measure_words)
    assert task.alphabet is None or len(task.alphabet) == task.input_size


def test_its_facts_are_about_its_own_options(task):
    options = type(task).model_fields
    assert task.of_tests_alone <= options.keys()
    assert not task.path_option or task.path_option in options
    assert task.within(Path("/nowhere")) == task  # as none of these names a file
    assert hash(task.sizes) == hash(TASKS.make(task).sizes)


def test_a_perfect_answer_scores_zero_and_is_solved(task):
    batch = task.sample(50, generator())
    if task.loss == "mse":
        outputs = batch.targets.clone()
    else:
        outputs = 100.0 * torch.nn.functional.one_hot(batch.targets, task.output_size)
    loss, wrong = (
        float(task.score(outputs, batch.targets).mean()),
        float(task.wrong(outputs, batch.targets).float().mean()),
    )
    assert loss < 1e-6
    assert wrong == 0
    assert task.solved(loss, wrong)
    assert not task.solved(task.baseline, 1.0)


def test_a_wrong_answer_counts_as_wrong(task):
    batch = task.sample(50, generator())
    if task.loss == "mse":
        outputs = batch.targets + 2.0
    else:
        outputs = -100.0 * torch.nn.functional.one_hot(batch.targets, task.output_size)
    assert (task.wrong(outputs, batch.targets) == 1).all()


def test_baseline_is_the_memoryless_loss_by_simulation(task):
    """The best constant answer (mean, or frequencies at each scored step) over many sequences."""
    batch = task.sample(160_000 if task.loss == "mse" else 40_000, generator())
    if task.loss == "mse":
        outputs = batch.targets.mean(1, keepdim=True).expand_as(batch.targets)
    else:
        frequencies = (
            torch.nn.functional.one_hot(batch.targets, task.output_size)
            .double()
            .mean(1, keepdim=True)
        )
        outputs = frequencies.log().clamp_min(-1e4).expand(-1, batch.targets.shape[1], -1)
    assert abs(float(task.score(outputs, batch.targets).mean()) / task.baseline - 1) < 0.02


@pytest.mark.parametrize(
    "spec",
    [
        {"name": "selective_copy", "length": 3, "symbols": 4},
        {"name": "associative_recall", "pairs": 5, "keys": 4},
        {"name": "influence_balancing", "length": 5, "lag": 5},
        {"name": "temporal_order", "length": 20, "max_length": 19},
        {"name": "adding", "length": 9, "placement": "pascanu"},
    ],
    ids=lambda spec: spec["name"],
)
def test_impossible_sizes_are_refused(spec):
    with pytest.raises(ConfigError):
        TASKS.make(spec)
