"""GRUs whose reset gate acts before the matrix: the original one and the mutations."""

import torch

from tests.cells.conftest import copied
from tests.conftest import build, draw


def test_both_resets_agree_where_the_gate_is_open():
    after, before = build("gru", bias=False), build("gru_original", bias=False)
    copied(before, after)
    for cell in (after, before):
        cell.weight_ih.data[:4], cell.weight_hh.data[:4] = 1e3, 0.0
    x, s = draw(5, 3).abs(), draw(5, 4, seed=1)
    torch.testing.assert_close(after(x, s), before(x, s))


def test_mut2_is_a_gru_whose_gate_writes():
    gru, mut = build("gru_original"), build("mut2")
    copied(mut, gru)
    for parameter in (mut.weight_ih, mut.weight_hh, mut.bias_ih):
        parameter.data[4:8] *= -1
    x, s = draw(5, 3), draw(5, 4, seed=1)
    torch.testing.assert_close(mut(x, s), gru(x, s))


def test_mut1s_update_gate_sees_the_input_alone_and_mut3s_a_squashed_state():
    x, s = draw(5, 3), draw(5, 4, seed=1)
    one, three = build("mut1"), build("mut3")
    assert torch.equal(one.gates(x, s)["z"].preactivation, one.gates(x, 9 * s)["z"].preactivation)
    z = three.gates(x, s)["z"].preactivation - three.gates(x, 0 * s)["z"].preactivation
    torch.testing.assert_close(z, torch.tanh(s) @ three.weight_hh[4:8].T)


def test_the_original_equation():
    cell = build("gru_original")
    x, s = draw(5, 3), draw(5, 4, seed=1)
    u = (x @ cell.weight_ih.T + cell.bias_ih).chunk(3, dim=-1)
    w_r, w_z, w_n = cell.weight_hh.chunk(3)
    r, z = torch.sigmoid(u[0] + s @ w_r.T), torch.sigmoid(u[1] + s @ w_z.T)
    n = torch.tanh(u[2] + (r * s) @ w_n.T)
    torch.testing.assert_close(cell(x, s), z * s + (1 - z) * n)


def test_mut1s_candidate_squashes_its_input():
    cell = build("mut1")
    x, s = draw(5, 3), draw(5, 4, seed=1)
    u_n = (x @ cell.weight_ih.T + cell.bias_ih)[:, 8:]
    r = cell.gates(x, s)["r"].value
    expected = torch.tanh(u_n) + (r * s) @ cell.weight_hh[8:].T
    torch.testing.assert_close(cell.gates(x, s)["n"].preactivation, expected)
