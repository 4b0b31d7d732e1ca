"""Lyapunov exponents of random cells over gain and input variance."""

import dataclasses
import math

import pytest
import torch

from gradscope import GradscopeError
from gradscope.cells import CELLS
from gradscope.dynamics import critical_gain, mean_field, step_jacobians, unroll
from gradscope.errors import ConfigError, UnknownNameError
from gradscope.phase import PhaseDiagram

SMALL = {"hidden_size": 6, "time": 20, "burn_in": 10, "exponents": 3, "seeds": 2}
WITHOUT_GATES = {"diagonal_ssm", "lru"}
COLUMNS = [
    "gain", "input_variance", "seed", "index", "exponent", "standard_error",
    "log_spectral_radius", "mean_field_exponent",
]  # fmt: skip


def test_random_tanh_networks_follow_mean_field():
    """Driven: ln(chi) / 2. At rest below gain 1: the logarithm of the drawn matrix's spectral
    radius, not ln g.
    """
    frame = PhaseDiagram(
        "rnn", "tanh", 120, [0.6, 2.0], [0.0, 0.5], time=400, burn_in=400, exponents=2, seeds=2
    ).measure()
    first = frame[frame["index"] == 0]
    driven = first[first["input_variance"] == 0.5]
    assert ((driven["exponent"] - driven["mean_field_exponent"]).abs() < 0.05).all()
    at_rest = first[(first["input_variance"] == 0) & (first["gain"] == 0.6)]
    assert ((at_rest["exponent"] - at_rest["log_spectral_radius"]).abs() < 0.02).all()
    assert (first[first["gain"] == 2.0]["exponent"] > 0).any()
    assert len(frame) == 2 * 2 * 2 * 2


# --- the table ------------------------------------------------------------------------------------


def test_there_is_a_row_for_every_gain_variance_seed_and_index():
    frame = PhaseDiagram("rnn", gains=[0.5, 2.0], input_variances=[0.0, 0.1], **SMALL).measure()
    assert list(frame.columns) == COLUMNS
    keys = frame[["gain", "input_variance", "seed", "index"]]
    assert len(keys.drop_duplicates()) == len(frame) == 2 * 2 * 2 * 3


def test_there_are_no_more_exponents_than_the_state_is_long():
    frame = PhaseDiagram("lstm", gains=[1.0], **(SMALL | {"exponents": 50})).measure()
    assert frame["index"].max() == 2 * 6 - 1


def test_a_linear_cell_has_the_exponents_of_its_matrix():
    """ln |eigenvalues of W|, whatever the input: the Jacobian is W at every step."""
    diagram = PhaseDiagram("rnn", "identity", gains=[0.9], input_variances=[0.0, 1.0], **SMALL)
    frame = dataclasses.replace(diagram, time=4000, burn_in=500, exponents=6).measure()
    radius = frame["log_spectral_radius"]
    largest = frame[frame["index"] == 0]
    assert (largest["exponent"] - radius[largest.index]).abs().max() < 2e-3
    sums = frame.groupby(["input_variance", "seed"])["exponent"].sum()
    for seed in (0, 1):
        cell = diagram._drawn(0.9, torch.Generator().manual_seed(seed), "cpu")
        (matrix,) = cell.recurrent_matrices().values()
        log_det = float(torch.linalg.slogdet(matrix).logabsdet)
        assert sums[(0.0, seed)] == pytest.approx(log_det, rel=1e-9)
        assert sums[(1.0, seed)] == pytest.approx(log_det, rel=1e-9)


def test_the_sum_of_exponents_is_the_mean_logarithm_of_the_determinant():
    """On the trajectory that the seed draws, drawn here once more, step by step."""
    diagram = PhaseDiagram("gru", gains=[1.5], input_variances=[0.3], **(SMALL | {"exponents": 6}))
    frame = diagram.measure()
    for seed in (0, 1):
        generator = torch.Generator().manual_seed(seed)
        cell = diagram._drawn(1.5, generator, "cpu")
        noise = torch.randn(30, 1, 18, dtype=torch.float64, generator=generator)
        start = torch.randn(1, 6, dtype=torch.float64, generator=generator)
        trace = unroll(cell, math.sqrt(0.3) * noise, start)
        logs = torch.linalg.slogdet(step_jacobians(trace)).logabsdet[10:]
        of_seed = frame[frame["seed"] == seed]
        assert of_seed["exponent"].sum() == pytest.approx(float(logs.mean()), rel=1e-9)


