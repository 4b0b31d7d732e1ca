"""The report's page: whole, honest, escaped, offline, and legible on a wide and a narrow screen."""

import os
import re
import shutil
from pathlib import Path

import pytest
from gradscope.report.page import subscripts

from gradscope.components import registry
from gradscope.experiment import schema as config
from gradscope.experiment.run import run_sweep
from gradscope.report import write_report
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and not os.environ.get("GRADSCOPE_REQUIRE_BROWSER"),
    reason="no Chromium here: the report is not looked at in a browser",
)


@pytest.fixture(scope="module")
def page(tiny_run) -> Path:
    return write_report(RunDirectory(tiny_run))


def test_page_holds_the_question_the_verdict_and_every_figure(page):
    text = page.read_text()
    assert "Does it run?" in text
    assert "Solved at length 12 by no seed" in text
    assert "did not hold" in text
    assert "could not be drawn" not in text
    for name in set(registry.names("plot")) - {
        "language",
        "other_lengths",
        "traced_text",
    }:  # of texts and other lengths
        assert f'id="{name}"' in text
        for suffix in ("svg", "png", "csv"):
            assert (page.parent / "figures" / f"{name}.{suffix}").stat().st_size > 100
    assert "memory horizon" in text
    assert "diverging · none" in text


def test_page_refers_to_nothing_outside(page):
    text = re.sub(
        r"<script.*?</script>", "", page.read_text(), flags=re.S
    )  # plotly's own code is looked at in the browser test
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert address.startswith(("#", "data:", "figures/")) or address in (
            "summary.csv",
            "manifest.json",
        ), address
        if address.startswith("figures/"):
            assert (page.parent / address).exists()
    assert "@import" not in text
    assert "url(" not in text


def test_words_from_the_file_are_escaped(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run_sweep(
        config.parse(
            "question: <script>alert(1)</script>\ntask: {name: adding, length: 4}\ncell:"
            " rnn\nprobes: []\ntraining: {steps: 2}\nevaluation: {sequences: 5}\nsweep: {v:"
            " [{label: '<b>x</b>', seed: 1}]}"
        ),
        run,
        Silent(),
    )
    text = write_report(run).read_text()
    assert "<script>alert(1)" not in text
    assert "&lt;script&gt;alert(1)" in text
    assert "<b>x</b>" not in text


def test_a_figure_that_cannot_be_drawn_says_why_and_takes_no_other_with_it(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run_sweep(
        config.parse(
            "task: {name: adding, length: 4}\ncell: rnn\nprobes: []\ntraining: {steps: 2}\n"
            "evaluation: {sequences: 5}\nfigures: [gradient_vs_lag, learning_curves]"
        ),
        run,
        Silent(),
    )
    text = write_report(run).read_text()
    assert "needs the table &#39;jacobian_norms&#39;" in text
    assert "figures/learning_curves.svg" in text


def test_figures_may_be_chosen_with_options(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run_sweep(
        config.parse(
            "task: {name: adding, length: 4}\ncell: lstm\ntraining: {steps: 2}\nevaluation:"
            " {sequences: 5}\nfigures: [{name: gradient_vs_lag, block: hidden}]"
        ),
        run,
        Silent(),
    )
    text = write_report(run).read_text()
    assert "last hidden state" in text
    assert 'id="learning_curves"' not in text


def test_subscripts():
    assert (
        subscripts("‖∂s_T/∂s_{T-lag}‖ & <x> steps_to_solve")
        == "‖∂s<sub>T</sub>/∂s<sub>T-lag</sub>‖ &amp; &lt;x&gt; steps_to_solve"
    )


@needs_browser
@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_in_chromium(page, width, tmp_path):
    """No console error, no outside request, no sideways scrolling, every picture shown, the
    explorer drawn and alive.
    """
    from playwright.sync_api import sync_playwright

    assert CHROMIUM, "Chromium is required here and is not installed"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        try:
            view = browser.new_page(viewport={"width": width, "height": 900})
            complaints, requests = [], []
            view.on(
                "console",
                lambda message: (
                    complaints.append(message.text)
                    if message.type in ("error", "warning")
                    else None
                ),
            )
            view.on("pageerror", lambda error: complaints.append(str(error)))
            view.on("request", lambda request: requests.append(request.url))
            view.goto(page.as_uri())
            view.wait_for_selector("#explorer .main-svg")
            assert complaints == []
            assert [
                url
                for url in requests
                if not url.startswith(("data:", "blob:")) and url != page.as_uri()
            ] == []
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            assert view.evaluate(
                "[...document.images].every(i => i.complete && i.naturalWidth > 0)"
            )
            small = view.evaluate(
                "[...document.querySelectorAll('figure img')].map(i =>"
                " i.getBoundingClientRect().width)"
            )
            assert min(small) >= min(600, width - 80)
            view.evaluate("Plotly.animate('explorer', ['6'], {mode: 'immediate'})")
            assert complaints == []
            assert len(view.screenshot(path=str(tmp_path / "page.png"), full_page=True)) > 50_000
        finally:
            browser.close()


def test_redrawing_needs_no_torch(tiny_run):
    import subprocess
    import sys

    script = (
        "import sys; from gradscope.report import write_report; from gradscope.results.records"
        " import RunDirectory; import gradscope.results.tables as t;"
        f" t.summary(t.load(RunDirectory({str(tiny_run)!r}))); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
