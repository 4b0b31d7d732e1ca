"""What each cell is named for: the defining property that its source gives it."""

import math

import pytest
import torch

from gradscope import GradscopeError, jacobian_product, unroll
from gradscope.cells.lstm import LEFT_OUT
from gradscope.components import registry
from tests.conftest import build, draw


def copied(target, source, **blocks):
    """Give target the source's parameters of the same name."""
    known = dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        parameter.data = blocks.get(
            name, known[name].detach().clone() if name in known else parameter.data
        )
    return target


# --- LSTM -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variant", LEFT_OUT)
def test_a_variant_leaves_out_its_gate_and_that_gates_weights(variant):
    cell, whole = build("lstm", variant=variant), build("lstm")
    gates = 4 - len(LEFT_OUT[variant])
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


def test_candidate_of_niaf_is_linear():
    cell, x, s = build("lstm", variant="niaf"), draw(5, 3), draw(5, 8, seed=1)
    gate = cell.gates(x, s)["g"]
    assert torch.equal(gate.activation(gate.preactivation), gate.preactivation)


def test_peepholes_see_the_cell_and_vanish_with_their_weights():
    peeping, plain = build("lstm", peepholes=True), build("lstm")
    x, s = draw(5, 3), draw(5, 8, seed=1)
    zero = {
        name: torch.zeros(4, dtype=torch.float64)
        for name in ("peephole_i", "peephole_f", "peephole_o")
    }
    torch.testing.assert_close(copied(peeping, plain, **zero)(x, s), plain(x, s))
    peeping.peephole_o.data += 1.0
    moved = peeping.gates(x, s)["o"].preactivation - plain.gates(x, s)["o"].preactivation
    torch.testing.assert_close(moved, plain(x, s)[:, 4:], msg="the output gate sees the new cell")


def test_chrono_draws_time_scales_evenly():
    """b_f = ln U(1, T - 1), so that a gate's time constant is spread evenly over 1..T-1; b_i =
    -b_f.
    """
    cell = registry.get("cell", "lstm")(
        3, hidden_size=4000, chrono=100, generator=torch.Generator().manual_seed(0)
    )
    size = 4000
    total = (cell.bias_ih + cell.bias_hh).detach().double()
    times = total[size : 2 * size].exp()
    assert times.min() >= 1
    assert times.max() <= 99
    assert float(times.mean()) == pytest.approx(50, abs=2)
    torch.testing.assert_close(total[:size], -total[size : 2 * size])


def test_options_that_exclude_each_other():
    for options in (
        {"chrono": 50, "forget_bias": 1.0},
        {"forget_bias": 1.0, "variant": "nfg"},
        {"chrono": 50, "variant": "nig"},
        {"chrono": 50, "bias": False},
    ):
        with pytest.raises(GradscopeError):
            build("lstm", **options)


def test_layer_normalisation_does_not_see_the_size_of_the_recurrent_weights():
    cell = build("layer_norm_lstm")
    x, s = draw(5, 3), draw(5, 8, seed=1)
    before = cell(x, s)
    cell.weight_hh.data *= 7.0
    torch.testing.assert_close(cell(x, s), before, rtol=0, atol=1e-4)


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


def test_projection_is_torchs():
    cell = build("projected_lstm", 3, 6, projection_size=2)
    theirs = torch.nn.LSTM(3, 6, proj_size=2).double()
    theirs.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x = draw(7, 4, 3)
    states = cell.unroll(x, cell.initial_state(4))
    torch.testing.assert_close(cell.hidden(states[1:]), theirs(x)[0])
    assert cell.state_size == 8
    trace = unroll(cell, x)
    slow = torch.autograd.functional.jacobian(
        lambda s: cell.unroll(x[:, :1], s[None])[-1, 0], states[0, 0]
    )
    torch.testing.assert_close(jacobian_product(trace, 7, 0).matrix()[0], slow)


# --- GRU ------------------------------------------------------------------------------------------


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


def test_mgu_is_a_gru_with_one_gate():
    mgu, gru = build("mgu"), build("gru_original")
    for name in ("weight_ih", "weight_hh", "bias_ih"):
        f, n = getattr(mgu, name).detach().chunk(2)
        getattr(gru, name).data = torch.cat((f, -f, n))
    x, s = draw(5, 3), draw(5, 4, seed=1)
    torch.testing.assert_close(gru(x, s), mgu(x, s))


def test_mut1s_update_gate_sees_the_input_alone_and_mut3s_a_squashed_state():
    x, s = draw(5, 3), draw(5, 4, seed=1)
    one, three = build("mut1"), build("mut3")
    assert torch.equal(one.gates(x, s)["z"].preactivation, one.gates(x, 9 * s)["z"].preactivation)
    z = three.gates(x, s)["z"].preactivation - three.gates(x, 0 * s)["z"].preactivation
    torch.testing.assert_close(z, torch.tanh(s) @ three.weight_hh[4:8].T)


def test_minimal_gated_cells_remember_by_their_gates_alone():
    """minGRU and minLSTM: ds_t/ds_k is the product of what the gates keep."""
    for name in ("mingru", "minlstm"):
        cell = build(name)
        trace = unroll(cell, draw(12, 2, 3))
        gates = {
            k: g.activation(g.preactivation)
            for k, g in cell.gates(trace.inputs, trace.states[:-1]).items()
        }
        keep = 1 - gates["z"] if name == "mingru" else gates["f"] / (gates["f"] + gates["i"])
        expected = torch.diag_embed(keep[2:].prod(0))
        torch.testing.assert_close(jacobian_product(trace, 12, 2).matrix(), expected)


