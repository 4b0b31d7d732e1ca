"""What every registered cell must do, in a stack as well."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.cells import Cell, Stack
from gradscope.components import registry
from gradscope.dynamics.linearisation import AutogradLinearisation
from tests.conftest import build, draw

VARIANTS = [(name, {}) for name in registry.names("cell")] + [
    ("rnn", {"activation": "relu"}),
    ("rnn", {"activation": "gelu"}),
    ("rnn", {"bias": False}),
    ("rnn", {"activation": "modrelu"}),
    ("orthogonal_rnn", {"activation": "modrelu"}),
    ("lstm", {"bias": False}),
    ("gru", {"bias": False}),
    ("lstm", {"peepholes": True}),
    *[("lstm", {"variant": variant}) for variant in ("nig", "nfg", "nog", "niaf", "noaf", "cifg")],
    ("lstm", {"variant": "cifg", "peepholes": True}),
    ("lstm", {"variant": "nog", "peepholes": True}),
]
IDS = [f"{name}{options or ''}" for name, options in VARIANTS]


def stack_of(
    name: str, layers: int, input_size: int, hidden_size: int, seed: int, **options: object
) -> Stack:
    return Stack(
        [
            build(
                name,
                input_size if layer == 0 else hidden_size,
                hidden_size,
                seed + layer,
                **options,
            )
            for layer in range(layers)
        ]
    )


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
@given(
    time=st.integers(1, 5),
    batch=st.integers(1, 3),
    hidden=st.integers(1, 4),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_closed_forms_agree_with_autograd(name, options, time, batch, hidden, layers, seed):
    """Jacobian, input Jacobian, vjp, adjoint recursion, scan and outputs: all against the plain
    unroll of the equation.
    """
    cell = stack_of(name, layers, 2, hidden, seed, **options)
    x, s0 = draw(time, batch, 2, seed=seed), 0.5 * draw(batch, cell.state_size, seed=seed + 1)
    states = cell.unroll(x, s0).detach()

    by_state, by_input = (
        cell.jacobian(x, states[:-1], states[1:]),
        cell.input_jacobian(x, states[:-1], states[1:]),
    )
    for t in range(time):
        for b in range(batch):
            slow_x, slow_s = torch.autograd.functional.jacobian(
                cell.forward, (x[t, b], states[t, b])
            )
            torch.testing.assert_close(by_state[t, b], slow_s, rtol=0, atol=1e-12)
            torch.testing.assert_close(by_input[t, b], slow_x, rtol=0, atol=1e-12)

    cotangent = draw(time, batch, cell.state_size, seed=seed + 2)
    fast, slow = (
        cell.vjp(x, states[:-1], states[1:], cotangent),
        Cell.vjp(cell, x, states[:-1], states[1:], cotangent),
    )
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)

    fast, slow = (
        cell.linearise(x, states[:-1], states[1:]),
        AutogradLinearisation(cell, x, states[:-1]),
    )
    ours, theirs = fast.by_parameters(cotangent), slow.by_parameters(cotangent)
    assert list(ours) == list(theirs) == [parameter for parameter, _ in cell.named_parameters()]
    for parameter, value in theirs.items():
        torch.testing.assert_close(ours[parameter], value, rtol=0, atol=1e-11)
    moved_inputs = draw(time, batch, 2, seed=seed + 4)
    torch.testing.assert_close(fast.jvp(cotangent), slow.jvp(cotangent), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        fast.jvp(cotangent, moved_inputs), slow.jvp(cotangent, moved_inputs), rtol=0, atol=1e-12
    )
    one = slice(time // 2, time // 2 + 1)
    torch.testing.assert_close(fast.at(one).vjp(cotangent[one])[0], fast.vjp(cotangent)[0][one])

    immediate = draw(time + 1, batch, cell.state_size, seed=seed + 3)
    fast, slow = cell.pullback(x, states, immediate), Cell.pullback(cell, x, states, immediate)
    for ours, theirs in zip(fast, slow, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("way", ["scan", "outputs"])
def test_fast_ways_equal_the_plain_unroll(name, options, layers, way):
    """Values and every gradient, those of the inputs and of the initial state among them."""
    cell = stack_of(name, layers, 3, 5, 7, **options)
    weights, last_weights = draw(6, 2, 5, seed=1), draw(2, cell.state_size, seed=2)

    def gradients(how):
        x, s0 = draw(6, 2, 3).requires_grad_(), draw(2, cell.state_size, seed=3).requires_grad_()
        result = getattr(cell, how)(x, s0)
        hidden, last = result if how == "outputs" else (cell.hidden(result[1:]), result[-1])
        loss = (hidden * weights).sum() + (last * last_weights).sum()
        return [hidden, last, *torch.autograd.grad(loss, [x, s0, *cell.parameters()])]

    for ours, plain in zip(gradients(way), gradients("unroll"), strict=True):
        torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_gradcheck_of_the_fused_unroll(name, options):
    cell = build(name, 2, 2, **options)
    torch.autograd.gradcheck(
        cell.scan,
        (draw(3, 2, 2).requires_grad_(), draw(2, cell.state_size, seed=1).requires_grad_()),
    )


@pytest.mark.parametrize("name", registry.names("cell"))
def test_a_leading_trial_axis_runs_a_population(name):
    """Weights (trial, ...) with inputs (trial, batch, ...) give what each trial gives alone,
    Jacobians too.
    """
    cells = [build(name, 3, 4, seed=seed) for seed in range(3)]
    population = build(name, 3, 4)
    for parameter, values in zip(
        population.parameters(), zip(*(c.parameters() for c in cells), strict=True), strict=True
    ):
        parameter.data = torch.stack([value.detach() for value in values])
    x, s = draw(3, 5, 3), draw(3, 5, population.state_size, seed=1)
    after = population(x, s)
    jacobian = population.jacobian(x, s, after)
    for trial, cell in enumerate(cells):
        torch.testing.assert_close(after[trial], cell(x[trial], s[trial]), rtol=0, atol=1e-13)
        torch.testing.assert_close(
            jacobian[trial], cell.jacobian(x[trial], s[trial], after[trial]), rtol=0, atol=1e-13
        )
    states = population.unroll(draw(4, 3, 5, 3), s)
    assert states.shape == (5, 3, 5, population.state_size)


@pytest.mark.parametrize("name", registry.names("cell"))
def test_the_same_seed_gives_the_same_weights_in_any_dtype(name):
    cls = registry.get("cell", name)
    double = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    single = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    other = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for a, b in zip(double.parameters(), single.parameters(), strict=True):
        assert torch.equal(a.float(), b)
    differ = [
        not torch.equal(a, c) for a, c in zip(double.parameters(), other.parameters(), strict=True)
    ]
    assert any(differ), "gains may start at a constant; weights are drawn"


@pytest.mark.parametrize("name", registry.names("cell"))
def test_save_and_load(name, tmp_path):
    cell, other = build(name, seed=1), build(name, seed=2)
    torch.save(cell.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x, s = draw(2, 3), draw(2, cell.state_size)
    assert torch.equal(cell(x, s), other(x, s))


@pytest.mark.parametrize("name", registry.names("cell"))
def test_documented_with_equation_and_source(name):
    doc = registry.get("cell", name).__doc__
    assert "h_t" in doc
    assert "Reference:" in doc


def test_gates_are_what_the_cell_computes():
    """From the recorded gates, the LSTM's state follows by its equation; so does the GRU's."""
    x, s = draw(4, 2, 3), draw(4, 2, 8, seed=1)
    lstm = build("lstm")
    i, f, g, o = (gate.activation(gate.preactivation) for gate in lstm.gates(x, s).values())
    c = f * s[..., 4:] + i * g
    torch.testing.assert_close(lstm(x, s), torch.cat((o * torch.tanh(c), c), -1))
    gru = build("gru")
    values = {
        name: gate.activation(gate.preactivation) for name, gate in gru.gates(x, s[..., :4]).items()
    }
    torch.testing.assert_close(
        gru(x, s[..., :4]), (1 - values["z"]) * values["n"] + values["z"] * s[..., :4]
    )


def test_sizes_that_do_not_fit_are_refused():
    from gradscope import GradscopeError

    with pytest.raises(GradscopeError, match="reads 5 inputs, the one below gives 4"):
        Stack([build("rnn", 3, 4), build("rnn", 5, 4)])
    with pytest.raises(GradscopeError, match="at least 1"):
        build("rnn", 0, 4)
