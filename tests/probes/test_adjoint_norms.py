"""Per-step gradient norms."""

import math
from dataclasses import replace

import pytest
import torch

from gradscope.dynamics import adjoints
from tests.dynamics.conftest import masked_trace
from tests.probes._draw import measured, rows_of, trace_of


def test_they_say_which_truncation_they_are_of():
    columns = measured("adjoint_norms", trace_of(tbptt=(6, 3)))
    kinds = set(zip(columns["tbptt_length"], columns["tbptt_stride"], strict=True))
    assert kinds == {(0, 0), (6, 3)}
    assert set(columns["block"]) == {"state", "h", "c"}
    truncated = {
        row["t"]: row["log_norm"]
        for row in rows_of(columns)
        if row["tbptt_length"] == 6 and row["block"] == "state"
    }
    assert truncated[5] == -math.inf  # the loss at step 20 reaches back to 14 at most
    assert truncated[20] > -math.inf


def test_norms_are_over_units_and_batch_together():
    trace = trace_of()
    values = adjoints(trace).values()
    by_block = {"state": values, "h": values[..., :5], "c": values[..., 5:]}
    for row in rows_of(measured("adjoint_norms", trace)):
        norm = float(by_block[row["block"]][row["t"]].norm())
        assert row["log_norm"] == pytest.approx(math.log(norm) if norm else -math.inf, abs=1e-9)


def test_states_before_a_sequence_begins_do_not_count():
    """Sequences of 7, 4 and 1 steps: at t = 1 only the first has begun."""
    trace = masked_trace("gru")
    final = torch.tensor([7])
    trace = replace(trace, losses=trace.states[-1:].square().sum(-1), loss_steps=final)
    rows = rows_of(measured("adjoint_norms", trace))
    norms = {row["t"]: row["log_norm"] for row in rows if row["block"] == "state"}
    values = adjoints(trace).values()
    assert norms[1] == pytest.approx(math.log(float(values[1, 0].norm())), abs=1e-9)
    assert norms[4] == pytest.approx(math.log(float(values[4, :2].norm())), abs=1e-9)
    assert norms[7] == pytest.approx(math.log(float(values[7].norm())), abs=1e-9)
