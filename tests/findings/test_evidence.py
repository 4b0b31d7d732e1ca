"""Evidence: which parameters, stretches and recurrences belong together."""

import pytest
import torch
from torch import nn

from gradscope.capture import Place
from gradscope.dynamics import Adjoints
from tests.findings.conftest import RNN, evidence_of, linear


def test_parameters_belong_to_one_layer_and_direction():
    model = nn.ModuleDict({"rnn": nn.GRU(3, 4, 12, bidirectional=True), "out": nn.Linear(4, 1)})
    names = [name for name, _ in model.named_parameters()]
    places = [Place("rnn", "gru", layer, reverse) for layer in (1, 11) for reverse in (False, True)]
    evidence = evidence_of(
        {place: linear(1.0, 3) for place in places},
        model=model,
        gradients=dict.fromkeys(names, 1.0),
        updates={name: 0.1 for name in names if "weight" in name},
    )
    for place, recurrence in zip(places, evidence.recurrences, strict=True):
        parts = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        expected = [f"rnn.{part}_{place.suffix}" for part in parts]
        assert list(recurrence.gradients) == expected
        assert list(recurrence.updates) == expected[:2]


def test_a_module_of_one_layer_has_all_of_its_parameters():
    model = nn.ModuleDict({"rnn": nn.GRU(3, 4), "out": nn.Linear(4, 1)})
    gradients = {"rnn.weight_hh_l0": 1.0, "out.weight": 2.0}
    evidence = evidence_of({RNN: linear(1.0, 3)}, model=model, gradients=gradients)
    assert list(evidence.recurrences[0].gradients) == ["rnn.weight_hh_l0"]


@pytest.mark.parametrize("where", ["state", "gradient"])
def test_what_is_not_finite_is_left_out(where):
    good, bad = linear(1.0, 3), linear(1.0, 3)
    if where == "state":
        bad.states[2, 0, 0] = float("nan")
    else:
        immediate = torch.zeros_like(bad.states)
        immediate[3, 0, 0] = float("inf")
        bad = bad.with_losses_of(Adjoints(immediate))
    other = Place("other", "rnn")
    evidence = evidence_of({RNN: bad, other: good})
    assert [recurrence.place for recurrence in evidence.recurrences] == [other]
    assert evidence.at(RNN) is None
    assert evidence.at(other) is evidence.recurrences[0]


@pytest.mark.parametrize(
    ("times", "carried", "detached"),
    [
        ([1, 1, 1], [2, 3], True),
        ([2, 2, 1], [2, 3], True),
        ([2, 2, 3], [2, 3], False),  # a stretch of three steps
        ([1, 1], [2], False),  # two stretches alone
        ([1, 1, 1], [3], False),  # one begins anew
    ],
)
def test_a_state_detached_at_every_step_is_told_by_its_stretches(times, carried, detached):
    places = [RNN.in_stretch(index, len(times)) for index in range(len(times))]
    traces = {place: linear(1.0, time) for place, time in zip(places, times, strict=True)}
    evidence = evidence_of(
        {**traces, Place("other", "rnn"): linear(1.0, 1)},
        carried=[place for place in places if place.stretch in carried],
    )
    recurrence = evidence.recurrences[0]
    assert [other.place for other in evidence.stretches(recurrence)] == places
    assert evidence.detached(recurrence) == detached
