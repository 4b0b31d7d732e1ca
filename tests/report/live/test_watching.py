"""A live report as a whole: a process that serves a run, shows its end, and never stays."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from gradscope.errors import GradscopeError
from gradscope.report.live import LiveReport
from tests.browser import CHROMIUM, needs_browser
from tests.report.live.conftest import eight_trials

pytestmark = pytest.mark.whole

#: seconds that a machine with much else to do may take
LONG = 300


@pytest.fixture
def run(tmp_path) -> Path:
    """A run directory of eight trials."""
    return eight_trials(tmp_path / "run").path


@pytest.fixture
def warnings() -> list[str]:
    """What somebody was warned of."""
    return []


@pytest.fixture
def live(warnings):
    """A live report that watches nothing yet."""
    with LiveReport(warnings.append) as made:
        yield made


def status_of(live):
    return json.loads(urllib.request.urlopen(f"{live.address}status", timeout=LONG).read())


def wait_until(happens):
    """Wait for something; its value."""
    deadline = time.monotonic() + LONG
    while not (value := happens()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


def test_only_its_own_process_listens_and_on_loopback_alone(live):
    found = psutil.Process(live.pid).net_connections(kind="inet")
    port = int(live.address.split(":")[2].split("/")[0])
    listening = [c.laddr for c in found if c.status == psutil.CONN_LISTEN]
    assert [(place.ip, place.port) for place in listening] == [("127.0.0.1", port)]
    assert psutil.Process(live.pid).nice() > psutil.Process().nice()
    others = psutil.Process().net_connections(kind="inet")
    assert not any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in others)


def test_its_address_cannot_be_guessed_nor_read_off_the_list_of_processes(live, warnings):
    token = live.address.split("/")[3]
    assert len(token) == 43
    process = psutil.Process(live.pid)
    assert token not in " ".join(process.cmdline())
    assert token not in " ".join(process.environ().values())
    with LiveReport(warnings.append) as other:
        assert other.address.split("/")[3] != token


def test_it_draws_what_is_recorded_and_closes(live, run, warnings):
    folder = Path(live._folder.name)
    assert folder.stat().st_mode & 0o077 == 0
    live.watch(run)
    wait_until(lambda: status_of(live)["drawn"])
    page = urllib.request.urlopen(live.address, timeout=LONG).read().decode()
    assert "What was found" in page
    live.end("done", None)
    assert not psutil.pid_exists(live.pid)
    assert not folder.exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(live.address, timeout=5)
    assert warnings == []


def test_a_process_that_is_killed_is_said_and_ends_nothing_else(live, warnings):
    os.kill(live.pid, signal.SIGKILL)
    wait_until(lambda: warnings)
    assert warnings == ["the process of the live report has ended; the run goes on without it"]
    live.watch(Path("anywhere"))
    live.end("done", None)


def test_a_damaged_run_is_said_and_ends_nothing(live, run, warnings):
    next((run / "tables" / "trials").glob("*.parquet")).write_bytes(b"nonsense")
    live.watch(run)
    (said,) = wait_until(lambda: warnings)
    assert said.startswith("the live report cannot be drawn: ")
    assert said.endswith("; the run goes on")
    assert "damaged" in status_of(live)["problem"]


def test_a_port_that_is_taken_is_refused(live, warnings):
    port = int(live.address.split(":")[2].split("/")[0])
    with pytest.raises(GradscopeError, match=f"--live-port {port}: cannot be listened on"):
        LiveReport(warnings.append, port)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_does_not_outlive_who_started_it(how, tmp_path):
    code = (
        "import time; from gradscope.report.live import LiveReport; live = LiveReport(print); "
        "print(live.pid, live._folder.name, flush=True); time.sleep(1000)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid, folder = owner.stdout.readline().split()
    owner.send_signal(how)
    owner.communicate()
    wait_until(lambda: is_gone(int(pid)))
    assert not Path(folder).exists()


def is_gone(pid: int) -> bool:
    """Whether a process has ended, waited for or not."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- in a browser ---------------------------------------------------------------------------------


@pytest.fixture
def view():
    """A window of a browser, and what it complains of."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(1000 * LONG)
        yield page
        browser.close()


def hidden(run: Path) -> list[tuple[Path, Path]]:
    """Take the ledgers of a run away, as if no trial were recorded; where they are and were."""
    aside = run.parent / "aside"
    aside.mkdir()
    moved = [(aside / path.name, path) for path in sorted((run / "ledger").glob("*.json"))]
    for there, path in moved:
        path.rename(there)
    return moved


@needs_browser
def test_a_page_refreshes_itself_and_stops_when_the_run_is_done(live, run, view):
    complaints: list[str] = []
    view.on("pageerror", lambda error: complaints.append(str(error)))
    ledgers = hidden(run)
    view.goto(live.address)
    words = view.locator("#live-words")
    assert words.inner_text() == "no run has begun yet · nothing drawn yet · still running"
    live.watch(run)
    view.wait_for_selector("#live[data-version='1']")
    assert "0 of 8 trials · nothing drawn yet · still running" in words.inner_text()
    for there, path in ledgers[:4]:
        there.rename(path)
    view.wait_for_selector("#live[data-version='2']")
    assert "last drawn at" in words.inner_text()
    view.evaluate("history.replaceState(null, '', '#explore?t=3')")
    view.evaluate("document.getElementById('definitions').scrollIntoView()")
    measure = "document.getElementById('definitions').getBoundingClientRect().top"
    before = view.evaluate(measure)
    for there, path in ledgers[4:]:
        there.rename(path)
    view.wait_for_selector("#live[data-version='3']")
    wait_until(lambda: abs(view.evaluate(measure) - before) < 3)  # the same lines are read on
    assert view.url.startswith(f"{live.address}#explore")
    assert "8 of 8 trials" in words.inner_text()
    live._tell({"end": "done", "report": ""})
    view.wait_for_selector("#live[data-state='done']")
    assert "the run is done; this page no longer refreshes" in words.inner_text()
    assert view.locator("#live-pause").is_hidden()
    assert complaints == []


@needs_browser
def test_a_page_says_that_the_server_has_gone(live, run, view):
    live.watch(run)
    view.goto(live.address)
    live.close()
    view.wait_for_selector("#live[data-state='gone']")
    assert "the server has gone" in view.locator("#live-words").inner_text()


@needs_browser
def test_refreshing_can_be_paused(live, run, view):
    ledgers = hidden(run)
    live.watch(run)
    wait_until(lambda: status_of(live)["trials"])
    view.goto(live.address)
    view.get_by_role("button", name="Pause").click()
    for there, path in ledgers:
        there.rename(path)
    wait_until(lambda: status_of(live)["drawn"])
    wait_until(lambda: "8 of 8" in view.locator("#live-words").inner_text())
    assert view.locator("#live").get_attribute("data-version") == "1"
    assert "refreshing is paused" in view.locator("#live-words").inner_text()
    view.get_by_role("button", name="Refresh").click()
    view.wait_for_selector("#live[data-version='2']")
