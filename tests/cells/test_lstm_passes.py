"""The LSTM's own forward and backward pass, in place, against the general ones of a cell with
affine gates.
"""

from __future__ import annotations

import pytest
import torch

from gradscope.cells import AffineCell
from gradscope.cells.lstm import LEFT_OUT, LSTM
from tests.conftest import build, draw

TIME, BATCH = 23, 3


@pytest.fixture(autouse=True)
def several_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gradscope.cells._affine._STRETCH", 4 * BATCH * 4 * 4)


def _case(variant: str) -> tuple[LSTM, torch.Tensor, torch.Tensor]:
    return build("lstm", variant=variant), draw(TIME, BATCH, 3), draw(BATCH, 8, seed=1)


@pytest.mark.parametrize("variant", LEFT_OUT)
@pytest.mark.parametrize("known", [False, True])
def test_following_is_the_general_way(variant: str, known: bool) -> None:
    cell, x, start = _case(variant)
    hidden = cell.hidden(cell.unroll(x, start).detach())[1:].contiguous() if known else None
    states, linear, departure = cell.followed(x, start, hidden)
    expected, reference, _ = AffineCell.followed(cell, x, start, hidden)
    assert type(linear) is not type(reference)
    torch.testing.assert_close(states, expected, rtol=1e-12, atol=1e-13)
    assert float(departure.max()) < 1e-12
    immediate = draw(*states.shape, seed=2)
    ours, theirs, by_input, by_input_too = (
        immediate.clone(),
        immediate.clone(),
        torch.empty_like(x),
        torch.empty_like(x),
    )
    assert linear.descend(ours, by_input)
    # the base class's recursion, from the diagonal derivatives
    _, d_x = AffineCell.descend(
        cell, *reference.u, expected[:-1], expected[1:], theirs, cell.recurrent_weight().detach()
    )
    torch.matmul(d_x, cell.weight_ih.detach(), out=by_input_too)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(by_input, by_input_too, rtol=1e-10, atol=1e-12)
    # and in two goes, from views
    again, halves = immediate.clone(), torch.empty_like(x)
    for part in (slice(11, TIME), slice(0, 11)):
        linear.at(part).descend(again[part.start : part.stop + 1], halves[part])
    torch.testing.assert_close(again, ours, rtol=1e-12, atol=1e-13)
    for mine, other in zip(linear.vjp(immediate[1:]), reference.vjp(immediate[1:]), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("variant", LEFT_OUT)
def test_a_departure_is_seen_where_it_is(variant: str) -> None:
    cell, x, start = _case(variant)
    hidden = cell.hidden(cell.unroll(x, start).detach())[1:].clone()
    hidden[7, 1, 2] += 0.25
    departure = cell.followed(x, start, hidden)[2]
    assert float(departure[:7].max()) < 1e-12
    assert float(departure[7]) == pytest.approx(0.25, rel=1e-9)
