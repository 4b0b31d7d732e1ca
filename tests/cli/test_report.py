"""gradscope report."""

import pytest

from tests.cli.conftest import GOOD, invoke, refused


def test_the_page_is_drawn_anew(experiment, tmp_path):
    experiment.write_text(GOOD + "figures: [learning_curves]\n")
    out = tmp_path / "run"
    assert invoke("run", experiment, "--out", out, "--no-report").exit_code == 0
    assert not (out / "index.html").exists()
    result = invoke("report", out)
    assert result.exit_code == 0, result.output
    assert result.output == f"report: {out}/index.html\n"
    assert "What was found" in (out / "index.html").read_text()


def test_a_plot_of_ones_own_is_drawn_where_its_file_is_given(experiment, plugin, tmp_path):
    from gradscope.components import registry

    experiment.write_text(GOOD + "figures: [last_losses]\n")
    out = tmp_path / "run"
    assert invoke("run", experiment, "--out", out, "--no-report", "--with", plugin).exit_code == 0
    assert invoke("report", out, "--with", plugin).exit_code == 0
    page = (out / "index.html").read_text()
    assert "Losses of my own" in page
    assert "could not be drawn" not in page
    registry.forget([registry.get("plot", "last_losses").__module__])
    assert invoke("report", out).exit_code == 0  # as in a process that has not loaded the file
    page = (out / "index.html").read_text()
    assert "no plot called &#39;last_losses&#39;" in page
    assert "a plot of your own is loaded with --with FILE" in page


def test_a_directory_that_holds_no_run(tmp_path):
    assert "does not exist" in refused("report", tmp_path / "nowhere")
    assert "holds no manifest.json" in refused("report", tmp_path)


@pytest.mark.whole
def test_several_runs_are_held_against_the_first(experiment, tmp_path):
    experiment.write_text(GOOD)
    for name in ("before", "after"):
        assert invoke("run", experiment, "--out", tmp_path / name, "--no-report").exit_code == 0
    result = invoke("report", tmp_path / "before", tmp_path / "after", "--format", "md")
    assert result.exit_code == 0, result.output
    assert "after against before: the same in every seed." in result.output
    assert (tmp_path / "after_against_before" / "report.md").is_file()
    out = tmp_path / "elsewhere"
    result = invoke("report", tmp_path / "before", tmp_path / "after", "--out", out)
    assert (out / "index.html").is_file(), result.output


def test_a_report_of_one_run_goes_into_it(tmp_path):
    result = invoke("report", tmp_path, "--out", tmp_path / "out")
    assert "--out is for a comparison" in result.output


def test_an_unknown_format_is_refused_by_name(experiment, tmp_path):
    experiment.write_text(GOOD)
    assert invoke("run", experiment, "--out", tmp_path / "run", "--no-report").exit_code == 0
    assert "known: html, md, ipynb, pdf" in refused("report", tmp_path / "run", "--format", "doc")
