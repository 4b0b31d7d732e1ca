"""How a process takes signals, for as long as something lasts."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gradscope.components.signals import taken


def test_a_signal_is_taken_so_within_and_as_before_afterwards():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), taken(signal.SIGTERM, signal.default_int_handler):
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_processes_started_within_ignore_what_is_ignored():
    code = "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"
    asked = [sys.executable, "-c", code]
    with taken(signal.SIGINT, signal.default_int_handler):  # whatever the tests were started with
        with taken(signal.SIGINT, signal.SIG_IGN):
            within = subprocess.run(asked, capture_output=True, text=True, check=True)
        afterwards = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert (within.stdout.strip(), afterwards.stdout.strip()) == ("True", "False")


def test_in_another_thread_nothing_changes():
    before, found = signal.getsignal(signal.SIGTERM), []

    def work():
        with taken(signal.SIGTERM, signal.SIG_IGN):
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
