"""gradscope phase."""

import pandas as pd
import pytest

from gradscope.cli.phase import numbers
from gradscope.errors import GradscopeError
from tests.cli.conftest import invoke, refused

SMALL = ("--hidden", 8, "--time", 40, "--burn-in", 10, "--seeds", 2, "--exponents", 4)


@pytest.mark.parametrize(
    ("command", "cell"), [("phase", "rnn"), ("phase", "lstm"), ("probe", "gru")]
)
def test_from_the_command_line(command, cell, tmp_path):
    grid = ("--gains", "0.5:2:3", "--input-variances", "0,0.1")
    arguments = (command, "--cell", cell, *SMALL, *grid, "--out", tmp_path / "out")
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    assert result.output.endswith(f"report: {tmp_path}/out/index.html\n")
    frame = pd.read_csv(tmp_path / "out" / "phase.csv")
    assert len(frame) == 3 * 2 * 2 * 4
    assert sorted(frame["gain"].unique()) == [0.5, 1.25, 2.0]
    page = (tmp_path / "out" / "index.html").read_text()
    assert "With inputs of variance 0.1, the gradient" in page
    assert ("Mean field and measurement differ" in page) == (cell == "rnn")
    for name in ("exponent_against_gain", "phase_map", "spectra"):
        assert f'id="{name}"' in page
        assert (tmp_path / "out" / "figures" / f"{name}.png").exists()
    assert invoke(*arguments).exit_code == 0  # its own directory it may write again


def test_the_default_directory_is_named_after_the_cell(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("phase", *SMALL, "--gains", "1", "--input-variances", "0")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "reports" / "phase-rnn" / "index.html").read_text()
    assert "rnn (tanh) of 8 units" in page
    assert "40 steps after 10, 2 seeds." in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gains", "fast"], "--gains 'fast': should be LOW:HIGH:COUNT"),
        (["--gains", "0,1"], "--gains '0,1'"),
        (["--gains", "1,1"], "distinct"),
        (["--gains", "1:2:0"], "--gains '1:2:0'"),
        (["--gains", "1:2"], "--gains '1:2'"),
        (["--gains", "1,inf"], "--gains '1,inf'"),
        (["--gains", "1,nan"], "--gains '1,nan'"),
        (["--input-variances", "-1"], "--input-variances"),
        (["--cell", "lstm", "--activation", "relu"], "'lstm' has no option 'activation'"),
        (["--cell", "lsmt"], "did you mean 'lstm'"),
        (["--cell", "lru"], "'lru' has no affine gates to drive"),
        (["--activation", "tahn"], "activation: should be 'tanh'"),
        (["--device", "abacus"], "the device 'abacus' cannot be used here"),
    ],
)
def test_bad_input(arguments, message, tmp_path):
    assert message in refused("phase", *arguments, "--hidden", 4, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_directory_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    message = refused("phase", "--hidden", 4, "--out", tmp_path)
    assert "holds something else" in message
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
    assert "holds something else" in refused("phase", "--out", tmp_path / "thesis.tex")


def test_a_cell_of_ones_own(tmp_path):
    (tmp_path / "doubled.py").write_text(
        "from gradscope.cells import register\nfrom gradscope.cells.rnn import RNN\n\n"
        '@register("doubled")\nclass Doubled(RNN):\n    """A cell of my own."""\n'
    )
    grid = (*SMALL, "--gains", "1", "--input-variances", "0", "--out", tmp_path / "out")
    assert "no cell called 'doubled'" in refused("phase", "--cell", "doubled", *grid)
    result = invoke("phase", "--cell", "doubled", "--with", tmp_path / "doubled.py", *grid)
    assert result.exit_code == 0, result.output


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.5:2:4", [0.5, 1.0, 1.5, 2.0]),
        ("2:0.5:4", [0.5, 1.0, 1.5, 2.0]),
        ("3:9:1", [3.0]),
        ("2,0.5,1", [0.5, 1.0, 2.0]),
        ("1e-3", [0.001]),
    ],
)
def test_numbers_ascend(text, expected):
    assert numbers("--gains", text, low=0.0) == expected


def test_the_least_number_is_allowed():
    assert numbers("--gains", "0,1", low=0.0) == [0.0, 1.0]
    with pytest.raises(GradscopeError, match=r"from 0\.5 to 1e\+12"):
        numbers("--gains", "0.4,1", low=0.5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--gains", "0.1:3:999999999"), "--gains '0.1:3:999999999': should be LOW:HIGH:COUNT"),
        (("--gains", "1e308"), "from 1e-06 to 1e+06"),
        (("--input-variances", "1e308"), "from 0 to 1e+12"),
        (("--hidden", "1000000000"), "hidden_size 1,000,000,000 needs at least 20.8 EiB"),
        (("--time", "1000000000000"), "time and burn_in, 1,000,000,000,200 steps, needs at least"),
        (("--seeds", "1000000000"), "48,000,000,000 points"),
        (("--device", "hpu"), "the device 'hpu' cannot be used here"),
    ],
)
def test_absurd_sizes_are_refused_at_once(arguments, said, tmp_path):
    assert said in refused("phase", *arguments, "--out", tmp_path / "phase")
    assert not (tmp_path / "phase").exists()
