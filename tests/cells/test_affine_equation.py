"""The diagonal derivatives of each equation, and what is computed from them."""

import pytest
import torch

from gradscope.cells._affine_equation import onto_gates, onto_vectors
from tests.cells.conftest import AFFINE, AFFINE_IDS
from tests.conftest import build, draw


def case(name, options, steps=3):
    """A cell with the tensors of some steps: u_x, u_h, s_prev, s."""
    cell = build(name, **options)
    x, s_prev = draw(steps, 2, 3), draw(steps, 2, cell.state_size, seed=1)
    u_x, u_h = (part if part is None else part.detach() for part in cell.preactivations(x, s_prev))
    return cell, u_x, u_h, s_prev, cell.combine(u_x, u_h, s_prev).detach()


def diagonals(of, like, blocks, parts):
    """d(block n, unit i)/d(part g, unit i) by autograd; between two units it has to be 0."""
    whole = torch.autograd.functional.jacobian(of, like).view(blocks, 4, parts, 4)
    diagonal = whole.diagonal(dim1=1, dim2=3)
    assert torch.equal(whole, torch.diag_embed(diagonal).permute(0, 2, 1, 3)), "units mix"
    return diagonal


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_derivatives_are_autograds_of_combine(name, options):
    cell, u_x, u_h, s_prev, s = case(name, options)
    local = cell.derivatives(u_x, u_h, s_prev, s)
    blocks, gates = len(cell.state_blocks), len(cell.gate_names)
    for t in range(3):
        for b in range(2):
            at = (t, b)
            h = None if u_h is None else u_h[at]
            by_input = diagonals(
                lambda u, at=at, h=h: cell.combine(u, h, s_prev[at]), u_x[at], blocks, gates
            )
            torch.testing.assert_close(local.by_input[at], by_input, rtol=0, atol=1e-12)
            if cell.recurrent:
                by_recurrent = by_input
                if h is not None:
                    by_recurrent = diagonals(
                        lambda u, at=at: cell.combine(u_x[at], u, s_prev[at]), h, blocks, gates
                    )
                torch.testing.assert_close(local.by_recurrent[at], by_recurrent, rtol=0, atol=1e-12)
            by_state = diagonals(
                lambda s, at=at, h=h: cell.combine(u_x[at], h, s),
                s_prev[at].clone(),
                blocks,
                blocks,
            )
            if local.by_state is None:
                assert (by_state == 0).all()
            else:
                torch.testing.assert_close(local.by_state[at], by_state, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "options"),
    [case for case in AFFINE if build(case[0], **case[1]).vectors],
    ids=lambda value: str(value),
)
def test_derivatives_by_vectors_are_autograds(name, options):
    cell, u_x, u_h, s_prev, s = case(name, options, steps=2)
    ours = cell.by_vectors(u_x, u_h, s_prev, s)
    assert ours.shape == (2, 2, len(cell.state_blocks), len(cell.vectors), 4)
    for k, vector in enumerate(cell.vectors):
        for at in ((0, 0), (1, 1)):
            h = None if u_h is None else u_h[at]

            def after(value, vector=vector, at=at, h=h):
                values = {vector: value}
                return torch.func.functional_call(
                    Combined(cell),
                    {f"cell.{n}": v for n, v in values.items()},
                    (u_x[at], h, s_prev[at]),
                )

            slow = diagonals(after, getattr(cell, vector).detach(), len(cell.state_blocks), 1)
            torch.testing.assert_close(ours[at][:, k], slow[:, 0], rtol=0, atol=1e-12)


class Combined(torch.nn.Module):
    """``combine`` as a module's forward."""

    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, *arguments):
        return self.cell.combine(*arguments)


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_scan_gates_gives_the_states_and_the_preactivations(name, options):
    cell, x = build(name, **options), draw(5, 2, 3)
    start = draw(2, cell.state_size, seed=1)
    with torch.no_grad():
        states, u_x, u_h = cell.scan_gates(x, start, cell.recurrent_weight())
        torch.testing.assert_close(states, cell.unroll(x, start), rtol=0, atol=1e-12)
        expected_x, expected_h = cell.preactivations(x, states[:-1])
    torch.testing.assert_close(u_x, expected_x, rtol=0, atol=1e-12)
    if not cell.additive:
        torch.testing.assert_close(u_h, expected_h, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("name", "options"), AFFINE, ids=AFFINE_IDS)
