"""gradscope run --replay."""

import pytest

from tests.cli.conftest import invoke


@pytest.mark.parametrize(
    "options",
    [
        ["--out", "x"],
        ["--set", "training.steps=2"],
        ["--scheduler", "tcp://127.0.0.1:1"],
        ["--report"],
        ["--json"],
        ["--live"],
        ["--log", "tensorboard"],
    ],
    ids=lambda options: options[0],
)
def test_what_a_replay_would_not_do_is_refused(options, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = invoke("run", "--replay", "recorded", *options)
    assert result.exit_code == 2
    assert f"leave out {options[0]}. It takes --workers" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_all_that_it_would_not_do_is_named():
    result = invoke("run", "--replay", "recorded", "--out", "x", "--no-report", "--set", "seed=1")
    assert "leave out --out, --set, --report. It takes" in result.stderr


def test_an_experiment_beside_it_is_refused(recorded):
    result = invoke("run", "quickstart", "--replay", recorded)
    assert result.exit_code == 2
    assert "takes its experiment from the run; name no other" in result.stderr


def test_what_is_the_same_is_said(recorded):
    result = invoke("run", "--replay", recorded, "--workers", "1", "--yes")
    assert result.exit_code == 0, result.output
    assert "2 of 2 trials the same, bit for bit" in result.output


def test_quietly_only_differences_are_told(recorded, monkeypatch):
    from gradscope.experiment import replay
    from gradscope.experiment.replay import Difference

    result = invoke("run", "--replay", recorded, "-q")
    assert (result.exit_code, result.output) == (0, "")
    one = Difference("abc", "training, loss of row 0", "1.0", "2.0")
    monkeypatch.setattr(replay, "replayed", lambda *a, **k: [one])
    result = invoke("run", "--replay", recorded, "-q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"{one}\n"
