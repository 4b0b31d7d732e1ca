"""gradscope run."""

import json

import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import run_sweep
from gradscope.results.lock import locked
from gradscope.results.records import RunDirectory
from tests.cli.conftest import GOOD, invoke, refused


def test_run_writes_a_report_and_goes_on_where_it_ended(experiment, tmp_path):
    experiment.write_text(GOOD + "figures: [learning_curves]\n")
    out = tmp_path / "run"
    first = invoke("run", experiment, "--out", out)
    assert first.exit_code == 0, first.output
    assert "small: 2 trials" in first.output
    assert "[2/2] seed 1: unsolved" in first.output
    assert f"report: {out}/index.html" in first.output
    assert (out / "index.html").exists()
    again = invoke("run", experiment, "--out", out, "--no-report")
    assert "2 already recorded" in again.output
    assert "report: " not in again.output


def test_default_directory_is_named_after_the_experiment(experiment, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert invoke("run", experiment, "--no-report").exit_code == 0
    assert (tmp_path / "reports" / "small" / "manifest.json").exists()


def test_a_shipped_experiment_is_found_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    changes = ["seed=0", "training.steps=2", "evaluation.sequences=5", "probes=[]", "cell=rnn"]
    options = [part for change in changes for part in ("--set", change)]
    result = invoke("run", "quickstart", "--no-report", *options)
    assert result.exit_code == 2  # the sweep sets the cell together with other keys
    assert "axis 'network' sets cell with other keys" in result.output
    result = invoke("run", "quickstart", "--no-report", *options[:-2])
    assert result.exit_code == 0, result.output
    assert "quickstart: 8 trials -> reports/quickstart" in result.output


@pytest.mark.whole
def test_a_folder_runs_all_that_is_in_it_and_links_the_reports(tmp_path):
    folder, out = tmp_path / "questions", tmp_path / "out"
    folder.mkdir()
    for name in ("b", "a"):
        words = f"question: 'What of <{name}>?'\nfigures: [gradient_vs_lag]\n"
        (folder / f"{name}.yaml").write_text(GOOD + words)
    result = invoke("run", folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert f"index: {out}/index.html" in result.output
    page = (out / "index.html").read_text()
    assert page.index("What of &lt;a&gt;?") < page.index("What of &lt;b&gt;?")
    for name in ("a", "b"):
        assert f'href="{name}/index.html"' in page
        assert (out / name / "index.html").exists()
        assert (out / name / "figures" / "gradient_vs_lag.png").exists()


def test_nothing_of_a_folder_is_run_where_one_of_its_files_is_wrong(tmp_path):
    folder = tmp_path / "questions"
    folder.mkdir()
    (folder / "a.yaml").write_text(GOOD)
    (folder / "b.yaml").write_text("task: {name: adding, lenght: 3}\ncell: rnn")
    assert "did you mean 'length'" in refused("run", folder, "--out", tmp_path / "out")
    (folder / "c.yaml").write_text("task: adding\ncell: LSTM\nseed: x")
    told = invoke("run", folder, "--out", tmp_path / "out").stderr.splitlines()
    assert [line.split("questions/")[1].split(": ")[0] for line in told] == [
        "b.yaml:1:30",
        "c.yaml:2:7",
        "c.yaml:3:7",
    ]
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    assert "holds no YAML file" in refused("run", tmp_path / "empty")


def test_a_folder_without_reports_has_no_index(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "questions").mkdir()
    (tmp_path / "questions" / "a.yaml").write_text(GOOD)
    result = invoke("run", "questions", "--no-report")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "reports" / "questions" / "a" / "manifest.json").exists()
    assert not (tmp_path / "reports" / "questions" / "index.html").exists()


def test_overrides(experiment, tmp_path):
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--no-report",
        "--set", "training.steps=2", "--set", "cell=gru",
    )  # fmt: skip
    assert result.exit_code == 0
    settings = json.loads((tmp_path / "run" / "manifest.json").read_text())["trials"][0]["settings"]
    assert settings["training"]["steps"] == 2
    assert settings["cell"]["name"] == "gru"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.steps", "--set 'training.steps': should be KEY=VALUE"),
        ("=3", "--set '=3': should be KEY=VALUE"),
        ("cell={name: rnn", "--set 'cell={name: rnn': not valid YAML"),
        ("training.stps=3", "training.stps: there is no option 'stps' here; did you mean 'steps'"),
        ("training.steps=few", "training.steps: should be a whole number, such as 20, got 'few'"),
    ],
)
def test_wrong_overrides(change, message, experiment, tmp_path):
    assert message in refused("run", experiment, "--out", tmp_path / "run", "--set", change)
    assert not (tmp_path / "run").exists()


def test_a_file_or_name_that_is_not_there():
    assert "missing.yaml: there is no such file" in refused("run", "missing.yaml")
    assert "did you mean 'quickstart'" in refused("run", "quickstrt")


