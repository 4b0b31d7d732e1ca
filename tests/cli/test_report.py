"""gradscope report."""

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
