"""LSTM variants: what each leaves out, and peepholes."""

import pytest
import torch

from gradscope.cells.lstm_variant import FORMS
from gradscope.errors import GradscopeError
from tests.cells.conftest import copied
from tests.conftest import build, draw

#: gates that a variant has no weights for
LEFT_OUT = {"nig": "i", "nfg": "f", "nog": "o", "cifg": "f"}


@pytest.mark.parametrize("variant", FORMS)
def test_a_variant_leaves_out_its_gate_and_that_gates_weights(variant):
    cell, whole = build("lstm_variant", variant=variant), build("lstm")
    gates = 4 - len(LEFT_OUT.get(variant, ""))
    assert cell.weight_hh.shape == (gates * 4, 4)
    assert (
        sum(p.numel() for p in cell.parameters()) * 4
        == sum(p.numel() for p in whole.parameters()) * gates
    )
    x, s = draw(5, 3), draw(5, 8, seed=1)
    values = {name: gate.activation(gate.preactivation) for name, gate in cell.gates(x, s).items()}
    i, f, o = (values.get(name, torch.ones(5, 4, dtype=torch.float64)) for name in "ifo")
    if variant == "cifg":
        f = 1 - i
    c = f * s[:, 4:] + i * values["g"]
    h = o * (c if variant == "noaf" else torch.tanh(c))
    torch.testing.assert_close(cell(x, s), torch.cat((h, c), -1))


def test_with_nothing_left_out_it_is_the_lstm():
    variant, plain = build("lstm_variant"), build("lstm")
    x, s = draw(5, 2, 3), draw(5, 2, 8, seed=1)
    assert torch.equal(variant(x, s), plain(x, s))
    assert torch.equal(variant.jacobian(x, s, plain(x, s)), plain.jacobian(x, s, plain(x, s)))


def test_candidate_of_niaf_is_linear():
    cell, x, s = build("lstm_variant", variant="niaf"), draw(5, 3), draw(5, 8, seed=1)
    gate = cell.gates(x, s)["g"]
    assert torch.equal(gate.activation(gate.preactivation), gate.preactivation)


def test_peepholes_see_the_cell_and_vanish_with_their_weights():
    peeping, plain = build("lstm_variant", peepholes=True), build("lstm")
    x, s = draw(5, 3), draw(5, 8, seed=1)
    zero = {
        name: torch.zeros(4, dtype=torch.float64)
        for name in ("peephole_i", "peephole_f", "peephole_o")
    }
    torch.testing.assert_close(copied(peeping, plain, **zero)(x, s), plain(x, s))
    peeping.peephole_o.data += 1.0
    moved = peeping.gates(x, s)["o"].preactivation - plain.gates(x, s)["o"].preactivation
    torch.testing.assert_close(moved, plain(x, s)[:, 4:], msg="the output gate sees the new cell")


@pytest.mark.parametrize("gate", ["i", "f"])
def test_peepholes_of_input_and_forget_gate_see_the_old_cell(gate):
    cell = build("lstm_variant", peepholes=True)
    x, s = draw(5, 3), draw(5, 8, seed=1)
    before = cell.gates(x, s)[gate].preactivation
    getattr(cell, f"peephole_{gate}").data += 2.0
    moved = cell.gates(x, s)[gate].preactivation - before
    torch.testing.assert_close(moved, 2 * s[:, 4:])


def test_only_gates_with_weights_have_peepholes():
    assert build("lstm_variant", variant="nog", peepholes=True).vectors == (
        "peephole_i",
        "peephole_f",
    )
    assert build("lstm_variant").vectors == ()


@pytest.mark.parametrize(
    "options",
    [
        {"chrono": 50, "forget_bias": 1.0},
        {"forget_bias": 1.0, "variant": "nfg"},
        {"chrono": 50, "variant": "nig"},
        {"chrono": 50, "bias": False},
    ],
)
def test_options_that_exclude_each_other(options):
    with pytest.raises(GradscopeError):
        build("lstm_variant", **options)
