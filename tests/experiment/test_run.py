"""Sweeps: what is missing is run, what fails is kept apart, and what is recorded stays."""

import pytest

from gradscope.experiment import Experiment
from gradscope.experiment.run import manifest_of, prepare, run_sweep
from gradscope.probes.saturation import Saturation
from gradscope.results.files import _place
from gradscope.results.records import RunDirectory
from tests.conftest import Silent


def small(sweep: str) -> Experiment:
    return Experiment.parse(
        "task: {name: adding, length: 4}\ncell: rnn\ntraining: {steps: 3}\n"
        f"evaluation: {{sequences: 5}}\nsweep: {sweep}",
        default_name="small",
    )


def test_the_manifest_says_in_words_what_was_asked():
    experiment = Experiment.parse(
        "question: which?\nfigures: [learning_curves]\ncell: rnn\nsweep:\n"
        "  task: [{name: adding, length: 4}, {name: adding, length: 5}, char_lm]\nexpect:\n"
        "  - {claim: c, measure: final_loss, configuration: char_lm, below: 3}"
    )
    manifest = manifest_of(experiment)
    assert manifest.question == "which?"
    assert set(manifest.tasks) == {"adding", "char_lm"}
    adding, characters = manifest.tasks["adding"], manifest.tasks["char_lm"]
    assert adding.about.startswith("Add the two marked numbers")
    assert adding.wrong.startswith("An error above 0.04")
    assert "below 0.01" in adding.criterion
    assert characters.measures["bits_per_character"] == ("bits per character", "")
    assert manifest.figures[0]["name"] == "learning_curves"
    assert [(p.measure, p.below) for p in manifest.expect] == [("final_loss", 3.0)]
    for entry, trial in zip(manifest.trials, experiment.trials, strict=True):
        assert entry.id == trial.id
        assert entry.settings == trial.resolved
    assert manifest.plugins == []


def test_a_second_run_does_only_what_is_missing(tmp_path):
    experiment = small("{seed: [0, 1]}")
    run = RunDirectory(tmp_path / "run")
    assert len(run_sweep(experiment, run, Silent())) == 2
    stamps = {p: p.stat().st_mtime_ns for p in (tmp_path / "run/tables").rglob("*.parquet")}
    assert run_sweep(experiment, run, Silent()) == {}
    grown = small("{seed: [0, 1, 2]}")
    assert len(prepare(grown, run, "cpu").missing) == 1
    assert len(run_sweep(grown, run, Silent())) == 1
    assert all(p.stat().st_mtime_ns == stamp for p, stamp in stamps.items())


def test_a_failing_trial_is_kept_apart_and_costs_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    experiment = small("[{probes: []}, {probes: [saturation]}]")
    run, observer = RunDirectory(tmp_path / "run"), Silent()
    outcomes = run_sweep(experiment, run, observer)
    assert list(outcomes.values()) == ["unsolved", "failed"]
    assert observer.outcomes == outcomes
    (failure,) = run.failures().values()
    assert failure["error"] == "ZeroDivisionError: division by zero"
    assert "Traceback" in failure["traceback"]
    monkeypatch.undo()
    assert list(run_sweep(experiment, run, Silent()).values()) == ["unsolved"]
    assert run.failures() == {}


def test_interrupt_leaves_what_is_recorded(tmp_path):
    experiment = small("{seed: [0, 1, 2]}")

    class Impatient(Silent):
        def finished(self, trial, outcome):
            raise KeyboardInterrupt

    run = RunDirectory(tmp_path / "run")
    with pytest.raises(KeyboardInterrupt):
        run_sweep(experiment, run, Impatient())
    assert len(run.done()) == 1
    assert len(run_sweep(experiment, run, Silent())) == 2


def test_what_a_worker_leaves_that_dies_meanwhile_is_removed(tmp_path):
    run = RunDirectory(tmp_path / "run")

    class Dying(Silent):
        def finished(self, trial, outcome):
            write_temporary(run.path / "tables")

    def write_temporary(folder):
        (folder / f".x.parquet.12345678.{_place()}-999999999.tmp").write_text("half")

    run_sweep(small("{seed: [0]}"), run, Dying())
    assert not list(run.path.rglob("*.tmp"))


TOGETHER = """
task: {name: adding, length: 6}
cell: {name: gru, hidden_size: 5}
training: {steps: 5, batch_size: 3}
evaluation: {sequences: 5}
sweep: {seed: [0, 1, 2]}
"""


def shards(run: RunDirectory, trial: str) -> list[bytes]:
    return [(run.path / name).read_bytes() for name in sorted(run.shards_of(trial))]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.whole)])
def test_a_group_that_is_gone_on_with_trains_together_again(tmp_path, workers, monkeypatch):
    experiment, run = Experiment.parse(TOGETHER, default_name="t"), RunDirectory(tmp_path / "run")
    ids = [trial.id for trial in experiment.trials]
    run_sweep(experiment, run, Silent(), population=3)
    assert run.manifest().together == [ids]
    before = {trial: shards(run, trial) for trial in ids}
    (run.path / "ledger" / f"{ids[1]}.json").unlink()
    observer = Silent()
    assert run_sweep(experiment, run, observer, workers=workers).keys() == {ids[1]}
    assert observer.outcomes.keys() == {ids[1]}
    assert {trial: shards(run, trial) for trial in ids} == before
    assert run.ledger(ids[1]).together == tuple(ids)


def test_trials_that_cannot_train_together_after_all_do_so_alone(tmp_path, monkeypatch):
    def fails(trials, **how):
        raise ValueError("no")

    monkeypatch.setattr("gradscope.experiment.worker.run_together", fails)
    run = RunDirectory(tmp_path / "run")
    with pytest.warns(RuntimeWarning, match="3 trials do not train together.*ValueError: no"):
        outcomes = run_sweep(
            Experiment.parse(TOGETHER, default_name="t"), run, Silent(), population=3
        )
    assert len(outcomes) == len(run.done()) == 3
    assert all(run.ledger(trial).together == () for trial in outcomes)
