"""Phase diagrams: the instrument without training."""

import math

import pandas as pd
import pytest
from click.testing import CliRunner

from gradscope import GradscopeError
from gradscope.cli._group import main
from gradscope.phase.measure import PhaseDiagram


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


def test_theory_of_cells_that_have_one_and_of_those_that_have_none():
    curves, critical = PhaseDiagram("rnn", "relu", 10, [1.0, 2.0], [0.1]).theory()
    assert critical["gain"].tolist() == pytest.approx([math.sqrt(2)])
    assert len(curves) == 101
    for cell, activation in (("lstm", None), ("rnn", "sin")):
        curves, critical = PhaseDiagram(cell, activation, 10, [1.0], [0.1]).theory()
        assert curves.empty
        assert critical.empty


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_from_the_command_line(cell, tmp_path):
    arguments = [
        "probe",
        "--cell",
        cell,
        "--hidden",
        "8",
        "--gains",
        "0.5:2:3",
        "--input-variances",
        "0,0.1",
        "--time",
        "40",
        "--burn-in",
        "10",
        "--seeds",
        "2",
        "--exponents",
        "4",
        "--out",
        str(tmp_path / "out"),
    ]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    frame = pd.read_csv(tmp_path / "out" / "phase.csv")
    assert len(frame) == 3 * 2 * 2 * 4
    page = (tmp_path / "out" / "index.html").read_text()
    assert "With inputs of variance 0.1, the gradient" in page
    assert ("Mean field and measurement differ" in page) == (cell == "rnn")
    for name in ("exponent_against_gain", "phase_map", "spectra"):
        assert f'id="{name}"' in page
        assert (tmp_path / "out" / "figures" / f"{name}.png").exists()
    assert (
        CliRunner().invoke(main, arguments).exit_code == 0
    )  # its own directory it may write again


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gains", "fast"], "--gains 'fast': should be LOW:HIGH:COUNT"),
        (["--gains", "0,1"], "--gains '0,1'"),
        (["--gains", "1,1"], "distinct"),
        (["--input-variances", "-1"], "--input-variances"),
        (["--cell", "lstm", "--activation", "relu"], "'lstm' has no option 'activation'"),
        (["--cell", "lsmt"], "did you mean 'lstm'"),
    ],
)
def test_bad_input(arguments, message, tmp_path):
    result = CliRunner().invoke(
        main, ["probe", *arguments, "--hidden", "4", "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output


def test_a_directory_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    result = CliRunner().invoke(main, ["probe", "--hidden", "4", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "holds something else" in result.output


def test_a_cell_without_affine_gates_is_refused():
    with pytest.raises(GradscopeError, match="no option 'activation'"):
        PhaseDiagram("gru", "tanh", 4, [1.0], [0.0]).measure()
