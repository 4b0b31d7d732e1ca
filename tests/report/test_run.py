"""The report's page: whole, honest, escaped, offline, and legible on a wide and a narrow screen."""

import json
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from gradscope.components import registry
from gradscope.errors import RunDirectoryError
from gradscope.experiment import Experiment
from gradscope.experiment.run import prepare
from gradscope.report import write_report
from gradscope.results.manifest import PluginEntry
from gradscope.results.records import RunDirectory
from gradscope.results.summary import summary
from gradscope.results.tables import load
from tests.browser import needs_browser, opened
from tests.report.conftest import SMALL

# --- the whole page -------------------------------------------------------------------------------


def test_page_holds_the_question_the_verdict_and_every_figure(page):
    text = page.read_text()
    assert "Does it run?" in text
    assert "<strong>Expected:</strong> It does." in text
    assert "What was found" in text
    assert "Solved at length 12 by no seed" in text
    assert "Expected and measured" in text
    assert "✓ held" in text
    assert "did not hold" in text
    assert "could not be drawn" not in text
    of_others = {"depth_gain", "heads", "language", "other_lengths", "traced_text", "differences"}
    for name in set(registry.names("plot")) - of_others:
        assert f'id="{name}"' in text
        said = name == "success_vs_length"  # no trial solves the task: that is a sentence
        for suffix in ("csv",) if said else ("svg", "png", "csv"):
            assert (page.parent / "figures" / f"{name}.{suffix}").stat().st_size > 100
    assert re.search(r"0 of \d+ trials at 2 lengths solved the task. By 2 seeds of", text)
    assert "memory horizon" in text
    assert "diverging · none" in text


def test_page_refers_to_nothing_outside(page):
    text = page.read_text()
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert address.startswith(("#", "data:", "figures/")) or address in (
            "summary.csv",
            "manifest.json",
        ), address
        if address.startswith("figures/"):
            assert (page.parent / address).exists()
    assert "@import" not in text
    assert "url(" not in text


def test_every_link_within_the_page_has_its_target(page):
    text = re.sub(r"<script.*?</script>", "", page.read_text(), flags=re.S)
    targets = set(re.findall(r'id="([^"]*)"', text))
    links = re.findall(r'href="#([^"]*)"', text)
    assert len(links) > 10
    assert set(links) <= targets


def test_figures_stand_in_their_own_order(page):
    figures = re.findall(r'<h2 id="(\w+)"', page.read_text())
    drawn = [name for name in figures if name in registry.names("plot")]
    assert len(drawn) > 10
    assert drawn == sorted(drawn, key=lambda name: registry.get("plot", name).order)


def test_the_summary_is_written_beside_the_page(page):
    run = RunDirectory(page.parent)
    expected = summary(load(run), run.manifest().tasks)
    written = pd.read_csv(page.parent / "summary.csv")
    assert list(written.columns) == list(expected.columns)
    assert written["configuration"].tolist() == expected["configuration"].tolist()


def test_where_it_comes_from(page):
    text = page.read_text()
    manifest = json.loads((page.parent / "manifest.json").read_text())
    stretch = manifest["provenance"][0]
    assert f"torch {stretch['versions']['torch']}" in text
    assert f"on {stretch['device']}:" in text
    assert "32 of 32" in text
    assert "s of training in all" in text


def test_drawing_a_report_leaves_the_tables_as_they_are(page, tiny_run):
    for path in (tiny_run / "tables").rglob("*.parquet"):
        assert (page.parent / path.relative_to(tiny_run)).read_bytes() == path.read_bytes()


# --- other runs -----------------------------------------------------------------------------------


def test_words_from_the_file_are_escaped(recorded):
    run = recorded(
        "question: <script>alert(1)</script>\ncell: rnn\nprobes: []\n"
        "sweep: {v: [{label: '<b>x</b>', seed: 1}]}"
    )
    text = write_report(run)[0].read_text()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<b>x</b>" not in text


def without_table(run, name):
    """As if none of the run's trials had measured it."""
    for trial in run.done():
        ledger = run.ledger(trial)
        files = {path: known for path, known in ledger.files.items() if f"/{name}/" not in path}
        run.write_ledger(ledger.model_copy(update={"files": files}))
    shutil.rmtree(run.path / "tables" / name)