def test_janet_keeps_what_its_forget_gate_lets_it():
    cell = build("janet", beta=0.0)
    cell.weight_hh.data.zero_()
    trace = unroll(cell, draw(8, 2, 3))
    f = torch.sigmoid(cell.gates(trace.inputs, trace.states[:-1])["f"].preactivation)
    torch.testing.assert_close(jacobian_product(trace, 8, 0).matrix(), torch.diag_embed(f.prod(0)))
    value = cell.gates(trace.inputs, trace.states[:-1])["g"]
    torch.testing.assert_close(
        trace.states[1:], f * trace.states[:-1] + (1 - f) * torch.tanh(value.preactivation)
    )


# --- Elman family ---------------------------------------------------------------------------------


def test_orthogonal_stays_orthogonal_and_keeps_norms():
    cell = build("orthogonal_rnn", 3, 6, activation="identity")
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))
    product = jacobian_product(unroll(cell, draw(300, 1, 3)), 300, 0)
    torch.testing.assert_close(
        product.log_singular_values(), torch.zeros(1, 6, dtype=torch.float64), rtol=0, atol=1e-9
    )
    cell.weight_hh.data -= (
        0.3
        * torch.autograd.grad(cell.scan(draw(5, 2, 3), draw(2, 6)).square().sum(), cell.weight_hh)[
            0
        ]
    )
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight @ weight.T, torch.eye(6, dtype=torch.float64))


def test_modrelu_keeps_the_sign_and_thresholds_the_modulus():
    cell = build("rnn", 3, 4, activation="modrelu")
    cell.modrelu_bias.data = torch.tensor([-0.5, 0.0, 0.3, -10.0]).double()
    x, s = draw(50, 3), draw(50, 4, seed=1)
    u = x @ cell.weight_ih.T + cell.bias_ih + s @ cell.weight_hh.T + cell.bias_hh
    h = cell(x, s)
    assert (h[:, 3] == 0).all()
    torch.testing.assert_close(h[:, 1], u[:, 1])
    torch.testing.assert_close(h[:, 2], u[:, 2] + 0.3 * torch.sign(u[:, 2]))
    torch.testing.assert_close(h[:, 0], torch.sign(u[:, 0]) * (u[:, 0].abs() - 0.5).clamp_min(0))


def test_indrnns_product_is_a_number_for_each_unit():
    cell = build("indrnn", activation="tanh")
    trace = unroll(cell, draw(10, 2, 3))
    slopes = 1 - trace.states[1:] ** 2
    expected = torch.diag_embed((cell.weight_recurrent * slopes[3:]).prod(0))
    torch.testing.assert_close(jacobian_product(trace, 10, 3).matrix(), expected)


def test_antisymmetric_steps_stay_near_the_unit_circle():
    cell = build("antisymmetric", 3, 8, step=0.01, diffusion=0.0)
    weight = cell.recurrent_weight()
    torch.testing.assert_close(weight, -weight.T)
    assert torch.linalg.eigvals(weight).real.abs().max() < 1e-12
    norms = jacobian_product(unroll(cell, 0.1 * draw(200, 1, 3)), 200, 0).log_singular_values()
    assert norms.abs().max() < 1.0


# --- linear recurrences ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lru", "diagonal_ssm"])
def test_complex_recurrence_in_complex_numbers(name):
    cell = build(name, 3, 5)
    x = draw(20, 2, 3)
    states = cell.unroll(x, torch.zeros(2, 15, dtype=torch.float64))
    a, b, scale = (part.detach() for part in cell.eigenvalues())
    eigenvalue, z = torch.complex(a, b), torch.zeros(2, 5, dtype=torch.complex128)
    weight_b = torch.complex(*cell.weight_b.detach().chunk(2))
    c_re, c_im = cell.weight_c.detach().chunk(2, dim=-1)
    for t in range(20):
        z = eigenvalue * z + scale * (x[t].to(torch.complex128) @ weight_b.T)
        u = (z @ torch.complex(c_re, -c_im).T).real + x[t] @ cell.weight_d.detach().T
        torch.testing.assert_close(states[t + 1, :, 5:10], z.real)
        torch.testing.assert_close(states[t + 1, :, 10:], z.imag)
        torch.testing.assert_close(states[t + 1, :, :5], torch.nn.functional.gelu(u))


@pytest.mark.parametrize("name", ["lru", "diagonal_ssm"])
def test_modulus_is_below_one_whatever_the_parameters(name):
    cell = build(name, 3, 5)
    for parameter in cell.parameters():
        parameter.data = 3 * draw(*parameter.shape, seed=parameter.numel())
    a, b, _ = cell.eigenvalues()
    modulus = (a * a + b * b).sqrt()
    assert (modulus < 1).all()
    product = jacobian_product(unroll(cell, draw(50, 1, 3)), 50, 0)
    values = torch.linalg.svdvals(product.matrix()[0, 5:, 5:])
    expected = (50 * modulus.log()).exp().repeat_interleave(2).sort(descending=True).values
    torch.testing.assert_close(values, expected.detach(), rtol=1e-6, atol=1e-12)


def test_lru_starts_in_its_ring():
    cell = registry.get("cell", "lru")(
        3, hidden_size=3000, low=0.6, high=0.9, generator=torch.Generator().manual_seed(0)
    )
    a, b, gamma = (part.detach() for part in cell.eigenvalues())
    modulus = (a * a + b * b).sqrt()
    assert modulus.min() > 0.599
    assert modulus.max() < 0.901
    assert float((modulus**2).mean()) == pytest.approx((0.36 + 0.81) / 2, abs=0.01)
    torch.testing.assert_close(gamma, (1 - modulus**2).sqrt(), rtol=1e-4, atol=1e-5)
    assert not math.isclose(float(a.mean()), 0.7)
