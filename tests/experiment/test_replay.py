"""A recorded run held against the same trials now."""

import pytest

from gradscope.errors import GradscopeError
from gradscope.experiment import Experiment, replay
from gradscope.experiment.replay import changed_since, recorded_experiment, replayed
from gradscope.experiment.run import run_sweep
from gradscope.results.columns import Rows
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

TEXT = """
task: {name: adding, length: 4}
cell: {name: rnn, hidden_size: 3}
training: {steps: 3}
evaluation: {sequences: 5}
probes: [none, grad_norms]
sweep: {cell.name: [rnn, gru], seed: [0, 1]}
"""


@pytest.fixture
def run(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    run_sweep(Experiment.parse(TEXT), directory, Silent())
    return directory


def written_again(run, trial, table, change):
    """Record a trial once more, with one of its tables changed."""
    names = [path.parts[1] for path in run.shards_of(trial)]
    tables = {}
    for name in names:
        tables[name] = Rows()
        columns = run.read(name, [trial]).drop_columns(["trial"]).to_pydict()
        tables[name].add(**(change(columns) if name == table else columns))
    run.write_trial(trial, tables, {"total": 1.0}, settings=run.ledger(trial).settings)


def test_the_same_trials_give_the_same_bits(run):
    recorded = recorded_experiment(run)
    assert [trial.id for trial in recorded.trials] == [t.id for t in run.manifest().trials]
    observer = Silent()
    assert replayed(run, recorded, observer) == []
    assert len(observer.outcomes) == 4
    assert changed_since(run.manifest()) == []


def test_the_first_number_that_differs_is_named(run):
    trial = run.manifest().trials[2].id

    def change(columns):
        columns["loss"][1] += 1e-16 + columns["loss"][1] * 2**-52
        return columns

    written_again(run, trial, "training", change)
    (difference,) = replayed(run, recorded_experiment(run), Silent())
    assert difference.trial == trial
    assert difference.where == "training, loss of row 1 (train_step 1)"
    assert float(difference.recorded) != float(difference.now)
    assert str(difference).startswith(f"{trial}: first differs in training, loss of row 1")


def test_rows_and_columns_that_are_not_there(run):
    first, second, *_ = [entry.id for entry in run.manifest().trials]
    written_again(run, first, "training", lambda c: {k: v[:-1] for k, v in c.items()})
    written_again(run, second, "training", lambda columns: {**columns, "more": columns["loss"]})
    found = {one.trial: one for one in replayed(run, recorded_experiment(run), Silent())}
    assert found[first][1:] == ("training, its rows", "2", "3")
    assert found[second].where == "training, its columns"
    assert found[second].recorded.endswith(", more")


def test_a_trial_that_fails_now(run, monkeypatch):
    from gradscope.probes.grad_norms import GradNorms

    monkeypatch.setattr(GradNorms, "measure", lambda self, trace: 1 / 0)
    found = replayed(run, recorded_experiment(run), Silent())
    assert len(found) == 4
    assert "now it fails: ZeroDivisionError: division by zero" in str(found[0])


def test_only_what_is_recorded_is_run_again(run):
    trial = run.manifest().trials[0].id
    (run.path / "ledger" / f"{trial}.json").unlink()
    assert len(recorded_experiment(run).trials) == 3


def test_a_text_that_has_changed(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("a good day " * 60)
    task = {"name": "char_lm", "corpus": str(text), "length": 5}
    experiment = Experiment.of({"task": task, "cell": "rnn", "training": {"steps": 2}})
    run = RunDirectory(tmp_path / "run")
    run_sweep(experiment, run, Silent())
    text.write_text("a bad day " * 60)
    with pytest.raises(GradscopeError, match=r"text.txt: has changed since the run began"):
        recorded_experiment(run)


def test_what_has_changed_since(run, monkeypatch):
    monkeypatch.setattr(replay, "versions", lambda: {**then, "torch": "9.9"})
    then = run.manifest().provenance[-1].versions
    assert changed_since(run.manifest()) == [f"torch {then['torch']}, now 9.9"]


def test_trials_that_trained_together_do_so_again(tmp_path):
    experiment, directory = Experiment.parse(TEXT), RunDirectory(tmp_path / "together")
    run_sweep(experiment, directory, Silent(), population=2)
    ids = [trial.id for trial in experiment.trials]
    for lost in (ids[0], ids[3]):  # a partner that is not recorded, and one that ran again alone
        (directory.path / "ledger" / f"{lost}.json").unlink()
    run_sweep(experiment, directory, Silent(), population="off", groups=[[experiment.trials[3]]])
    observer = Silent()
    assert replayed(directory, recorded_experiment(directory), observer) == []
    assert directory.ledger(ids[3]).together == ()
    assert directory.ledger(ids[1]).together == (ids[0], ids[1])
