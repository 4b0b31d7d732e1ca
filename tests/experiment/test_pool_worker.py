"""The process of the pool: one that is real, and the parts of what it does."""

import queue
from io import BytesIO

import pytest

from gradscope.errors import GradscopeError, PluginError
from gradscope.experiment import Experiment, pool_worker
from gradscope.experiment.pool_process import WorkerProcess, greeting
from gradscope.experiment.worker import record
from gradscope.results.records import RunDirectory
from tests.components.conftest import _forgotten_afterwards  # noqa: F401 - of every test here

TRIAL = Experiment.of(
    {
        "task": {"name": "adding", "length": 4},
        "cell": "rnn",
        "training": {"steps": 3},
        "evaluation": {"sequences": 5},
    }
).trials[0]


def test_it_records_what_a_trial_here_records_and_ends_with_who_asked(tmp_path):
    events: queue.SimpleQueue = queue.SimpleQueue()
    here, there = RunDirectory(tmp_path / "here"), RunDirectory(tmp_path / "there")
    process = WorkerProcess(greeting(there.path, "cpu"), events)
    try:
        assert events.get(timeout=100).message == {"ready": True}
        process.give([TRIAL])
        said = [events.get(timeout=100).message]
        while "progress" in said[-1]:
            said.append(events.get(timeout=100).message)
        assert len(said) > 1
        assert said[-1] == {"outcome": [TRIAL.id, "unsolved"]}
        assert events.get(timeout=100).message == {"done": True}
        (there.path / "ledger" / ".x.tmp").touch()
        process.process.stdin.close()  # as it is when the process that asked was killed
        assert events.get(timeout=100).message is None
        assert process.process.wait(timeout=100) == 1
    finally:
        process.kill()
    assert record(TRIAL, here, "cpu", lambda *_: None) == "unsolved"
    shards = here.shards_of(TRIAL.id)
    assert shards
    for name in shards:
        assert (here.path / name).read_bytes() == (there.path / name).read_bytes()


def test_a_plugin_that_has_changed_is_refused(tmp_path):
    plugin = tmp_path / "noop.py"
    plugin.write_text(
        "from gradscope.clips import Clip, register\n\n@register('noop')\nclass Noop(Clip):\n"
        '    """Nothing."""\n\n    def __call__(self, gradients, norm):\n        return norm\n'
    )
    told = {"plugins": [[str(plugin), "0" * 64]], "modules": [], "script": None}
    with pytest.raises(PluginError, match="has changed since the run began"):
        pool_worker._import(told)


def test_a_script_is_imported_but_not_as_the_main_one(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import multiprocessing\nfrom pathlib import Path\n"
        "inheriting = multiprocessing.current_process()._inheriting\n"
        f"Path({str(tmp_path / 'said')!r}).write_text(__name__ + str(inheriting))\n"
    )
    told = {"plugins": [], "modules": ["json"], "script": str(script), "components": []}
    pool_worker._import(told)
    assert (tmp_path / "said").read_text() == "__mp_main__True"


def test_a_component_that_importing_the_script_does_not_define(tmp_path):
    """As that of a marimo notebook, whose cells are functions that nobody calls then."""
    script = tmp_path / "notebook.py"
    script.touch()
    told = {
        "plugins": [],
        "modules": [],
        "script": str(script),
        "components": [["clip", "half"]],
    }
    with pytest.raises(GradscopeError, match=r"the clip 'half' is not defined where .*notebook.py"):
        pool_worker._import(told)


def test_settings_that_are_no_longer_the_trials_fail_it(tmp_path):
    run, said = RunDirectory(tmp_path), BytesIO()
    orders = {"trials": {"0" * 12: TRIAL.resolved}}
    messages = list(pool_worker._run(orders, run, "cpu", said))
    assert messages == [{"outcome": ["0" * 12, "failed"]}, {"done": True}]
    assert (
        "has changed since the run began"
        in (tmp_path / "failures" / f"{'0' * 12}.json").read_text()
    )
