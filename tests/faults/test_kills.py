"""SIGKILL to any process of a run, at any moment: nothing lost, nothing twice, the same bits."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter

import psutil
import pytest

from gradscope.results.damage import damage
from gradscope.results.records import RunDirectory
from tests.faults.conftest import EXPERIMENT, drawn, many, tables_of, tried

pytestmark = pytest.mark.faults


def strike(driver: subprocess.Popen, chance: random.Random) -> str:
    """Kill a process of the run, or all of them; which one that was."""
    with contextlib.suppress(psutil.NoSuchProcess):
        workers = psutil.Process(driver.pid).children(recursive=True)
        names = ["the driver", "a worker", "all processes at once"]
        victim = chance.choices(names, [2, 6 if workers else 0, 1])[0]
        if victim == "a worker":
            chance.choice(workers).kill()
        elif victim == "the driver":
            driver.kill()
        else:
            os.killpg(driver.pid, signal.SIGKILL)
        return victim
    return "nobody"


def gone(processes: list[psutil.Process]) -> bool:
    """Whether all of them end within a while.

    One that has ended stays in the table as a zombie where nobody asks after it.
    """
    left = psutil.wait_procs(processes, timeout=20)[1]
    return not any(map(_runs, left))


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@pytest.mark.parametrize("workers", [1, 2])
def test_random_kills(workers, tmp_path, begin, uninterrupted):
    chance, struck, run = drawn(f"kills {workers}"), 0, RunDirectory(tmp_path / "run")
    wanted = many(100)
    driver, started_by_it, victims = begin(workers), [], Counter()
    try:
        while struck < wanted:
            if len(run.done()) == len(EXPERIMENT.trials):  # begin anew, to be struck further
                driver.communicate(timeout=300)
                assert tables_of(run.path) == uninterrupted
                shutil.rmtree(run.path)
                driver = begin(workers)
            seen, waited = len(run.done()), time.monotonic()
            # now and then while it starts, else when something new has been recorded
            while len(run.done()) == seen and driver.poll() is None:
                if time.monotonic() - waited > 60:
                    break
                time.sleep(0.02)
                if chance.random() < 0.001:
                    break
            time.sleep(chance.uniform(0, 0.4))
            with contextlib.suppress(psutil.NoSuchProcess):
                started_by_it = psutil.Process(driver.pid).children(recursive=True)
            victim = strike(driver, chance)
            if victim != "nobody":
                victims[victim] += 1
                struck += 1
            if driver.poll() is not None or not psutil.pid_exists(driver.pid):
                driver.communicate()
                assert gone(started_by_it), "a worker outlives its driver"
                driver = begin(workers)
        assert struck >= 1, "the run was never struck, so nothing was tested"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()
    last = begin(1)
    _, said = last.communicate(timeout=300)
    assert last.returncode == 0, said
    assert tables_of(run.path) == uninterrupted
    assert damage(run, run.manifest()) == []
    assert not list(run.path.rglob("*.tmp"))
    for who, times in sorted(victims.items()):
        tried(f"SIGKILL to {who}", times)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("sent", ["SIGINT to all", "SIGINT twice", "SIGTERM to the driver"])
def test_an_interrupt_says_one_line_and_leaves_a_run_to_go_on_with(
    sent, workers, tmp_path, begin, uninterrupted
):
    """SIGINT to the whole process group, as a terminal sends it, or SIGTERM as a scheduler does.

    No worker outlives the driver.
    """
    process, run, started = begin(workers), RunDirectory(tmp_path / "run"), time.monotonic()
    while not run.done() and time.monotonic() - started < 60:
        time.sleep(0.01)
    started_by_it = []
    with contextlib.suppress(psutil.NoSuchProcess):  # it may have been done already
        started_by_it = psutil.Process(process.pid).children(recursive=True)
    if sent == "SIGTERM to the driver":
        process.terminate()
    else:
        os.killpg(process.pid, signal.SIGINT)
    if sent == "SIGINT twice":
        time.sleep(0.05)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert gone(started_by_it)
    assert "Traceback" not in said
    if sent == "SIGINT twice":  # the second one may end it before it has said anything
        assert process.returncode in (0, 130, -signal.SIGINT)
    elif process.returncode != 0:  # it may have been done already
        assert process.returncode == 130
        assert "interrupted: " in said
    last = begin(1)
    last.communicate(timeout=300)
    assert tables_of(tmp_path / "run") == uninterrupted
    tried(sent)
