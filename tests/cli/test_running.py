"""How runs are carried out: watched, logged, quiet, and what is served meanwhile."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import psutil
import pytest

from gradscope.components.signals import taken
from tests.cli.conftest import GOOD, invoke, refused

pytestmark = pytest.mark.whole

LONG = 300
FEW = "figures: [learning_curves]\nprobes: [none]\n"


def test_a_live_report_is_served_meanwhile_and_gone_afterwards(experiment, tmp_path, monkeypatch):
    from gradscope.cli import _running

    experiment.write_text(GOOD + FEW)
    seen = []
    run_sweep = _running.run_sweep

    def looked_at(*arguments, **options):
        outcomes = run_sweep(*arguments, **options)
        children = psutil.Process().children()
        listening = [
            (connection.laddr.ip, child.pid)
            for child in children
            for connection in child.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        ]
        seen.extend(listening)
        return outcomes

    monkeypatch.setattr(_running, "run_sweep", looked_at)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--live")
    assert result.exit_code == 0, result.output
    (address,) = re.findall(r"live report: (http://127\.0\.0\.1:\d+/[\w-]{43}/)\n", result.output)
    ((ip, pid),) = seen
    assert ip == "127.0.0.1"
    assert not psutil.pid_exists(pid)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=5)
    page = (tmp_path / "run" / "index.html").read_text()
    assert "live-status" not in page
    assert "location.reload" not in page


def test_a_report_that_cannot_be_drawn_meanwhile_ends_no_run(experiment, tmp_path, monkeypatch):
    """The process that draws is killed in the midst of the run."""
    from gradscope.cli import _running

    run_sweep = _running.run_sweep

    def bereft(*arguments, **options):
        for child in psutil.Process().children():
            child.kill()
        return run_sweep(*arguments, **options)

    monkeypatch.setattr(_running, "run_sweep", bereft)
    result = invoke("run", experiment, "--out", tmp_path / "run", "--live", "--no-report")
    assert result.exit_code == 0, result.output
    assert "the process of the live report has ended; the run goes on" in result.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_no_process_and_no_socket_outlives_a_run(how, experiment, tmp_path):
    experiment.write_text(GOOD.replace("steps: 3", "steps: 1000000"))
    command = [sys.executable, "-m", "gradscope", "run", str(experiment), "--live", "--yes"]
    with taken(signal.SIGINT, signal.default_int_handler):  # whatever the tests were started with
        run = subprocess.Popen(
            [*command, "--out", str(tmp_path / "run")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
    assert run.stdout is not None
    line = ""
    while "live report: " not in line:
        line = run.stdout.readline()
        assert line
    address = line.split("live report: ")[1].strip()
    children = psutil.Process(run.pid).children(recursive=True)
    assert urllib.request.urlopen(f"{address}status", timeout=LONG).status == 200
    run.send_signal(how)
    run.communicate(timeout=LONG)
    assert run.returncode == (130 if how is signal.SIGINT else -signal.SIGKILL)
    deadline = time.monotonic() + LONG
    while any(is_alive(child) for child in children) or not refuses(address):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def refuses(address):
    """Whether nothing listens: a process that is being taken down may still reset connections."""
    port = int(address.split(":")[2].split("/")[0])
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return False


def is_alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_folder_has_one_address_for_all_its_experiments(tmp_path):
    folder = tmp_path / "questions"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(GOOD)
    result = invoke("run", folder, "--out", tmp_path / "out", "--live", "--no-report")
    assert result.exit_code == 0, result.output
    assert result.output.count("live report: ") == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trials_are_logged_by_name(experiment, tmp_path):
    out, logs = tmp_path / "run", tmp_path / "logs"
    result = invoke(
        "run", experiment, "--out", out, "--no-report",
        "--log", f"tensorboard:{logs}", "--log", "tensorboard",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for folder in (logs / "small", out / "tensorboard"):
        assert sorted(path.name[:8] for path in folder.iterdir()) == ["rnn-4-0-", "rnn-4-1-"]


def test_a_tracker_that_there_is_not_is_refused_before_anything_runs(experiment, tmp_path):
    message = refused("run", experiment, "--out", tmp_path / "run", "--log", "tensorbord")
    assert "did you mean 'tensorboard'?" in message
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_fails_ends_no_run(experiment, tmp_path, monkeypatch):
    from gradscope.tracking.tensorboard import TensorBoard

    monkeypatch.setattr(TensorBoard, "write", lambda self, trial: 1 / 0)
    result = invoke(
        "run", experiment, "--out", tmp_path / "run", "--no-report", "--log", "tensorboard"
    )
    assert result.exit_code == 0
    assert result.stderr.count("TensorBoard did not take the trial") == 1


def test_quiet_is_silent_but_for_what_is_wrong(experiment, tmp_path, monkeypatch):
    from gradscope.probes.saturation import Saturation

    result = invoke("run", experiment, "--out", tmp_path / "run", "--no-report", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    monkeypatch.setattr(Saturation, "measure", lambda self, trace: 1 / 0)
    result = invoke("run", experiment, "--out", tmp_path / "two", "--no-report", "-q")
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.count("ZeroDivisionError") == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--live", "--quiet"], "--live prints an address, which --quiet would hide"),
        (["--live-port", "8000"], "--live-port is the port of --live"),
        (["--live", "--live-port", "70000"], "70000 is not in the range"),
    ],
)
def test_options_that_do_not_go_together(options, message, experiment, tmp_path):
    result = invoke("run", experiment, "--out", tmp_path / "run", *options)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (tmp_path / "run").exists()
