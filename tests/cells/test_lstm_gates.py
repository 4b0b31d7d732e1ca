"""The gates of an LSTM, by autograd and by name."""

import pytest
import torch

from gradscope.cells._lstm_gates import factor_of_slope
from gradscope.cells.lstm_variant import FORMS
from tests.conftest import draw


def preactivations(form):
    """u by gate that requires grad, and c_{t-1}."""
    u = form.split(draw(6, 4 * len(form.names)))
    return {n: part.clone().requires_grad_() for n, part in u.items()}, draw(6, 4, seed=1)


@pytest.mark.parametrize("variant", FORMS)
def test_the_equation_of_each_form(variant):
    form = FORMS[variant]
    u, c_prev = preactivations(form)
    gates = form.gates(u, c_prev)
    one = torch.ones(6, 4, dtype=torch.float64)
    i, o = (torch.sigmoid(u[name]) if name in u else one for name in "io")
    f = 1 - i if variant == "cifg" else torch.sigmoid(u["f"]) if "f" in u else one
    g = u["g"] if variant == "niaf" else torch.tanh(u["g"])
    torch.testing.assert_close(gates.c, f * c_prev + i * g)
    torch.testing.assert_close(
        gates.squashed_c, gates.c if variant == "noaf" else torch.tanh(gates.c)
    )
    for ours, expected in ((gates.i, i), (gates.f, f), (gates.g, g), (gates.o, o)):
        torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize("variant", FORMS)
def test_slopes_are_autograds(variant):
    """dc/du of i, f and g, dh/du of o, and dh/dc."""
    form = FORMS[variant]
    u, c_prev = preactivations(form)
    gates = form.gates(u, c_prev)
    by_gate = gates.by_gate(form, {name: part.detach() for name, part in u.items()}, c_prev)
    for name, value in u.items():
        seen = gates.o * gates.squashed_c.detach() if name == "o" else gates.c
        (slow,) = torch.autograd.grad(seen.sum(), value, retain_graph=True)
        torch.testing.assert_close(by_gate[name], slow, rtol=0, atol=1e-12)
    c = gates.c.detach().requires_grad_()
    h = gates.o.detach() * (c if form.linear_output else torch.tanh(c))
    (slow,) = torch.autograd.grad(h.sum(), c)
    torch.testing.assert_close(gates.h_by_c(form), slow, rtol=0, atol=1e-12)


def test_a_coupled_gate_moves_c_by_what_comes_less_what_goes():
    i, g, c_prev, squashed = draw(4, 5, 3).unbind(0)
    plain = factor_of_slope(FORMS["np"], i, g, c_prev, squashed)
    coupled = factor_of_slope(FORMS["cifg"], i, g, c_prev, squashed)
    assert torch.equal(plain["i"], g)
    assert torch.equal(coupled["i"], g - c_prev)
    assert plain["f"] is c_prev
    assert plain["g"] is i
    assert plain["o"] is squashed
