"""Runs from Python: carried out in every way there is, and opened again."""

import multiprocessing
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

import gradscope
from gradscope import Experiment, GradscopeError, Run
from gradscope.errors import ConfigError, RunDirectoryError, UnknownTableError
from gradscope.experiment.run import prepare
from gradscope.results import predictions, summary, tables, verdict
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

SMALL = {
    "task": {"name": "adding", "length": 4},
    "cell": "rnn",
    "training": {"steps": 2},
    "evaluation": {"sequences": 5},
    "probes": ["memory_horizon"],
    "sweep": {"seed": [0, 1]},
}
TEXT = """
task: {name: adding, length: 4}
cell: rnn
training: {steps: 2}
evaluation: {sequences: 5}
probes: [memory_horizon]
sweep: {seed: [0, 1]}
"""


@pytest.fixture
def small(tmp_path) -> Run:
    """A run of two trials."""
    return gradscope.run(SMALL, out=tmp_path / "small", progress=False)


@pytest.fixture
def broken(monkeypatch):
    """Every trial fails."""
    from gradscope.probes.memory_horizon import MemoryHorizonProbe

    monkeypatch.setattr(MemoryHorizonProbe, "measure", lambda self, trace: 1 / 0)


@pytest.fixture
def tiny(tiny_run) -> Run:
    """The recorded run that has everything."""
    return gradscope.open_run(tiny_run)


# --- an experiment in every way -------------------------------------------------------------------


def test_whatever_an_experiment_may_be_given_as(small, tmp_path):
    file = tmp_path / "experiment.yaml"
    file.write_text(TEXT)
    ways = {
        "text": TEXT,
        "file": file,
        "name of the file": str(file),
        "experiment": Experiment.parse(TEXT),
    }
    for name, experiment in ways.items():
        run = gradscope.run(experiment, out=tmp_path / name, progress=False)
        assert run.name == "experiment"
        assert run.trials.equals(small.trials)
        assert run.tables["trials"].equals(small.tables["trials"])


def test_one_line_of_yaml_is_text(tmp_path):
    text = "{task: {name: adding, length: 4}, cell: rnn, training: {steps: 1}, probes: []}"
    run = gradscope.run(text, out=tmp_path / "run", progress=False)
    assert len(run.trials) == 1


def test_a_shipped_experiment_by_its_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    few = {"seed": 0, "training.steps": 1, "evaluation.sequences": 5, "probes": []}
    run = gradscope.run("quickstart", overrides=few, progress=False)
    assert str(run.path) == "reports/quickstart"
    assert len(run.trials) == 8


def test_overrides(tmp_path):
    run = gradscope.run(
        SMALL, out=tmp_path / "run", progress=False, overrides={"seed": 7, "cell.hidden_size": 3}
    )
    assert run.trials["seed"].tolist() == [7]
    assert run.manifest.trials[0].settings["cell"]["hidden_size"] == 3


