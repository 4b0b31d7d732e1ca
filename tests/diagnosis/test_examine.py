"""From a recording to a diagnosis: ranked, and each illness said once."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture import Place
from gradscope.diagnosis._examine import _gathered, _unexplained
from gradscope.findings import FINDINGS
from tests.capture.scan_modules import BATCH, TIME, WIDTH, MambaMixer
from tests.diagnosis.conftest import RNN, finding_of


def test_what_another_finding_at_the_same_recurrence_explains_is_left_out():
    assert "transient_growth" in FINDINGS.get("exploding").explains
    other = Place("other", "rnn")
    explosion, growth = finding_of("exploding"), finding_of("transient_growth")
    elsewhere = finding_of("transient_growth", other)
    assert list(_unexplained([growth, explosion, elsewhere])) == [explosion, elsewhere]


def test_a_finding_at_one_stretch_explains_those_of_all():
    stretches = [RNN.in_stretch(index, 3) for index in range(3)]
    explosion = finding_of("exploding", stretches[0])
    growths = [finding_of("transient_growth", place) for place in stretches]
    assert list(_unexplained([explosion, *growths])) == [explosion]


def test_of_several_stretches_the_gravest_is_said():
    findings = [finding_of(where=RNN.in_stretch(index, 3), says=f"{index}") for index in range(3)]
    other = finding_of("exploding", RNN.in_stretch(1, 3), says="explodes")
    first, second = _gathered([findings[0], other, findings[1], findings[2]])
    assert first.says == "0 (and in 2 more of its stretches)"
    assert second.says == "explodes"


def test_places_without_stretches_are_all_said():
    places = [Place("rnn", "gru", layer) for layer in range(2)]
    assert len(_gathered([finding_of(where=place) for place in places])) == 2


def recorded_lstm(time=60, gain=1.0):
    torch.manual_seed(0)
    model = nn.LSTM(6, 32, 2)
    scope = gradscope.attach(model)
    with scope.record():
        model(gain * torch.randn(time, 8, 6))[0][-1].square().sum().backward()
    return scope


def test_the_gravest_and_surest_come_first():
    diagnosis = recorded_lstm(gain=1000.0).diagnose()
    ranks = [finding.severity * finding.confidence for finding in diagnosis.findings]
    assert len(ranks) >= 3
    assert ranks == sorted(ranks, reverse=True)
    assert diagnosis.looked_at == tuple(FINDINGS.names())
    assert diagnosis.cells == {"l0": "LSTM", "l1": "LSTM"}


def test_a_check_that_fails_costs_its_own_findings_only(monkeypatch):
    def fail(self, evidence):
        raise KeyError("gate")

    scope = recorded_lstm(gain=1000.0)
    findings = [f for f in scope.diagnose().findings if f.name != "saturated_units"]
    assert len(findings) < len(scope.diagnose().findings)
    monkeypatch.setattr(FINDINGS.get("saturated_units"), "examine", fail)
    scope = recorded_lstm(gain=1000.0)
    diagnosis = scope.diagnose()
    assert [finding.name for finding in diagnosis.findings] == [f.name for f in findings]
    assert set(diagnosis.failed) == {"saturated_units"}
    assert diagnosis.failed["saturated_units"].startswith("KeyError: 'gate' (")
    assert f"{__file__}:{fail.__code__.co_firstlineno + 1})" in diagnosis.failed["saturated_units"]
    assert "saturated_units" not in diagnosis.looked_at
    (note,) = diagnosis.notes
    assert note.startswith("saturated_units was not looked for: its check failed: KeyError")
    assert "was not looked for" in str(diagnosis)
    assert "was not looked for" in diagnosis._repr_html_()


def test_the_notes_of_a_recording_are_in_its_diagnosis():
    scope = gradscope.attach(nn.RNN(3, 8, 2, nonlinearity="relu"))
    with scope.record(), torch.no_grad():
        scope.model(torch.randn(60, 4, 3))
    diagnosis = scope.diagnose()
    assert diagnosis.notes == tuple(scope.last.notes)
    text = " ".join(str(diagnosis).split())
    assert "no gradient arrived in the recorded block" in text
    assert "a loss sends back" not in text


@pytest.mark.parametrize("gradients", [True, False])
def test_a_diagonal_scan_is_diagnosed_as_anything_else(gradients):
    torch.manual_seed(0)
    scope = gradscope.attach(nn.ModuleDict({"mixer": MambaMixer()}))
    with scope.record():
        output = scope.model["mixer"](torch.randn(BATCH, TIME, WIDTH))
        if gradients:
            output.sum().backward()
    diagnosis = scope.diagnose()
    assert diagnosis.cells == {"mixer": "MatrixScan"}
    assert str(diagnosis)


def test_two_findings_of_one_kind_at_one_place_are_both_said():
    findings = [finding_of(says="one"), finding_of(says="another")]
    assert [finding.says for finding in _gathered(findings)] == ["one", "another"]


class Rollout(nn.Module):
    """An LSTM cell whose state is set to zero where an episode ends, as in recurrent PPO."""

    def __init__(self, done, forget):
        super().__init__()
        self.core, self.done = nn.LSTMCell(6, 32), done
        with torch.no_grad():
            self.core.bias_ih[32:64] = forget

    def forward(self, x):
        state, outputs = None, []
        for step, done in zip(x, self.done, strict=True):
            state = self.core(step, state)
            outputs.append(state[0])
            state = tuple(part * ~done[:, None] for part in state)
        return torch.stack(outputs)


@pytest.mark.parametrize(
    ("every", "forget", "said"),
    [
        (16, 2.5, "Nothing found"),
        (16, -2.0, "vanishes: what the last loss sends back along it has lost"),
        (4, 2.5, "record episodes that are longer"),
    ],
)
def test_the_end_of_an_episode_is_no_vanishing_gradient(every, forget, said):
    torch.manual_seed(0)
    steps = torch.arange(64)[:, None]
    done = (steps + torch.arange(8)) % every == every - 1  # each sequence at steps of its own
    model = Rollout(done, forget)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(64, 8, 6))[-1].square().mean().backward()
    diagnosis = scope.diagnose()
    assert said.casefold() in " ".join(str(diagnosis).split()).casefold()
    assert ("vanishing" in [finding.name for finding in diagnosis.findings]) == (forget < 0)
    [note] = diagnosis.notes
    assert f"was set anew {int(done[:-1].sum())} times (as by a mask" in note
