"""Trials on a Dask cluster."""

import importlib
import sys

import pytest
from distributed import LocalCluster
from distributed.security import Security

from gradscope.errors import GradscopeError, MissingPackageError
from gradscope.experiment import Experiment, Scheduler
from gradscope.experiment.run import run_sweep
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

TEXT = """
task: {name: adding, length: 4}
cell: rnn
training: {steps: 3}
evaluation: {sequences: 5}
sweep: {seed: [0, 1]}
"""


@pytest.fixture(scope="module")
def scheduler():
    """The address of a scheduler whose worker lives in this process."""
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster.scheduler_address


@pytest.mark.whole
def test_two_runs_on_one_scheduler_do_not_take_each_others_trials(tmp_path, scheduler):
    experiment = Experiment.parse(TEXT, default_name="same")
    for folder in ("a", "b"):
        run, observer = RunDirectory(tmp_path / folder), Silent()
        outcomes = run_sweep(experiment, run, observer, scheduler=scheduler)
        assert len(run.done()) == 2
        assert observer.outcomes == outcomes


def test_trials_recorded_where_the_run_is_not_have_failed(tmp_path, scheduler, monkeypatch):
    """A worker that sees another directory under the same path."""
    from gradscope.experiment import cluster

    elsewhere = tmp_path / "elsewhere"

    def record_all(trials, run, device, advanced):
        return original(trials, RunDirectory(elsewhere), device, advanced)

    original = cluster.record_all
    monkeypatch.setattr(cluster, "record_all", record_all)
    run = RunDirectory(tmp_path / "run")
    outcomes = run_sweep(Experiment.parse(TEXT), run, Silent(), scheduler=scheduler)
    assert set(outcomes.values()) == {"failed"}
    assert run.done() == set()
    errors = [failure["error"] for failure in run.failures().values()]
    assert all("its worker saw another directory" in error for error in errors)


def test_a_failure_outside_the_trial_is_written_down(tmp_path, scheduler, monkeypatch):
    from gradscope.experiment import cluster

    def record_all(trials, run, device, advanced):
        raise OSError("disk full")

    monkeypatch.setattr(cluster, "record_all", record_all)
    run, observer = RunDirectory(tmp_path / "run"), Silent()
    outcomes = run_sweep(Experiment.parse(TEXT), run, observer, scheduler=scheduler)
    assert set(outcomes.values()) == set(observer.outcomes.values()) == {"failed"}
    assert [failure["error"] for failure in run.failures().values()] == ["disk full"] * 2


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense"])
def test_an_address_without_a_scheduler_is_an_error(address, tmp_path, monkeypatch):
    from gradscope.experiment import cluster

    client = cluster.Client
    monkeypatch.setattr(cluster, "Client", lambda *a, **k: client(*a, **{**k, "timeout": 0.2}))
    with pytest.raises(GradscopeError, match="no Dask scheduler answers at"):
        run_sweep(
            Experiment.parse(TEXT), RunDirectory(tmp_path / "run"), Silent(), scheduler=address
        )


# --- certificates ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """The address of a scheduler that speaks TLS alone, and the files of its certificates."""
    security, folder = Security.temporary(), tmp_path_factory.mktemp("certificates")
    files = {}
    for name, content in {
        "ca_file": security.tls_ca_file,
        "cert": security.tls_client_cert,
        "key": security.tls_client_key,
    }.items():
        (folder / f"{name}.pem").write_text(content)
        files[name] = str(folder / f"{name}.pem")
    with LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tls://",
        security=security,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    ) as cluster:
        yield cluster.scheduler_address, files


def test_a_scheduler_with_certificates(tmp_path, secured):
    address, files = secured
    assert address.startswith("tls://")
    run = RunDirectory(tmp_path / "run")
    outcomes = run_sweep(
        Experiment.parse(TEXT), run, Silent(), scheduler=Scheduler(address, **files)
    )
    assert set(outcomes.values()) == {"unsolved"}
    assert len(run.done()) == 2


def test_without_them_nobody_gets_in(tmp_path, secured):
    address, _ = secured
    for wrong in (address, address.replace("tls://", "tcp://")):
        with pytest.raises(GradscopeError, match="no Dask scheduler answers at"):
            run_sweep(
                Experiment.parse(TEXT), RunDirectory(tmp_path / "run"), Silent(), scheduler=wrong
            )


def test_without_dask_it_is_said_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "gradscope.experiment.cluster", raising=False)
    with pytest.raises(MissingPackageError, match=r"pip install gradscope-dynamics\[cluster\]"):
        importlib.import_module("gradscope.experiment.cluster")
