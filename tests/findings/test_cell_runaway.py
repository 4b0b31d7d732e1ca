"""A cell that fills up."""

import pytest
import torch

from gradscope.dynamics import Trace
from tests.conftest import build, draw
from tests.findings.conftest import RNN, evidence_of, findings_of


def cells(last, halfway, time=8):
    """|c| goes in a straight line from ``halfway`` at T / 2 to ``last`` at T."""
    cell = build("lstm")
    states = torch.zeros(time + 1, 3, 8, dtype=torch.float64)
    slope = (last - halfway) / (time - time // 2)
    steps = torch.arange(time + 1, dtype=torch.float64) - time // 2
    states[..., cell.blocks["c"]] = (halfway + slope * steps)[:, None, None]
    return evidence_of({RNN: Trace(cell, draw(time, 3, 3), states)})


@pytest.mark.parametrize(
    ("last", "halfway", "found"),
    [
        (20.0, 10.0, True),
        (20.0, 19.0, False),  # hardly grows
        (9.0, 4.0, False),  # not large
        (-20.0, -10.0, True),  # its size counts
    ],
)
def test_large_and_growing(last, halfway, found):
    findings = findings_of("cell_runaway", cells(last, halfway))
    assert bool(findings) == found
    if found:
        assert findings[0].evidence == pytest.approx({"median": 20.0, "halfway": 10.0})


def test_the_level_is_an_option():
    assert findings_of("cell_runaway", cells(9.0, 4.0), level=8.0)


def test_only_of_states_with_a_cell():
    trace = Trace(build("gru"), draw(8, 3, 3), 100 * torch.ones(9, 3, 4, dtype=torch.float64))
    assert findings_of("cell_runaway", evidence_of({RNN: trace})) == []