def test_backpropagation_by_its_definition(name, options):
    """a_{t-1} += J_t^T a_t, and dL/du by the diagonal derivatives, one step after the other."""
    cell, x = build(name, **options), draw(5, 2, 3)
    start = draw(2, cell.state_size, seed=1)
    with torch.no_grad():
        states, u_x, u_h = cell.scan_gates(x, start, cell.recurrent_weight())
        adjoints = draw(*states.shape, seed=2)
        expected = adjoints.clone()
        steps = (u_x, u_h, states[:-1], states[1:])
        weight = cell.recurrent_weight()
        by_recurrent, by_input = cell.backpropagate(*steps, adjoints, weight)
        jacobians = cell.jacobian(x, states[:-1], states[1:])
        for t in range(5, 0, -1):
            expected[t - 1] += (jacobians[t - 1].mT @ expected[t].unsqueeze(-1)).squeeze(-1)
        torch.testing.assert_close(adjoints, expected, rtol=0, atol=1e-11)
        local = cell.derivatives(*steps)
    shape = (5, 2, len(cell.state_blocks), 4)
    for ours, diagonal in ((by_recurrent, local.by_recurrent), (by_input, local.by_input)):
        slow = torch.einsum("tbni,tbngi->tbgi", expected[1:].view(shape), diagonal)
        torch.testing.assert_close(ours, slow.flatten(-2), rtol=0, atol=1e-11)


def test_steps_in_parts_cover_all_of_them_latest_first(monkeypatch):
    cell = build("lstm")
    assert cell.cached_steps(50, 2) == [slice(0, 50)]
    monkeypatch.setattr("gradscope.cells._affine_equation._CACHED", 7 * 2 * 4 * 4)
    parts = cell.cached_steps(50, 2)
    assert [step for part in reversed(parts) for step in range(50)[part]] == list(range(50))
    assert {part.stop - part.start for part in parts} == {7, 1}
    assert parts[0].stop == 50
    assert cell.cached_steps(50, 10**6, 10**3)[0] == slice(46, 50), "a few at a time at least"


@pytest.mark.parametrize("gates", [1, 3])
@pytest.mark.parametrize("blocks", [1, 2])
def test_onto_gates_and_vectors_are_sums_over_blocks(blocks, gates):
    cotangent, diagonal = draw(4, 2, blocks * 5), draw(4, 2, blocks, gates, 5, seed=1)
    by_block = cotangent.view(4, 2, blocks, 5)
    torch.testing.assert_close(
        onto_gates(cotangent, diagonal),
        torch.einsum("tbni,tbngi->tbgi", by_block, diagonal).flatten(-2),
    )
    torch.testing.assert_close(
        onto_vectors(cotangent, diagonal), torch.einsum("tbni,tbngi->gi", by_block, diagonal)
    )


def test_some_of_the_steps_of_derivatives():
    for name in ("rnn", "lstm"):
        cell, *tensors = case(name, {})
        every = cell.derivatives(*tensors)
        part = every.at(slice(1, 3))
        assert torch.equal(part.by_input, every.by_input[1:3])
        assert torch.equal(part.by_recurrent, every.by_recurrent[1:3])
        assert (
            part.by_state is None
            if every.by_state is None
            else (torch.equal(part.by_state, every.by_state[1:3]))
        )


def test_a_cell_without_recurrent_weights_has_a_matrix_of_zeros():
    cell = build("mingru")
    assert torch.equal(cell.recurrent_weight(), torch.zeros(8, 4, dtype=torch.float64))
    assert cell.recurrent_matrices() == {}
    assert set(build("lstm").recurrent_matrices()) == set("ifgo")
    assert set(build("antisymmetric").recurrent_matrices()) == {"h"}
