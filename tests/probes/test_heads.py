"""The heads of a recurrence with a matrix for a state."""

import math

import pytest
import torch

import gradscope
from gradscope.capture._matrix_cell import MatrixScan
from gradscope.dynamics import Adjoints, MatrixRecurrence, Transitions
from gradscope.probes import PROBES
from tests.probes._draw import measured, rows_of, trace_of

TIME, KEY, VALUE = 40, 3, 4


def trace(*decays, gradient=True):
    """A recurrence of heads that decay by these factors, read once at the end."""
    heads = len(decays)
    decay = torch.tensor(decays, dtype=torch.float64).log().expand(TIME, 1, heads)[..., None]
    generator = torch.Generator().manual_seed(0)
    key, value, query = (
        torch.randn(TIME, 1, heads, size, generator=generator, dtype=torch.float64)
        for size in (KEY, VALUE, KEY)
    )
    recurrence = MatrixRecurrence(Transitions.diagonal_of(decay, KEY), key, value, query)
    cell = MatrixScan.of(recurrence)
    inputs = cell.packed(recurrence)
    recorded = gradscope.unroll(cell, inputs)
    if not gradient:
        return recorded
    by_output = torch.zeros_like(value)
    by_output[-1] = 1
    return recorded.with_losses_of(Adjoints(recurrence.immediate(by_output).flatten(-3)))


def test_the_horizon_of_a_decay_is_known():
    rows = rows_of(measured("heads", trace(0.5, math.exp(-0.1), 1.0)))
    assert [row["head"] for row in rows] == [0, 1, 2]
    assert [row["horizon"] for row in rows[:2]] == pytest.approx([1 / math.log(2), 10.0])
    assert rows[2]["horizon"] == math.inf
    assert [row["censored"] for row in rows] == [False, False, True]
    assert [row["rate"] for row in rows] == pytest.approx([-math.log(2), -0.1, 0.0])
    assert [row["log_norm"] for row in rows] == pytest.approx([-TIME * math.log(2), -0.1 * TIME, 0])
    assert [row["eigenvalue_high"] for row in rows] == pytest.approx([0.5, math.exp(-0.1), 1.0])
    assert [row["open"] for row in rows] == [0.0, 0.0, 1.0]


def test_the_adjoints_of_a_decay_are_known():
    rows = rows_of(measured("heads", trace(0.5, 0.9)))
    expected = [(TIME - 1) * math.log(decay) for decay in (0.5, 0.9)]
    assert [row["adjoint_log_ratio"] for row in rows] == pytest.approx(expected)
    (without,) = rows_of(measured("heads", trace(0.5, gradient=False)))
    assert math.isnan(without["adjoint_log_ratio"])


def test_a_head_that_forgets_at_once_keeps_rank_one():
    fast, slow = rows_of(measured("heads", trace(1e-6, 0.99)))
    assert fast["rank"] == pytest.approx(1, abs=1e-3)
    assert slow["rank"] > 2
    assert (fast["shut"], slow["shut"]) == (1.0, 0.0)
    assert fast["most"] == min(KEY, VALUE)


def test_some_heads_of_many_are_measured():
    probe = {"name": "heads", "heads": 3}
    rows = rows_of(measured(probe, trace(*[0.5] * 9)))
    assert [row["head"] for row in rows] == [0, 4, 8]


def test_columns_are_explained_and_other_cells_have_none():
    columns = measured("heads", trace(0.5))
    for name in columns:
        assert name in (PROBES.get("heads").__doc__ or "")
    assert measured("heads", trace_of("lstm")) == {}
