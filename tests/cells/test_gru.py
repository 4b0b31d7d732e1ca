"""The GRU in torch's form."""

import torch

from tests.conftest import build, draw


def test_gates_are_what_the_cell_computes():
    """From the recorded gates, the state follows by the equation."""
    x, s = draw(4, 2, 3), draw(4, 2, 4, seed=1)
    gru = build("gru")
    values = {name: gate.activation(gate.preactivation) for name, gate in gru.gates(x, s).items()}
    torch.testing.assert_close(gru(x, s), (1 - values["z"]) * values["n"] + values["z"] * s)


def test_without_recurrent_weights_its_jacobian_is_the_update_gate():
    """With W_hh = 0 and b_hn = 0 nothing of h reaches the gates: J_t = diag(z_t)."""
    cell = build("gru")
    cell.weight_hh.data.zero_()
    x, s = draw(6, 3), draw(6, 4, seed=1)
    z = cell.gates(x, s)["z"].value.detach()
    torch.testing.assert_close(cell.jacobian(x, s, cell(x, s)), torch.diag_embed(z))
