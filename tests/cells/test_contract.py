"""What every registered cell must do, in a stack as well."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.cells import CELLS, Cell
from gradscope.dynamics.linearisation import AutogradLinearisation
from tests.cells.conftest import IDS, VARIANTS, stack_of
from tests.conftest import build, draw


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
@given(
    time=st.integers(1, 5),
    batch=st.integers(1, 3),
    hidden=st.integers(1, 4),
    layers=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_closed_forms_agree_with_autograd(name, options, time, batch, hidden, layers, seed):
    """Jacobian, input Jacobian and linearisation: all against the plain unroll of the equation."""
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
    fast = cell.linearise(x, states[:-1], states[1:])
    slow = AutogradLinearisation(cell, dict(cell.named_parameters()), x, states[:-1])
    for ours, theirs in zip(fast.vjp(cotangent), slow.vjp(cotangent), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)

    ours, theirs = fast.by_parameters(cotangent), slow.by_parameters(cotangent)
    assert list(ours) == list(theirs) == [parameter for parameter, _ in cell.named_parameters()]
    for parameter, value in theirs.items():
        torch.testing.assert_close(ours[parameter], value, rtol=0, atol=1e-11)
    moved_inputs = draw(time, batch, 2, seed=seed + 4)
    torch.testing.assert_close(fast.jvp(cotangent), slow.jvp(cotangent), rtol=0, atol=1e-12)
    torch.testing.assert_close(
        fast.jvp(cotangent, moved_inputs), slow.jvp(cotangent, moved_inputs), rtol=0, atol=1e-12
    )
    middle = slice(time // 2, time // 2 + 1)
    torch.testing.assert_close(
        fast.at(middle).vjp(cotangent[middle])[0], fast.vjp(cotangent)[0][middle]
    )

    immediate = draw(time + 1, batch, cell.state_size, seed=seed + 3)
    results = []
    for linear in (fast, slow):
        adjoints, received = immediate.clone(), torch.empty_like(x)
        linear.backpropagate(adjoints, received)
        results.append((adjoints, received))
    for ours, theirs in zip(*results, strict=True):
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


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
@pytest.mark.parametrize("layers", [1, 2])
def test_known_outputs_leave_the_states_as_they_are(name, options, layers):
    """Teacher forcing with the cell's own outputs, or with none, is the plain unroll."""
    cell = stack_of(name, layers, 3, 4, 5, **options)
    x, s0 = draw(6, 2, 3), draw(2, cell.state_size, seed=1)
    states = cell.unroll(x, s0).detach()
    for hidden in (None, states[1:, :, : cell.hidden_size].clone()):
        if hidden is not None and layers > 1:
            continue  # a stack has its outputs last
        forced = cell.teacher_forced(x, s0, hidden)
        torch.testing.assert_close(forced.states, states, rtol=0, atol=1e-12)
        assert float(forced.mismatch.detach().max()) < 1e-12
        if forced.linear is not None:
            cotangent = draw(6, 2, cell.state_size, seed=2)
            expected = cell.linearise(x, states[:-1], states[1:]).vjp(cotangent)
            for ours, theirs in zip(forced.linear.vjp(cotangent), expected, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-11)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_the_ways_through_a_step_add_up(name, options):
    cell = stack_of(name, 2, 3, 4, 5, **options)
    x = draw(4, 2, 3)
    states = cell.unroll(x, draw(2, cell.state_size, seed=1)).detach()
    linear, cotangent = (
        cell.linearise(x, states[:-1], states[1:]),
        draw(4, 2, cell.state_size, seed=2),
    )
    ways = linear.vjp_by_gate(cotangent)
    assert all(way.endswith(("_l0", "_l1")) for way in ways)
    torch.testing.assert_close(sum(ways.values()), linear.vjp(cotangent)[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_blocks_cover_the_state(name, options):
    cell = stack_of(name, 2, 3, 4, 5, **options)
    for part in (*cell.layers, cell):
        covered = [
            place for block in part.blocks.values() for place in range(part.state_size)[block]
        ]
        assert sorted(covered) == list(range(part.state_size))
        assert part.initial_state(3).shape == (3, part.state_size)
        state = draw(5, part.state_size)
        assert part.hidden(state).shape == (5, part.hidden_size)
    assert "h_l0" in cell.blocks


def stacked(name: str, count: int, **options: object) -> tuple[list[Cell], Cell]:
    """Cells of different weights, and one cell whose weights have them all along a trial axis."""
    cells = [build(name, 3, 4, seed=seed, **options) for seed in range(count)]
    population = build(name, 3, 4, **options)
    for parameter, values in zip(
        population.parameters(), zip(*(c.parameters() for c in cells), strict=True), strict=True
    ):
        parameter.data = torch.stack([value.detach() for value in values])
    return cells, population


@pytest.mark.parametrize("name", CELLS.names())
def test_a_leading_trial_axis_runs_a_population(name):
    """Weights (trial, ...) with inputs (trial, batch, ...) give what each trial gives alone,
    Jacobians too.
    """
    cells, population = stacked(name, 3)
    x, s = draw(3, 5, 3), draw(3, 5, population.state_size, seed=1)
    after = population(x, s)
    jacobian = population.jacobian(x, s, after)
    for trial, cell in enumerate(cells):
        torch.testing.assert_close(after[trial], cell(x[trial], s[trial]), rtol=0, atol=1e-13)
        torch.testing.assert_close(
            jacobian[trial], cell.jacobian(x[trial], s[trial], after[trial]), rtol=0, atol=1e-13
        )


@pytest.mark.parametrize(("name", "options"), VARIANTS, ids=IDS)
def test_a_population_has_the_gradients_of_its_trials(name, options):
    """By the fastest way that the cell has: outputs, last states, and every gradient."""
    cells, population = stacked(name, 3, **options)
    x = draw(7, 3, 5, 3).requires_grad_()
    s = draw(3, 5, population.state_size, seed=1).requires_grad_()
    by_h, by_last = draw(7, 3, 5, 4, seed=2), draw(3, 5, population.state_size, seed=3)
    hidden, last = population.outputs(x, s)
    ((hidden * by_h).sum() + (last * by_last).sum()).backward()
    for trial, cell in enumerate(cells):
        x_alone = x[:, trial].detach().requires_grad_()
        s_alone = s[trial].detach().requires_grad_()
        hidden_alone, last_alone = cell.outputs(x_alone, s_alone)
        ((hidden_alone * by_h[:, trial]).sum() + (last_alone * by_last[trial]).sum()).backward()
        pairs = [(hidden[:, trial], hidden_alone), (last[trial], last_alone)]
        pairs += [(x.grad[:, trial], x_alone.grad), (s.grad[trial], s_alone.grad)]
        for together, alone in zip(population.parameters(), cell.parameters(), strict=True):
            pairs.append((together.grad[trial], alone.grad))
        for ours, expected in pairs:
            torch.testing.assert_close(ours, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", CELLS.names())
def test_the_same_seed_gives_the_same_weights_in_any_dtype(name):
    cls = CELLS.get(name)
    double = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    single = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    other = cls(3, hidden_size=5, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    for a, b in zip(double.parameters(), single.parameters(), strict=True):
        assert torch.equal(a.float(), b)
    differ = [
        not torch.equal(a, c) for a, c in zip(double.parameters(), other.parameters(), strict=True)
    ]
    assert any(differ), "gains may start at a constant; weights are drawn"


@pytest.mark.parametrize("name", CELLS.names())
def test_save_and_load(name, tmp_path):
    cell, other = build(name, seed=1), build(name, seed=2)
    torch.save(cell.state_dict(), tmp_path / "weights.pt")
    other.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    x, s = draw(2, 3), draw(2, cell.state_size)
    assert torch.equal(cell(x, s), other(x, s))


@pytest.mark.parametrize("name", CELLS.names())
def test_recurrent_matrices_are_named_after_gates(name):
    cell = build(name)
    matrices = cell.recurrent_matrices()
    assert set(matrices) <= set(cell.gates(draw(2, 3), draw(2, cell.state_size)))
    assert all(not matrix.requires_grad for matrix in matrices.values())


@pytest.mark.parametrize("name", CELLS.names())
def test_documented_with_equation_and_source(name):
    doc = CELLS.get(name).__doc__
    assert "h_t" in doc
    assert "Reference:" in doc