def test_it_is_decided_by_the_seeds_alone():
    diagram = PhaseDiagram("gru", gains=[1.0], **SMALL)
    torch.manual_seed(1)
    first, state = diagram.measure(), torch.get_rng_state()
    assert first.equals(diagram.measure())
    assert torch.equal(torch.get_rng_state(), state)
    more = dataclasses.replace(diagram, gains=[0.5, 1.0], seeds=3).measure()
    again = more[(more["gain"] == 1.0) & (more["seed"] < 2)].reset_index(drop=True)
    assert again.equals(first)


def test_progress_is_told_after_every_point():
    told = []
    diagram = PhaseDiagram("rnn", gains=[0.5, 1.0], **SMALL)
    diagram.measure(progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


# --- the cell -------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["rnn", "lstm", "lstm_variant", "gru", "mgu", "projected_lstm"])
def test_every_gate_of_every_unit_has_an_input_of_its_own(cell):
    drawn = PhaseDiagram(cell, **SMALL)._drawn(1.5, torch.Generator().manual_seed(0), "cpu")
    inputs = drawn.get_parameter("weight_ih")
    assert torch.equal(inputs, torch.eye(drawn.input_size, dtype=torch.float64))
    assert all((bias == 0).all() for name, bias in drawn.named_parameters() if "bias" in name)


def test_recurrent_weights_have_the_gains_variance():
    diagram = PhaseDiagram("gru", hidden_size=200)
    drawn = diagram._drawn(1.5, torch.Generator().manual_seed(0), "cpu")
    for matrix in drawn.recurrent_matrices().values():
        assert float(matrix.var()) == pytest.approx(1.5**2 / 200, rel=0.03)


def test_the_default_activation_is_the_cells_own():
    by_default = PhaseDiagram("rnn", gains=[1.2], **SMALL)
    assert by_default.measure().equals(dataclasses.replace(by_default, activation="tanh").measure())
    assert not by_default.theory().curves.empty


def test_a_cell_with_several_matrices_has_no_spectral_radius():
    frame = PhaseDiagram("lstm", gains=[1.0], **SMALL).measure()
    assert frame["log_spectral_radius"].isna().all()
    assert frame["mean_field_exponent"].isna().all()


def test_what_cannot_be_measured_is_refused_before():
    with pytest.raises(GradscopeError, match="no option 'activation'"):
        PhaseDiagram("gru", "tanh", 4, [1.0], [0.0])
    with pytest.raises(ConfigError, match="activation: should be 'tanh'"):
        PhaseDiagram("rnn", "tahn")
    with pytest.raises(UnknownNameError, match="did you mean 'lstm'"):
        PhaseDiagram("lsmt")


@pytest.mark.parametrize("cell", sorted({*CELLS.names()} - WITHOUT_GATES))
def test_every_cell_with_affine_gates_can_be_measured(cell):
    frame = PhaseDiagram(cell, hidden_size=3, gains=[1.0], time=10, burn_in=1, seeds=1).measure()
    assert len(frame) >= 3


@pytest.mark.parametrize("cell", sorted(WITHOUT_GATES))
def test_cells_without_affine_gates_are_refused(cell):
    with pytest.raises(GradscopeError, match=f"'{cell}' has no affine gates to drive; use rnn"):
        PhaseDiagram(cell)


# --- mean field -----------------------------------------------------------------------------------


def test_theory_of_cells_that_have_one_and_of_those_that_have_none():
    curves, critical = PhaseDiagram("rnn", "relu", 10, [1.0, 2.0], [0.1]).theory()
    assert critical["gain"].tolist() == pytest.approx([math.sqrt(2)])
    assert len(curves) == 101
    for cell, activation in (("lstm", None), ("rnn", "sin")):
        curves, critical = PhaseDiagram(cell, activation, 10, [1.0], [0.1]).theory()
        assert curves.empty
        assert critical.empty


def test_theory_is_mean_fields_on_a_fine_grid():
    curves, critical = PhaseDiagram("rnn", "erf", 10, [2.0, 0.5, 1.0], [0.0, 0.2]).theory()
    assert list(curves.columns) == ["gain", "input_variance", "mean_field_exponent"]
    assert (curves["gain"].min(), curves["gain"].max(), len(curves)) == (0.5, 2.0, 202)
    for row in curves.iloc[[0, 50, 150, 201]].itertuples():
        expected = mean_field("erf", row.gain, input_variance=row.input_variance).exponent
        assert row.mean_field_exponent == expected
    assert critical["gain"].tolist() == [
        critical_gain("erf", input_variance=variance) for variance in (0.0, 0.2)
    ]


def test_measured_rows_carry_mean_fields_exponent():
    frame = PhaseDiagram("rnn", "relu", gains=[1.0], input_variances=[0.1], **SMALL).measure()
    expected = mean_field("relu", 1.0, input_variance=0.1).exponent
    assert (frame["mean_field_exponent"] == expected).all()
