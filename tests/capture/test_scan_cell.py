"""DiagonalScan: s_t = d_t s_{t-1} + u_t."""

import torch

import gradscope
from gradscope.capture._scan_cell import DiagonalScan
from tests.conftest import draw

TIME, BATCH, SIZE = 5, 2, 3


def scan():
    cell = DiagonalScan(SIZE).double()
    return cell, draw(TIME, BATCH, 2 * SIZE), draw(TIME, BATCH, SIZE, seed=1)


def test_the_closed_form():
    """s_t = sum over k <= t of d_t ... d_{k+1} u_k."""
    cell, x, _ = scan()
    decay, drive = x.chunk(2, dim=-1)
    states = cell.scan(x, cell.initial_state(BATCH))
    assert not states[0].any()
    for t in range(1, TIME + 1):
        expected = sum(decay[k:t].prod(0) * drive[k - 1] for k in range(1, t + 1))
        torch.testing.assert_close(states[t], expected)


def test_jacobians_and_products_are_diagonal():
    cell, x, _ = scan()
    trace = gradscope.unroll(cell, x)
    decay = x[..., :SIZE]
    torch.testing.assert_close(gradscope.step_jacobians(trace), torch.diag_embed(decay))
    product = gradscope.jacobian_product(trace, TIME, 2).matrix()
    torch.testing.assert_close(product, torch.diag_embed(decay[2:].prod(0)))


def test_the_linearisation_is_autograds():
    cell, x, s_prev = scan()
    s = cell(x, s_prev)
    linear = cell.linearise(x, s_prev, s)
    cotangent, tangent, by_input = draw(*s.shape, seed=2), draw(*s.shape, seed=3), draw(*x.shape)
    (_, pulled) = torch.func.vjp(cell, x, s_prev)
    to_input, to_state = pulled(cotangent)
    by_state, felt = linear.vjp(cotangent)
    torch.testing.assert_close(by_state, to_state)
    torch.testing.assert_close(felt, to_input)
    _, moved = torch.func.jvp(cell, (x, s_prev), (by_input, tangent))
    torch.testing.assert_close(linear.jvp(tangent, by_input), moved)
    zero = torch.zeros_like(x)
    torch.testing.assert_close(
        linear.jvp(tangent), torch.func.jvp(cell, (x, s_prev), (zero, tangent))[1]
    )
    assert linear.by_parameters(cotangent) == {}
    part = linear.at(slice(1, 3))
    torch.testing.assert_close(part.vjp(cotangent[1:3])[0], by_state[1:3])