def test_nothing_is_written_for_a_bad_experiment(tmp_path):
    path = tmp_path / "bad.yaml"
    path.write_text(GOOD + "clpi: none")
    assert f"{path}:6:7" in refused("run", path, "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_experiments_directory_is_left_alone(experiment, recorded, tmp_path):
    before = {p: p.read_bytes() for p in recorded.rglob("*") if p.is_file()}
    other = tmp_path / "other.yaml"
    other.write_text(GOOD)
    message = refused("run", other, "--out", recorded)
    assert "a run of the experiment 'small', not of 'other'" in message
    experiment.write_text(GOOD.replace("steps: 3", "steps: 4"))
    assert "2 recorded trials" in refused("run", experiment, "--out", recorded)
    assert {p: p.read_bytes() for p in recorded.rglob("*") if p.is_file()} == before


def test_a_device_that_is_not_there(experiment, tmp_path):
    message = refused("run", experiment, "--out", tmp_path / "run", "--device", "abacus")
    assert "the device 'abacus' cannot be used here" in message
    assert not (tmp_path / "run").exists()


def test_a_failed_trial_is_exit_code_1(experiment, tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.stderr
    assert f"(traceback in {tmp_path}/run/failures/" in result.stderr


def test_only_the_first_failures_are_named(tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    path = tmp_path / "many.yaml"
    path.write_text(GOOD.replace("[0, 1]", "[0, 1, 2, 3, 4, 5, 6]"))
    result = invoke("run", path, "--out", tmp_path / "run")
    assert result.exit_code == 1
    assert result.stderr.count("ZeroDivisionError") == 5
    assert f"and 2 more failed: see {tmp_path}/run/failures" in result.stderr
    assert not (tmp_path / "run" / "index.html").exists()  # there is nothing to report


def test_divergence_is_not_a_failure(experiment, tmp_path):
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--no-report",
        "--set", "cell={name: rnn, activation: identity}",
        "--set", "optimizer={name: sgd, lr: 1e30}",
    )  # fmt: skip
    assert result.exit_code == 0
    assert "diverged" in result.output


def test_an_interrupted_run_says_what_is_recorded(experiment, tmp_path, interrupted):
    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert result.exit_code == 130
    assert "interrupted: 1 of 2 trials are recorded" in result.stderr
    interrupted.undo()
    again = invoke("run", experiment, "--out", tmp_path / "run", "--no-report")
    assert again.exit_code == 0
    assert "1 already recorded" in again.output


def test_an_address_where_no_scheduler_answers(experiment, tmp_path, monkeypatch):
    from gradscope.experiment import cluster

    client = cluster.Client
    monkeypatch.setattr(cluster, "Client", lambda *a, **k: client(*a, **{**k, "timeout": 0.2}))
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--scheduler", "tcp://127.0.0.1:1"
    )
    assert result.exit_code == 2
    assert "no Dask scheduler answers at 'tcp://127.0.0.1:1'" in result.stderr


def test_the_device_of_a_remote_scheduler_is_not_looked_for_here(experiment, tmp_path, monkeypatch):
    """Its workers may have one that this machine has not; each trial tells what it met."""
    from gradscope.cli import _running as runs

    devices = []

    def run_sweep(experiment, run, observer, *, device, **how):
        devices.append(device)
        return {}

    monkeypatch.setattr(runs, "run_sweep", run_sweep)
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--device", "abacus", "--scheduler", "far"
    )
    assert result.exit_code == 0, result.output
    assert devices == ["abacus"]


def test_a_component_of_ones_own(experiment, plugin, tmp_path):
    experiment.write_text(GOOD + "clip: nothing_at_all\nfigures: [last_losses]\n")
    out = tmp_path / "run"
    without = invoke("run", experiment, "--out", out)
    assert without.exit_code == 2
    told = without.stderr.splitlines()
    assert len(told) == 2
    assert f"{experiment}:6:7: clip.name: there is no clip called 'nothing_at_all'" in told[0]
    assert f"{experiment}:7:11: figures[0].name: there is no plot called 'last_losses'" in told[1]
    result = invoke("run", experiment, "--out", out, "--with", plugin)
    assert result.exit_code == 0, result.output
    assert "Losses of my own" in (out / "index.html").read_text()
    assert json.loads((out / "manifest.json").read_text())["plugins"][0]["path"] == str(plugin)


def test_a_run_is_not_continued_with_a_changed_component(experiment, plugin, tmp_path):
    experiment.write_text(GOOD + "clip: nothing_at_all\n")
    arguments = ("run", experiment, "--out", tmp_path / "run", "--with", plugin, "--no-report")
    assert invoke(*arguments).exit_code == 0
    plugin.write_text(plugin.read_text().replace("zero_()", "mul_(2.0)"))
    message = refused(*arguments)
    assert "another version of the clip nothing_at_all" in message
    assert str(plugin) in message


def test_a_file_that_cannot_be_loaded(experiment, tmp_path):
    assert "there is no such file" in refused("run", experiment, "--with", tmp_path / "nope.py")
    (tmp_path / "bad.py").write_text("x = 1\ny = 1 / 0\n")
    message = refused("run", experiment, "--with", tmp_path / "bad.py")
    assert f"{tmp_path}/bad.py:2: ZeroDivisionError" in message


def test_two_runs_of_one_directory_exclude_each_other(experiment, tmp_path):
    with locked(tmp_path / "run"):
        assert "is in use by another run" in refused("run", experiment, "--out", tmp_path / "run")
        assert not (tmp_path / "run" / "manifest.json").exists()
    assert invoke("run", experiment, "--out", tmp_path / "run", "--no-report").exit_code == 0


def test_a_damaged_trial_is_said_set_aside_and_run_again(experiment, recorded):
    (shard, *_) = sorted((recorded / "tables" / "training").iterdir())
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    again = invoke("run", experiment, "--out", recorded, "--no-report")
    assert again.exit_code == 0
    assert f"{shard}: it is not what its checksum says" in again.stderr
    assert "1 trial will be run again" in again.stderr
    assert shard.read_bytes() == whole
    assert (recorded / "damaged" / "1" / "tables" / "training" / shard.name).is_file()


def test_a_manifest_lost_during_a_run_is_made_again(experiment, tmp_path):
    directory = RunDirectory(tmp_path / "run")

    class Vandal:
        def advanced(self, trial, step, steps, loss):
            directory.manifest_path.unlink(missing_ok=True)

        def finished(self, trial, outcome):
            pass

    run_sweep(Experiment.load(experiment), directory, Vandal())
    assert len(directory.manifest().trials) == len(directory.done()) == 2
