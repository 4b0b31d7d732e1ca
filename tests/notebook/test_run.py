"""A run as the value of a cell."""

import re
import shutil

import pytest

import gradscope
from gradscope.results.records import RunDirectory
from tests.results.test_markup import RUDE

SMALL = {
    "task": {"name": "adding", "length": 4},
    "training": {"steps": 1},
    "evaluation": {"sequences": 5},
    "probes": [],
}


@pytest.fixture
def tiny(tiny_run):
    return gradscope.open_run(tiny_run)


def test_it_has_the_question_what_was_found_and_the_summary(tiny):
    html = tiny._repr_html_()
    assert "<b>tiny</b> Does it run?" in html
    assert f"32 of 32 trials recorded in {tiny.path}" in html
    for sentence in tiny.verdict()[:3]:
        assert gradscope.results.markup.escape(sentence) in html
    assert html.count('scope="row"') == len(tiny.summary())
    assert "<b>Predictions:</b> 1 of 2 held; run.predictions()" in html


def test_without_a_report_it_says_how_figures_are_drawn(tiny):
    html = tiny._repr_html_()
    assert "<code>run.report()</code>" in html
    assert "<code>gradient_vs_lag</code>" in html
    assert "<code>language</code>" not in html  # nothing of it was recorded


def test_figures_of_a_report_are_linked(tiny_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, "my run")
    figures = tmp_path / "my run" / "figures"
    figures.mkdir()
    (figures / "gates.svg").touch()
    (figures.parent / "index.html").touch()
    html = gradscope.open_run("my run")._repr_html_()
    assert re.findall('href="([^"]+)"', html) == [
        "my%20run/index.html",
        "my%20run/figures/gates.svg",
    ]


def test_many_configurations_are_folded(tmp_path):
    sweep = {"cell": [{"name": "rnn", "hidden_size": size} for size in range(1, 26)]}
    run = gradscope.run({**SMALL, "sweep": sweep}, out=tmp_path / "run", progress=False)
    shown, folded = run._repr_html_().split("<details><summary>All 25 rows</summary>")
    assert (shown.count('scope="row"'), folded.count('scope="row"')) == (12, 25)


def test_names_are_no_markup(tmp_path):
    sweep = {"v": [{"label": RUDE, "seed": 1}]}
    run = gradscope.run(
        {**SMALL, "cell": "rnn", "question": RUDE, "sweep": sweep},
        out=tmp_path / "<i>",
        progress=False,
    )
    html = run._repr_html_()
    for tag in ("<script", "<i>"):
        assert tag not in html


def test_a_damaged_run_says_so_in_place_of_what_it_cannot_show(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    for shard in (tmp_path / "run" / "tables" / "trials").iterdir():
        shard.write_bytes(b"nothing")
    html = gradscope.open_run(tmp_path / "run")._repr_html_()
    assert "<b>Not shown:</b>" in html
    assert "damaged" in html


def test_a_run_that_failed_says_why(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "run")
    run = gradscope.open_run(tmp_path / "run")
    lost = run.manifest.trials[0].id
    (run.path / "ledger" / f"{lost}.json").unlink()
    RunDirectory(run.path).write_failure(lost, "<why>")
    assert "&lt;why&gt;; run.failures has all" in run._repr_html_()
