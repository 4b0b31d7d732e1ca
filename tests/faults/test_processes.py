"""Processes of a run: one trial's fault is its own, and no other user can reach them."""

import os
import subprocess
import sys

import psutil
import pytest

from gradscope.results.records import RunDirectory
from tests.faults.conftest import tried

pytestmark = pytest.mark.faults

DEADLY = '''
import os, psutil, sys
from pathlib import Path
from gradscope.clips import Clip, register

HERE = Path(__file__).parent

@register("deadly")
class Deadly(Clip):
    """Ends its process, always or once, or asks for more memory than there is."""

    how: str = "exit"

    def __call__(self, gradients, norm):
        mine = psutil.Process().net_connections(kind="all")
        (HERE / f"sockets-{os.getpid()}").write_text(str(len(mine)))
        if self.how == "exit":
            print("about to go", file=sys.stderr)
            os._exit(7)
        if self.how == "once" and not (HERE / "once").exists():
            (HERE / "once").touch()
            os.kill(os.getpid(), 9)
        if self.how == "large":
            norm.new_empty(10**14)
        return norm.new_tensor(1.0)
'''
FATES = """
task: {name: adding, length: 4}
cell: rnn
training: {steps: 3}
evaluation: {sequences: 5}
sweep:
  rule:
    - {label: fine, clip: none}
    - {label: exits, clip: {name: deadly}}
    - {label: killed once, clip: {name: deadly, how: once}}
    - {label: asks for much, clip: {name: deadly, how: large}}
    - {label: fine as well, clip: none, seed: 1}
"""


def test_a_trial_that_ends_its_process_costs_no_other(tmp_path):
    (tmp_path / "deadly.py").write_text(DEADLY)
    (tmp_path / "fates.yaml").write_text(FATES)
    call = [sys.executable, "-m", "gradscope", "run", "fates.yaml", "--with", "deadly.py"]
    done = subprocess.run(
        [*call, "--workers", "2", "--no-report"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stderr
    run = RunDirectory(tmp_path / "reports" / "fates")
    labels = {trial.id: trial.configuration for trial in run.manifest().trials}
    assert {labels[trial] for trial in run.done()} == {"fine", "killed once", "fine as well"}
    failures = {labels[trial]: failure for trial, failure in run.failures().items()}
    assert failures["exits"]["error"] == "its process ended with exit code 7, 3 times"
    assert "about to go" in failures["exits"]["traceback"]
    assert failures["asks for much"]["error"].startswith(
        "out of memory: it asked for 727.6 TiB at once"
    )
    assert not list(run.path.rglob("*.tmp"))
    # a process has two pipes and no socket at all, so there is nothing that others could reach
    assert {path.read_text() for path in tmp_path.glob("sockets-*")} == {"0"}
    tried("a trial that ends its process")


REACH = """
import os, psutil
os.setgid(65534); os.setuid(65534)
reached = []
for process in psutil.process_iter():
    try:
        if process.pid != os.getpid() and "pool_worker" in " ".join(process.cmdline()):
            for fd in (0, 1, 2):
                open(f"/proc/{process.pid}/fd/{fd}", "r+b").close()
                reached.append(process.pid)
    except (psutil.Error, OSError):
        pass
print(reached)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_another_user_reaches_no_process_of_a_run(begin):
    """Nothing listens, and the pipes of another's process cannot be opened."""
    process = begin(2)
    try:
        workers = []
        while process.poll() is None and len(workers) < 2:
            workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        assert not [c for worker in workers for c in worker.net_connections(kind="inet")]
        assert not psutil.Process(process.pid).net_connections(kind="inet")
        said = subprocess.run([sys.executable, "-c", REACH], capture_output=True, text=True)
        assert said.stdout.strip() == "[]", said.stderr
        tried("another user who wants in")
    finally:
        process.kill()
        process.communicate()
