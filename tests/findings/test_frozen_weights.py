"""Recurrent weights that do not learn."""

import pytest
from torch import nn

from tests.findings.conftest import RNN, evidence_of, findings_of, linear


def frozen(module, *names):
    for name in names:
        module.get_parameter(name).requires_grad_(False)
    model = nn.ModuleDict({"rnn": module})
    return findings_of("frozen_weights", evidence_of({RNN: linear(1.0, 3)}, model=model))


@pytest.mark.parametrize(
    ("names", "count"),
    [(["weight_ih_l0"], 0), (["weight_hh_l0"], 1), (["weight_hh_l0", "bias_hh_l1"], 2)],
)
def test_only_recurrent_weights_count(names, count):
    findings = frozen(nn.GRU(3, 4, 2), *names)
    assert [finding.evidence["frozen"] for finding in findings] == [float(count)] * bool(count)


def test_of_a_users_own_step_every_parameter_is_recurrent():
    (finding,) = frozen(nn.Linear(3, 4), "bias")
    assert finding.where == "rnn"
    assert "1 of 2 recurrent weights do not learn" in finding.says
