"""Steps of the optimiser that are too long or too short for the weights."""

import pytest

from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def findings(*changes, gradient=1.0, **options):
    names = [f"rnn.weight_{index}" for index in range(len(changes))]
    model = model_of(names)
    evidence = evidence_of(
        {RNN: linear(1.0, 3)},
        model=model,
        gradients={**dict.fromkeys(names, gradient), "rnn.bias": 1.0},
        updates={**dict(zip(names, changes, strict=True)), "rnn.bias": 1e6},
    )
    return findings_of("update_out_of_scale", evidence, **options)


def model_of(names):
    import torch
    from torch import nn

    inner = nn.Module()
    for name in (*names, "rnn.bias"):
        inner.register_parameter(name.removeprefix("rnn."), nn.Parameter(torch.ones(1)))
    return nn.ModuleDict({"rnn": inner})


@pytest.mark.parametrize(
    ("changes", "word", "remedies"),
    [
        ((1e-3, 0.2, 0.3), "long", ("smaller_lr", "clip")),
        ((1e-7, 1e-8, 1.0), "short", ("larger_lr",)),
    ],
)
def test_the_median_weight_counts(changes, word, remedies):
    (finding,) = findings(*changes)
    assert f"too {word}" in finding.says
    assert finding.evidence["ratio"] == sorted(changes)[1]
    assert finding.remedies == remedies


def test_ordinary_steps():
    assert findings(1e-3, 2e-3, 1.0) == []
    assert findings(1e-3, 2e-3, 1.0, largest=1e-3)
    assert findings(1e-3, 2e-3, 1.0, smallest=1e-2)


def test_a_warm_up_that_begins_at_nothing_is_no_illness():
    assert findings(0.0, 0.0, 0.0) == []


def test_weights_without_a_gradient_do_not_count():
    assert findings(1e-9, 1e-9, 1e-9, gradient=0.0) == []
