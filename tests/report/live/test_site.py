"""What a live report's server has: the report's own files, and how the run is."""

import json
import re

import pytest

from gradscope.report.live.site import LiveSite
from gradscope.report.run import write_report
from gradscope.results.records import RunDirectory
from tests.report.live.conftest import eight_trials
from tests.results.conftest import entry, wanted


@pytest.fixture
def run(tmp_path) -> RunDirectory:
    """A run of eight trials."""
    return eight_trials(tmp_path / "run")


@pytest.fixture
def site(run, tmp_path) -> LiveSite:
    """A site that watches it."""
    made = LiveSite(tmp_path)
    made.watch(run, tmp_path / "drawn")
    return made


def text_of(site, name=""):
    return site.answer(name).body.decode()


def test_before_anything_is_drawn_the_page_says_so(site, run):
    page = text_of(site)
    assert "No trial is recorded yet" in page
    status = json.loads(text_of(site, "status"))
    assert (status["state"], status["recorded"], status["trials"]) == ("running", 8, 8)
    assert (status["drawn"], status["version"], status["name"]) == (None, 1, run.manifest().name)


def test_a_run_without_a_manifest_is_one_that_is_about_to_begin(tmp_path):
    site = LiveSite(tmp_path)
    site.watch(RunDirectory(tmp_path / "soon"), tmp_path / "drawn")
    assert site.status().trials == 0
    assert "No trial is recorded yet" in text_of(site)


def test_the_page_is_served_with_a_strip_that_the_file_has_not(site, run, tmp_path):
    [page] = write_report(run, folder=tmp_path / "drawn")
    site.drawn(run, 8)
    assert not (run.path / "index.html").exists()
    served, written = text_of(site), page.read_text()
    strip = re.search(r'<aside class="live".*?</aside>\n?', served, re.DOTALL)
    assert strip is not None
    assert served.replace(strip[0], "", 1).strip() == written.strip()
    for word in ("live-status", "location.reload", "sessionStorage", 'class="live"'):
        assert word in served
        assert word not in written
    assert text_of(site, "index.html") == served


def test_only_the_reports_own_files_are_served(site, run, tmp_path):
    write_report(run, folder=tmp_path / "drawn")
    site.drawn(run, 8)
    assert site.answer("summary.csv").kind == "text/csv"
    assert site.answer("manifest.json").body == run.manifest_path.read_bytes()
    figures = {path.name for path in (tmp_path / "drawn" / "figures").iterdir()}
    assert figures
    for name in figures:
        assert site.answer(f"figures/{name}").body
    (tmp_path / "secret.csv").write_text("secret")
    (tmp_path / "drawn" / "figures" / "link.csv").symlink_to(tmp_path / "secret.csv")
    (tmp_path / "drawn" / "figures" / "script.js").write_text("alert()")
    for name in (
        "figures/link.csv", "figures/script.js", "secret.csv", "../secret.csv", "figures/",
        "figures/../../secret.csv", str(tmp_path / "secret.csv"), "ledger/tanh100.json",
    ):  # fmt: skip
        assert site.answer(name) is None, name


def test_a_page_that_cannot_be_drawn_stays_and_says_why(site, run, tmp_path):
    write_report(run, folder=tmp_path / "drawn")
    site.drawn(run, 8)
    site.not_drawn(run, "a file </script> is damaged")
    status = site.status()
    assert (status.version, status.problem) == (2, "a file </script> is damaged")
    assert "a file </script>" not in text_of(site)
    assert "What was found" in text_of(site)


def test_what_is_drawn_of_another_run_is_not_shown(site, run, tmp_path):
    other = RunDirectory(tmp_path / "other")
    site.watch(other, tmp_path / "drawn2")
    site.drawn(run, 8)
    site.not_drawn(run, "no")
    assert (site.status().drawn, site.status().problem) == (None, "")


def test_at_the_end_the_runs_own_report_is_served(site, run):
    [page] = write_report(run)
    site.end("done", str(page))
    status = json.loads(text_of(site, "status"))
    assert (status["state"], status["report"], status["drawn_of"]) == ("done", str(page), 8)
    assert not site.was_shown_the_end
    assert "What was found" in text_of(site)
    assert site.was_shown_the_end


def test_a_run_that_is_stopped_keeps_the_page_that_was_drawn_last(site, run, tmp_path):
    write_report(run, folder=tmp_path / "drawn")
    site.drawn(run, 5)
    before = site.status()
    site.end("stopped", "")
    after = site.status()
    assert (after.state, after.drawn, after.drawn_of) == ("stopped", before.drawn, 5)
    assert after.version == before.version + 1
    assert "What was found" in text_of(site)


def test_trials_that_failed_are_counted(site, tmp_path):
    from gradscope.results.preparation import prepare_directory

    run = RunDirectory(tmp_path / "failing")
    prepare_directory(run, wanted(entry("aaa"), entry("bbb")), "cpu")
    run.write_failure("aaa", "it broke")
    site.watch(run, tmp_path / "drawn")
    assert (site.status().failed, site.status().recorded) == (1, 0)
