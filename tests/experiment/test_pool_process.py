"""A process as the one that started it sees it; short programs stand in for the worker."""

import os
import queue
import signal
import sys
import textwrap
from types import ModuleType

import pytest

from gradscope.clips import Clip, register
from gradscope.components import registry
from gradscope.errors import GradscopeError, PluginError
from gradscope.experiment import Experiment, pool_process
from gradscope.experiment.pool_process import WorkerProcess, greeting

TRIAL = Experiment.of({"task": {"name": "adding", "length": 4}, "cell": "rnn"}).trials[0]


@pytest.fixture
def start(monkeypatch):
    """Start a process that runs this program, which reads as ``pool_worker`` does."""
    begun = []

    def starting(program: str) -> tuple[WorkerProcess, queue.SimpleQueue]:
        code = "import json, os, sys\nread = lambda: json.loads(sys.stdin.readline())\n"
        monkeypatch.setattr(pool_process, "_CODE", code + textwrap.dedent(program))
        events: queue.SimpleQueue = queue.SimpleQueue()
        begun.append(WorkerProcess({"run": "here"}, events))
        return begun[-1], events

    yield starting
    for process in begun:
        process.kill()


def messages(events):
    """What was said, to the end."""
    said = []
    while (event := events.get(timeout=30)).message is not None:
        said.append(event.message)
    return said


def test_it_is_told_the_search_path_what_to_import_and_each_trial(start):
    program = """
        print(json.dumps({"heard": [read(), read(), read()]}), flush=True)
    """
    process, events = start(program)
    process.give([TRIAL])
    (said,) = messages(events)
    path, told, task = said["heard"]
    assert path == [p for p in sys.path if isinstance(p, str)]
    assert told == {"run": "here"}
    assert task == {"trials": {TRIAL.id: TRIAL.resolved}}


def test_it_runs_with_one_thread_and_is_deaf_to_interrupts(start):
    program = """
        import signal
        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        print(json.dumps({"threads": os.environ["OMP_NUM_THREADS"], "ignored": ignored}))
    """
    assert messages(start(program)[1]) == [{"threads": "1", "ignored": True}]


def test_a_message_that_is_cut_off_is_the_end(start):
    _, events = start("print('{\"outcome\": \"sol', end='')")
    assert messages(events) == []


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("os._exit(7)", "its process ended with exit code 7, 3 times"),
        ("os.kill(os.getpid(), 9)", "its process ended by signal 9, Killed, 3 times"),
        ("os.kill(os.getpid(), 11)", "its process ended by signal 11, Segmentation fault, 3 times"),
    ],
)
def test_how_it_ended(start, program, said):
    process, events = start(program)
    messages(events)
    process.process.wait()
    assert process.how_it_ended(3) == said
    assert process.was_killed == ("signal 9" in said)


def test_what_it_prints_is_printed_and_kept(start, capsys):
    process, events = start("print('\\n'.join(map(str, range(100))), file=sys.stderr)")
    messages(events)
    process.kill()
    assert process.last_words().splitlines() == [str(n) for n in range(70, 100)]
    assert "42\n" in capsys.readouterr().err


def test_the_memory_that_it_holds_is_looked_at(start):
    process, _ = start(
        "held = bytearray(60_000_000); print('{}', flush=True); read(); read(); read()"
    )
    process.events = None
    while process.peak < 60_000_000:
        process.look()
    assert process.peak < 10**9


def test_killing_it_leaves_nothing_behind(start):
    process, _ = start("import time; time.sleep(100)")
    process.kill()
    assert process.process.returncode == -signal.SIGKILL
    assert not process.reader.is_alive()
    process.give([TRIAL])  # a trial that comes too late is no error: the end has been told


def test_an_error_keeps_its_class(start):
    process, _ = start("")
    assert isinstance(process.error({"unusable": "x", "error": "PluginError"}), PluginError)
    assert type(process.error({"unusable": "x", "error": "Unheard"})) is GradscopeError


# --- what it is told to import --------------------------------------------------------------------


@pytest.fixture
def half():
    """Register a clip as if by the module of a name."""
    modules = []

    def defining(module: str) -> None:
        class Half(Clip):
            """Halves."""

            def __call__(self, gradients, norm):
                return norm.new_tensor(0.5)

        Half.__module__ = module
        modules.append(module)
        register("half")(Half)

    yield defining
    registry.forget(modules)


def test_modules_that_register_components_are_imported(tmp_path, half):
    half("somebodys_clips")
    told = greeting(tmp_path, "cpu")
    assert "somebodys_clips" in told["modules"]
    assert told["script"] is None
    assert told["run"] == os.fspath(tmp_path)


def test_a_script_that_registers_components_is_imported(tmp_path, half, monkeypatch):
    script = tmp_path / "script.py"
    script.touch()
    main = ModuleType("__main__")
    main.__file__ = os.fspath(script)
    monkeypatch.setitem(sys.modules, "__main__", main)
    half("__main__")
    told = greeting(tmp_path, "cpu")
    assert told["script"] == os.fspath(script)
    assert told["components"] == [("clip", "half")]


def test_components_of_a_notebook_cannot_be_imported(tmp_path, half, monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", ModuleType("__main__"))
    half("__main__")
    with pytest.raises(GradscopeError, match="the clip 'half' is defined in this session"):
        greeting(tmp_path, "cpu")
