"""What a run is about to do, and whether it may."""

import math

import pytest

from gradscope.cli import _plans
from gradscope.experiment.estimate import Estimate
from tests.cli.conftest import GOOD, invoke, refused


@pytest.fixture
def taking(monkeypatch):
    """Have every experiment take so many seconds and bytes."""

    def take(seconds, memory=1):
        estimate = Estimate(2, seconds, memory, 1000, 1)
        monkeypatch.setattr(_plans, "estimated", lambda trials, **how: estimate)

    return take


def answered(answer, *arguments, terminal=True, monkeypatch):
    """``gradscope run`` where somebody sits at a terminal and answers."""
    from click.testing import CliRunner

    from gradscope.cli import main

    monkeypatch.setattr(_plans, "_is_asked", lambda: terminal)
    return CliRunner().invoke(main, ["run", *map(str, arguments)], input=answer)


def test_a_short_run_says_what_it_takes(experiment, tmp_path):
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert result.exit_code == 0
    first, second, *_ = result.stdout.splitlines()
    assert first == f"small: 2 trials -> {tmp_path / 'run'}"
    assert second.startswith("  at most ")
    assert second.endswith(" of memory")
    again = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert "at most" not in again.stdout


@pytest.mark.parametrize(("seconds", "memory"), [(4000.0, 1), (1.0, 501), (math.nan, 900)])
def test_a_long_or_large_run_needs_a_yes(experiment, tmp_path, taking, seconds, memory):
    taking(seconds, memory)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert result.exit_code == 2
    assert result.stderr.startswith("small: 2 trials, at ")
    assert "say --yes to run it all the same" in result.stderr
    assert not (tmp_path / "run").exists()
    done = invoke("run", experiment, "--out", tmp_path / "run", "--no-report", "--yes")
    assert done.exit_code == 0


def test_at_a_terminal_it_is_asked(experiment, tmp_path, taking, monkeypatch):
    taking(9000.0)
    arguments = (experiment, "--out", tmp_path / "run", "--no-report")
    no = answered("n\n", *arguments, monkeypatch=monkeypatch)
    assert no.exit_code == 2
    assert "2.5 h" in no.stderr
    assert "nothing was run" in no.stderr
    assert not (tmp_path / "run").exists()
    assert answered("y\n", *arguments, monkeypatch=monkeypatch).exit_code == 0


def test_short_ones_that_are_long_together(tmp_path, taking):
    taking(2000.0)
    folder = tmp_path / "several"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(GOOD)
    result = invoke("run", folder, "--out", tmp_path / "out", "--no-report")
    assert result.exit_code == 2
    assert "together: at most 67 min" in result.stderr


def test_two_experiments_of_one_name(tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "a.yaml").write_text(f"name: Same\n{GOOD}")
    (folder / "b.yaml").write_text(f"name: same\n{GOOD}")
    message = refused("run", folder, "--out", tmp_path / "out")
    assert f"{folder}/b.yaml: name: is named 'same', as a.yaml is" in message
    assert not (tmp_path / "out").exists()
