"""What a report measures within its time."""

import math
import re

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.probes import PROBES
from gradscope.scope import _budget
from gradscope.scope._budget import Budget


@pytest.fixture
def scope():
    torch.manual_seed(0)
    model = nn.LSTM(3, 8, 2)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(20, 4, 3))[0][-1].square().sum().backward()
    return scope


def test_a_report_without_time_says_what_it_left_out_and_a_later_one_measures_it(scope, tmp_path):
    page = scope.report(tmp_path / "out", seconds=0.0)
    tables = scope.tables()
    assert "lyapunov" not in tables
    assert "gates" in tables  # what forms no Jacobian is always measured
    assert re.search(
        r"lyapunov of l0,.*: about 1 s, more than is left of the 0 s", page.read_text()
    )
    page = scope.report(tmp_path / "out")
    assert set(scope.tables()["lyapunov"]["configuration"]) == {"l0", "l1"}
    assert "more than is left" not in page.read_text()


def test_one_recurrence_may_fit_where_another_does_not(scope, tmp_path, monkeypatch):
    """Only what is missing is measured later."""
    times = iter([0.0, *[1.0] * 1000])
    monkeypatch.setattr(_budget.time, "monotonic", lambda: 0.0)
    recording = scope.last
    budget = Budget(10.0)
    monkeypatch.setattr(_budget, "decomposition_seconds", lambda trace: next(times))
    probe = PROBES.make("lyapunov")
    scope._measurements.measure(recording, [probe], budget)  # the first one takes no time
    assert set(scope.tables()["lyapunov"]["configuration"]) == {"l0"}
    rows = len(scope.tables()["lyapunov"])
    tables = scope.measure("lyapunov")
    assert len(tables["lyapunov"]) == 2 * rows
    assert not scope._measurements.left_out()


def test_cheap_ones_first_and_as_they_are_without_a_limit(scope):
    probes = [PROBES.make(name) for name in ("singular_values", "lyapunov", "gates")]
    traces = list(scope.last.traces.values())
    assert Budget(None).in_order(probes, traces) == probes
    costs = [sum(map(probe.work, traces)) for probe in Budget(60.0).in_order(probes, traces)]
    assert costs == sorted(costs)
    assert costs[0] == 0


@pytest.mark.parametrize("name", [name for name in PROBES.names() if PROBES.get(name).in_report])
def test_what_forms_jacobians_says_what_it_costs(name, scope):
    probe, trace = PROBES.make(name), scope.trace("l0")
    assert (probe.work(trace) > 0) == (probe.cost == "jacobians")
    assert math.isfinite(probe.work(trace))


@pytest.mark.parametrize("seconds", [-1.0, math.nan])
def test_a_budget_is_a_number_of_seconds(seconds):
    with pytest.raises(GradscopeError, match="at least 0, or None"):
        Budget(seconds)


def test_probes_are_chosen_and_progress_is_told(scope, tmp_path, monkeypatch):
    monkeypatch.setattr("gradscope.scope._report.write_recording_report", lambda page, **_: page)
    own, told = set(scope.tables()), []
    scope.report(
        tmp_path,
        probes=["spectra", {"name": "jacobian_norms"}],
        progress=lambda *at: told.append(at),
    )
    assert told == [(0, 2, "spectra"), (1, 2, "jacobian_norms")]
    assert set(scope.tables()) == {*own, "spectra", "jacobian_norms"}
    with pytest.raises(GradscopeError, match="no probe called 'spectre'; did you mean 'spectra'"):
        scope.report(tmp_path, probes=["spectre"])
