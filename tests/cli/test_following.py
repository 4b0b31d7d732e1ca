"""gradscope show --follow: from another process, until the run is over."""

import json
import subprocess
import sys

import pytest

from gradscope.cli import _following
from gradscope.results.following import Following
from gradscope.results.lock import locked
from gradscope.results.records import RunDirectory
from gradscope.results.running import Running, Taken
from tests.cli.conftest import invoke, refused


@pytest.fixture
def halfway(recorded, monkeypatch):
    """A run whose second trial is taken away, and a function that puts it back in the pause."""
    monkeypatch.setattr(_following, "_PAUSE", 0.0)
    run = RunDirectory(recorded)
    trial = run.manifest().trials[1].id
    ledger = recorded / "ledger" / f"{trial}.json"
    content = ledger.read_bytes()
    ledger.unlink()
    return run, trial, lambda: ledger.write_bytes(content)


@pytest.fixture
def in_the_pause(monkeypatch):
    """Sets what happens between looks: a function for each pause, and then Ctrl-C."""

    def happen(*what):
        left = list(what)

        def pause(seconds):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(_following.time, "sleep", pause)

    return happen


def test_a_run_that_is_over(recorded):
    shown = invoke("show", recorded, "--follow")
    assert (shown.exit_code, shown.stdout) == (0, "small: 2 of 2 recorded (2 unsolved)\n")


def test_a_run_that_goes_on(halfway, in_the_pause):
    run, trial, put_back = halfway

    def begin():
        Running(seconds_left=80.0, trials={trial: Taken(1, 3, 0.5)}).write(run.path)

    in_the_pause(begin, put_back)
    with locked(run.path):
        shown = invoke("show", run.path, "--follow")
    first, *rest = shown.stdout.splitlines()
    assert first.startswith("small: 1 of 2 recorded (1 unsolved), 1 left; process ")
    assert rest == ["[2/2] seed 1: unsolved", "2 of 2 recorded (2 unsolved)"]
    assert shown.exit_code == 0


def test_as_lines_of_json(halfway, in_the_pause):
    run, trial, put_back = halfway

    def begin():
        Running(seconds_left=80.0, trials={trial: Taken(1, 3, 0.5)}).write(run.path)

    def further():  # is no change that a line is printed for
        Running(seconds_left=70.0, trials={trial: Taken(2, 3, 0.4)}).write(run.path)

    in_the_pause(begin, further, put_back)
    with locked(run.path):
        shown = invoke("show", run.path, "--follow", "--json")
    lines = [json.loads(line) for line in shown.stdout.splitlines()]
    counts = [(line["recorded"], len(line["running"]), line["left"]) for line in lines]
    assert counts == [(1, 0, 1), (1, 1, 0), (2, 0, 0)]
    assert lines[1]["running"] == [
        {"trial": trial, "label": "seed 1", "train_step": 1, "steps": 3, "loss": 0.5}
    ]
    assert (lines[1]["seconds_left"], lines[1]["of"]) == (80.0, 2)
    assert lines[2]["ended"] == [
        {"trial": trial, "label": "seed 1", "outcome": "unsolved", "error": ""}
    ]
    assert "process" in lines[2]["at_work"]
    assert shown.exit_code == 0


def test_a_trial_that_failed(halfway):
    run, trial, _ = halfway
    run.write_failure(trial, "OSError: disk full")
    shown = invoke("show", run.path, "--follow")
    assert shown.exit_code == 1
    assert "1 of 2 recorded (1 unsolved, 1 failed)" in shown.stdout


def test_nobody_is_at_work(halfway):
    run, _, _ = halfway
    shown = invoke("show", run.path, "--follow")
    assert shown.exit_code == 1
    assert "nobody is at work on it, and 1 of 2 trials are not recorded" in shown.stderr


def test_ctrl_c_leaves_the_run_alone(halfway, in_the_pause):
    run, _, _ = halfway
    in_the_pause()
    with locked(run.path):
        shown = invoke("show", run.path, "--follow")
    assert shown.exit_code == 130
    assert "no longer followed; the run goes on" in shown.stderr


def test_on_a_terminal(halfway, capsys):
    run, trial, put_back = halfway
    following = Following(run)
    with locked(run.path), _following._Terminal(run) as page:
        page.show(following.look())
        Running(seconds_left=80.0, trials={trial: Taken(1, 3, 0.5)}).write(run.path)
        page.show(following.look())
        put_back()
        page.show(following.look())
    said = capsys.readouterr().out
    assert "unsolved seed 1" in said
    assert "2 of 2 recorded (2 unsolved)" in said


def test_what_is_asked_wrongly(recorded, tmp_path):
    assert invoke("show", recorded, "--follow", "--csv").exit_code == 2
    assert "does not exist" in refused("show", tmp_path / "nowhere", "--follow")


def test_it_imports_nothing_that_trains_or_draws(recorded):
    script = (
        "import sys\nfrom gradscope.cli import main\n"
        "try:\n    main(sys.argv[1:], standalone_mode=False)\n"
        "except SystemExit as done:\n    assert done.code == 0, done.code\n"
        "heavy = {'torch', 'matplotlib', 'seaborn', 'scipy.stats', 'distributed'}"
        " & set(sys.modules)\nassert not heavy, heavy"
    )
    command = [sys.executable, "-c", script, "show", str(recorded), "--follow"]
    subprocess.run(command, check=True, capture_output=True)
