"""Full gate recurrence: an LSTM, and nine more matrices."""

import torch

from tests.cells.conftest import copied
from tests.conftest import build, draw


def test_full_gate_recurrence_is_an_lstm_plus_nine_matrices():
    full, plain = build("full_gate_lstm"), build("lstm", bias=False)
    copied(full, plain, weight_gates=torch.zeros(12, 12).double(), bias_ih=torch.zeros(16).double())
    x, s = draw(5, 3), draw(5, 20, seed=1)
    torch.testing.assert_close(full(x, s)[:, :8], plain(x, s[:, :8]))
    gates = [
        gate.activation(gate.preactivation)
        for name, gate in full.gates(x, s).items()
        if name != "g"
    ]
    torch.testing.assert_close(full(x, s)[:, 8:], torch.cat(gates, -1))
    full.weight_gates.data[:4, 4:8] = torch.eye(
        4
    ).double()  # the input gate sees the forget gate of the step before
    moved = full.gates(x, s)["i"].preactivation - plain.gates(x, s[:, :8])["i"].preactivation
    torch.testing.assert_close(moved, s[:, 12:16])


def test_the_gates_of_the_step_before_are_part_of_the_state():
    """So they are part of the Jacobian: di_t/df_{t-1} = diag(i') W of that block."""
    cell = build("full_gate_lstm")
    x, s = draw(4, 3), draw(4, 20, seed=1)
    jacobian = cell.jacobian(x, s, cell(x, s))
    i = cell.gates(x, s)["i"].value.detach()
    block = cell.weight_gates.detach()[:4, 4:8]
    torch.testing.assert_close(jacobian[:, 8:12, 12:16], (i * (1 - i)).unsqueeze(-1) * block)
