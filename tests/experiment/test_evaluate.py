"""Tests of a model: the same sequences each time, weighted means, other lengths."""

import pytest
import torch

from gradscope.experiment import Experiment, evaluate
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.schema import Settings

TEXT = """
task: {name: temporal_order, length: 12}
cell: {name: gru, hidden_size: 4}
dtype: float64
evaluation: {sequences: 260, lengths: [20]}
"""


def prepared(text: str = TEXT) -> tuple[Settings, SequenceModel, evaluate.Tests]:
    settings = Experiment.parse(text).trials[0].settings
    model = build(settings, generator=torch.Generator().manual_seed(0))
    tests = evaluate.Tests(
        model,
        settings.task,
        settings.evaluation,
        lambda task: torch.Generator().manual_seed(1),
        torch.device("cpu"),
        torch.float64,
    )
    return settings, model, tests


def test_the_score_is_the_mean_over_sequences_of_batches_of_any_size():
    """260 sequences come in batches of 250 and of 10, which weigh by their size."""
    settings, model, tests = prepared()
    batches = settings.task.test(260, torch.Generator().manual_seed(1))
    assert [batch.inputs.shape[1] for batch in batches] == [250, 10]
    losses, wrong = [], []
    with torch.no_grad():
        for batch in batches:
            outputs = model(batch)
            losses.append(settings.task.score(outputs, batch.targets).mean(0))
            wrong.append(settings.task.wrong(outputs, batch.targets))
    score = tests.score()
    assert score.loss == pytest.approx(float(torch.cat(losses).mean()), abs=1e-12)
    assert score.wrong_fraction == pytest.approx(float(torch.cat(wrong).double().mean()), abs=1e-12)
    assert 0 < score.wrong_fraction < 1
    assert not score.solved


def test_every_test_is_on_the_same_sequences():
    _, model, tests = prepared()
    first = tests.score()
    assert tests.score() == first
    with torch.no_grad():
        model.weight_hy.mul_(2)
    assert tests.score() != first


def test_other_lengths_are_tested_on_sequences_of_that_length():
    _, _, tests = prepared()
    assert {batch.time for batch in tests.batches[20]} == {20}
    assert tests.score(20).loss != tests.score().loss


def test_solved_is_the_tasks_criterion():
    _, model, tests = prepared("task: {name: parity, length: 2}\ncell: rnn\ndtype: float64")
    cell = model.stack.layers[0]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        # h_1 = tanh(9 x_1), h_2 in the first two units: or, and of both bits
        cell.weight_ih[0, 0], cell.weight_hh[1, 0] = 9.0, 9.0
        cell.weight_ih[1, 0], cell.bias_ih[1] = 9.0, -4.5
        cell.weight_ih[2, 0], cell.weight_hh[2, 0], cell.bias_ih[2] = 9.0, 9.0, -13.5
        # odd: or and not and
        model.weight_hy[1, 1], model.weight_hy[1, 2], model.bias_y[1] = 9.0, -9.0, -9.0
    score = tests.score()
    assert score.wrong_fraction == 0
    assert score.solved