@pytest.mark.parametrize(
    ("experiment", "overrides", "message"),
    [
        ("quickstrt", None, "did you mean 'quickstart'"),
        ("no/such.yaml", None, "^no/such.yaml: there is no such file"),
        ("task: adding\ncel: rnn", None, "<text>:2:6: an experiment has no key 'cel'"),
        ({"task": "adding", "cell": "lstn"}, None, "cell.name: there is no cell called 'lstn'"),
        (SMALL, {"training.step": 1}, "^overrides: training.step: there is no option 'step'"),
        (Experiment.parse(TEXT), {"seed": 1}, "overrides are for a file, a text or a mapping"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_written(
    experiment, overrides, message, tmp_path
):
    with pytest.raises(ConfigError, match=message):
        gradscope.run(experiment, out=tmp_path / "run", overrides=overrides)
    assert not (tmp_path / "run").exists()


def test_what_is_no_experiment():
    from gradscope.runs import _loaded

    unchecked = getattr(_loaded, "__wrapped__", _loaded)  # without the tests' check of types
    with pytest.raises(ConfigError, match="YAML text, a mapping or an Experiment, got int"):
        unchecked(3, None)


# --- running --------------------------------------------------------------------------------------


def test_a_run_goes_on_where_it_ended(small, monkeypatch):
    from gradscope.experiment import run as runs

    monkeypatch.setattr(runs, "record_all", lambda *a: pytest.fail("it is recorded already"))
    again = gradscope.run(SMALL, out=small.path, progress=False)
    assert again.tables["trials"].equals(small.tables["trials"])


def test_progress_is_shown_unless_it_is_not_wanted(tmp_path, capsys):
    for name, progress, lines in (("a", None, 2), ("b", True, 2), ("c", False, 0)):
        gradscope.run(SMALL, out=tmp_path / name, progress=progress)
        assert len(capsys.readouterr().out.splitlines()) == lines


def test_somebody_may_be_told_of_progress(tmp_path):
    observer = Silent()
    run = gradscope.run(SMALL, out=tmp_path / "run", progress=observer)
    assert observer.outcomes == dict.fromkeys(run.trials["trial"], "unsolved")


@pytest.mark.whole
def test_two_workers(small, tmp_path):
    run = gradscope.run(SMALL, out=tmp_path / "run", workers=2, progress=False)
    assert run.trials.equals(small.trials)
    pd.testing.assert_frame_equal(run.tables["trials"], small.tables["trials"])


def run_script(folder, text):
    """What a script ends with."""
    (folder / "script.py").write_text(text)
    return subprocess.run(
        [sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=300
    )


@pytest.mark.whole
def test_a_script_needs_no_guard_to_ask_for_workers(tmp_path):
    call = f"print(gradscope.run({SMALL!r}, workers=2, out='run', progress=False))"
    done = run_script(tmp_path, f"import gradscope\n{call}\n")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 trials recorded" in done.stdout


OWN = """
import gradscope
from gradscope.clips import Clip, register

@register("half")
class Half(Clip):
    \"\"\"Halves every gradient.\"\"\"

    def __call__(self, gradients, norm):
        for gradient in gradients:
            gradient.mul_(0.5)
        return norm.new_tensor(0.5)

"""


@pytest.mark.whole
def test_a_script_with_components_of_its_own_needs_one_and_is_told_so(tmp_path):
    call = f"print(gradscope.run({ {**SMALL, 'clip': 'half'}!r}, workers=2, progress=False))"
    unguarded = run_script(tmp_path, f"{OWN}{call}\n")
    assert unguarded.returncode == 1
    last = unguarded.stderr.splitlines()[-1]
    assert "was reached while a worker process imported this script" in last
    assert "under 'if __name__ == \"__main__\":'" in last
    guarded = run_script(tmp_path, f'{OWN}if __name__ == "__main__":\n    {call}\n')
    assert guarded.returncode == 0, guarded.stderr
    assert "2 of 2 trials recorded" in guarded.stdout


def test_a_worker_that_imports_the_script_does_not_run_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(multiprocessing.current_process(), "_inheriting", True, raising=False)
    with pytest.raises(GradscopeError, match=r"run\(workers=1\) was reached while a worker"):
        gradscope.run(SMALL, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_workers_are_at_least_one(tmp_path):
    with pytest.raises(ValueError, match="workers should be at least 1, got 0"):
        gradscope.run(SMALL, out=tmp_path / "run", workers=0)


def test_a_device_that_is_not_there(tmp_path):
    with pytest.raises(GradscopeError, match="the device 'abacus' cannot be used here"):
        gradscope.run(SMALL, out=tmp_path / "run", device="abacus")
    assert not (tmp_path / "run").exists()


def test_the_device_of_a_remote_scheduler_is_not_looked_for_here(tmp_path, monkeypatch):
    from gradscope.experiment import cluster

    client = cluster.Client
    monkeypatch.setattr(cluster, "Client", lambda *a, **k: client(*a, **{**k, "timeout": 0.2}))
    with pytest.raises(GradscopeError, match="no Dask scheduler answers at 'nonsense'"):
        gradscope.run(
            SMALL, out=tmp_path / "run", device="abacus", scheduler="nonsense", progress=False
        )


def test_another_experiments_directory_is_left_alone(small):
    with pytest.raises(RunDirectoryError, match="2 recorded trials"):
        gradscope.run(SMALL, out=small.path, overrides={"training.steps": 3})


def test_failures_are_warned_of(broken, tmp_path):
    with pytest.warns(UserWarning, match=r"2 of 2 trials failed.*ZeroDivisionError.*Run.failures"):
        run = gradscope.run(SMALL, out=tmp_path / "run", progress=False)
    assert set(run.failures) == set(run.trials["trial"])
    assert set(run.failures.values()) == {"ZeroDivisionError: division by zero"}
    assert run.trials["outcome"].tolist() == ["failed", "failed"]


@pytest.mark.whole
def test_the_warning_is_of_the_callers_line(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import gradscope\n"
        "from gradscope.probes.memory_horizon import MemoryHorizonProbe\n"
        "MemoryHorizonProbe.measure = lambda self, trace: 1 / 0\n"
        f"gradscope.run({SMALL!r}, out='run', progress=False)\n"
    )
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "script.py:4: UserWarning: 2 of 2 trials failed" in done.stderr


# --- a run ----------------------------------------------------------------------------------------


def test_what_a_run_says_is_what_its_directory_holds(tiny, tiny_run):
    directory = RunDirectory(tiny_run)
    manifest, loaded = directory.manifest(), tables.load(directory)
    assert (tiny.path, tiny.name) == (tiny_run, "tiny")
    assert tiny.manifest == manifest
    assert set(tiny.tables) == set(loaded)
    assert tiny.tables is tiny.tables, "they are read once"
    pd.testing.assert_frame_equal(tiny.summary(), summary.summary(loaded, manifest.tasks))
    assert tiny.verdict() == verdict.verdict(loaded, manifest.tasks)
    expected = predictions.predictions(loaded, manifest.expect, manifest.tasks)
    pd.testing.assert_frame_equal(tiny.predictions(), expected)
    assert {"claim", "measured", "predicted", "held", "every", "evident"} <= set(expected)
    with pytest.raises(UnknownTableError, match="no table 'nothing'"):
        tiny.tables["nothing"]


def test_every_trial_has_a_row(tiny):
    trials = tiny.trials
    assert list(trials.columns) == [
        "trial", "configuration", "task", "length", "seed", "outcome", "weights",
    ]  # fmt: skip
    assert trials["trial"].tolist() == [entry.id for entry in tiny.manifest.trials]
    assert set(trials.query("configuration == 'diverging · none'")["outcome"]) == {"diverged"}
    assert set(trials.query("configuration == 'LSTM · none'")["outcome"]) == {"unsolved"}
    assert not trials["weights"].any()
    assert tiny.failures == {}


def test_plots_take_a_run(small):
    assert isinstance(gradscope.plots.learning_curves(small), Figure)


def test_a_report_is_written_into_the_directory(tmp_path):
    run = gradscope.run(
        {**SMALL, "figures": ["learning_curves"]}, out=tmp_path / "run", progress=False
    )
    assert not (run.path / "index.html").exists()
    assert run.report() == run.path / "index.html"
    assert "What was found" in (run.path / "index.html").read_text()


def test_an_unfinished_run(small):
    lost, kept = small.trials["trial"]
    (small.path / "ledger" / f"{lost}.json").unlink()
    run = gradscope.open_run(str(small.path))
    assert run.trials["outcome"].tolist() == ["missing", "unsolved"]
    assert repr(run).endswith("1 of 2 trials recorded)")
    assert run.tables["trials"]["trial"].tolist() == [kept]


def test_a_run_without_a_recorded_trial(tmp_path):
    prepare(Experiment.parse(TEXT), RunDirectory(tmp_path / "run"), "cpu")
    run = gradscope.open_run(tmp_path / "run")
    assert run.trials["outcome"].tolist() == ["missing", "missing"]
    assert repr(run) == f"Run('{tmp_path}/run': 0 of 2 trials recorded)"
    assert f"0 of 2 trials recorded in {tmp_path}/run</p>" in run._repr_html_()
    for read in (lambda: run.tables, run.summary, run.verdict, run.predictions, run.report):
        with pytest.raises(RunDirectoryError, match="no trial"):
            read()


def test_what_is_no_run(tmp_path):
    with pytest.raises(RunDirectoryError, match="does not exist"):
        gradscope.open_run(tmp_path / "nowhere")
    with pytest.raises(RunDirectoryError, match=r"holds no manifest.json"):
        gradscope.open_run(tmp_path)


# --- how it is shown ------------------------------------------------------------------------------


def test_a_run_tells_how_far_it_is(tiny):
    assert repr(tiny) == f"Run('{tiny.path}': 32 of 32 trials recorded)"


# --- trained models -------------------------------------------------------------------------------


def test_a_trained_model_is_given_back(tmp_path):
    kept = {"label": "kept", "seed": 2, "training.save_weights": True}
    sweep = {"v": [{"label": "bare", "seed": 1}, kept]}
    run = gradscope.run({**SMALL, "sweep": sweep}, out=tmp_path / "run", progress=False)
    assert run.trials["weights"].tolist() == [False, True]
    model = run.model()
    assert isinstance(model, torch.nn.Module)
    by_label, by_id = run.model("kept"), run.model(run.trials["trial"][1])
    for other in (by_label, by_id):
        for name, value in model.state_dict().items():
            assert torch.equal(other.state_dict()[name], value)
    with pytest.raises(GradscopeError, match="save_weights=true"):
        run.model("bare")
    with pytest.raises(GradscopeError, match="no configuration 'nope'"):
        run.model("nope")


def test_a_run_that_has_moved(small, tmp_path):
    moved = shutil.copytree(small.path, tmp_path / "elsewhere")
    run = gradscope.open_run(moved)
    pd.testing.assert_frame_equal(run.tables["trials"], small.tables["trials"])