def test_a_figure_that_cannot_be_drawn_says_why_and_takes_no_other_with_it(recorded):
    run = recorded("cell: rnn\nprobes: []\nfigures: [gradient_vs_lag, learning_curves]")
    without_table(run, "jacobian_norms")
    text = write_report(run)[0].read_text()
    assert "needs the table &#39;jacobian_norms&#39;" in text
    assert "figures/learning_curves.svg" in text


def test_figures_may_be_chosen_with_options(recorded):
    run = recorded("cell: lstm\nfigures: [{name: gradient_vs_lag, block: hidden}]")
    text = write_report(run)[0].read_text()
    assert "last hidden state" in text
    assert 'id="learning_curves"' not in text


def test_a_plot_that_is_not_known_here_says_so_in_its_place(recorded):
    run = recorded("cell: rnn\nprobes: []\nfigures: [learning_curves]")
    figures = [{"name": "of_my_own"}, {"name": "learning_curves"}]
    run.write_manifest(run.manifest().model_copy(update={"figures": figures}))
    text = write_report(run)[0].read_text()
    assert '<h2 id="of_my_own">Of my own</h2>' in text
    assert "could not be drawn: there is no plot called &#39;of_my_own&#39;" in text
    assert "a plot of your own is loaded with --with FILE." in text
    assert "figures/learning_curves.svg" in text


def test_no_figures_at_all(recorded):
    text = write_report(recorded("cell: rnn\nprobes: []\nfigures: []"))[0].read_text()
    assert "<figure>" not in text
    assert "What was found" in text


def test_what_is_missing_is_said(recorded):
    run = recorded("cell: rnn\nprobes: []\nfigures: []\nsweep: {seed: [0, 1, 2]}")
    failed, missing = sorted(run.done())[:2]
    for trial in (failed, missing):
        (run.path / "ledger" / f"{trial}.json").unlink()
    run.write_failure(failed, "OSError: <disk full>")
    text = write_report(run)[0].read_text()
    assert "1 of 3 trials are recorded so far." in text
    assert "1 trial\nfailed</strong> and is missing below" in text
    assert f"<li>{failed}: OSError: &lt;disk full&gt;</li>" in text
    run.write_failure(missing, "OSError")
    assert "2 trials\nfailed</strong> and are missing below" in write_report(run)[0].read_text()


def test_components_of_a_plugin_are_named_with_their_digest(recorded):
    run = recorded("cell: rnn\nprobes: []\nfigures: []")
    digest = "0123456789abcdef" * 4
    plugin = PluginEntry(path="/home/me/<mine>.py", sha256=digest, components=["clip mine"])
    run.write_manifest(run.manifest().model_copy(update={"plugins": [plugin]}))
    text = write_report(run)[0].read_text()
    assert "components from" in text
    assert "<code>/home/me/&lt;mine&gt;.py</code> (clip mine), SHA-256" in text
    assert "<code>0123456789ab…</code>" in text


def test_a_run_without_a_trial_has_no_report(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare(Experiment.parse(SMALL + "cell: rnn"), run, "cpu")
    with pytest.raises(RunDirectoryError, match="no trial"):
        write_report(run)
    assert not (run.path / "index.html").exists()


# --- in a browser ---------------------------------------------------------------------------------


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_in_chromium(page, width, tmp_path):
    with opened(page, width) as shown:
        shown.check()
        small = shown.view.evaluate(
            "[...document.querySelectorAll('figure img')].map(i => i.getBoundingClientRect().width)"
        )
        assert min(small) >= min(600, width - 80)
        assert shown.violations() == []
        picture = shown.view.screenshot(path=str(tmp_path / "page.png"), full_page=True)
        assert len(picture) > 50_000


@pytest.mark.whole
def test_redrawing_needs_no_torch(tiny_run):
    script = (
        "import sys; from gradscope.report import write_report; from gradscope.results.records"
        " import RunDirectory; from gradscope.results.summary import summary; from"
        " gradscope.results.tables import load; from pathlib import Path; run ="
        f" RunDirectory(Path({str(tiny_run)!r})); summary(load(run), run.manifest().tasks); assert"
        " 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
