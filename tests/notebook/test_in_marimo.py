"""A notebook of marimo, whose cells show what Jupyter's do."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.whole
pytest.importorskip("marimo")

NOTEBOOK = """
import marimo

app = marimo.App()


@app.cell
def _():
    import gradscope

    run = gradscope.open_run(RUN)
    run
    return gradscope, run


@app.cell
def _(gradscope):
    import torch

    model = torch.nn.LSTM(3, 5)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(12, 2, 3))[0][-1].sum().backward()
    scope
    return scope, torch


@app.cell
def _(scope):
    scope.diagnose()
    return


@app.cell
def _(run):
    run.tables
    return


@app.cell
def _(gradscope, run):
    gradscope.plots.gradient_vs_lag(run)
    return


@app.cell
def _(gradscope, run):
    gradscope.explorer(run, title="<mine>")
    return


@app.cell
def _(gradscope):
    new = gradscope.run(QUICK, out="new", workers=2)
    return (new,)


@app.cell
def _(gradscope):
    from gradscope.clips import Clip, register

    @register("mine")
    class Mine(Clip):
        '''Nothing.'''

        def __call__(self, parameters):
            return 1.0

    try:
        gradscope.run({**QUICK, "clip": "mine"}, out="own", workers=2)
    except gradscope.GradscopeError as error:
        print("refused:", error)
    return


if __name__ == "__main__":
    app.run()
"""
QUICK = {
    "task": {"name": "adding", "length": 4},
    "training": {"steps": 3},
    "evaluation": {"sequences": 5},
    "probes": [],
    "sweep": {"cell": ["rnn", "gru"], "seed": [0, 1]},
}


def test_cells_show_what_they_end_in(tiny_run, tmp_path):
    path = tmp_path / "notebook.py"
    path.write_text(NOTEBOOK.replace("RUN", repr(str(tiny_run))).replace("QUICK", repr(QUICK)))
    arguments = ["export", "html", "notebook.py", "-o", "page.html", "--no-include-code"]
    done = subprocess.run(
        [sys.executable, "-m", "marimo", *arguments], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    # the run, the scope, its diagnosis and the tables
    for label in ("Run tiny", "Scope of LSTM", "Diagnosis", "Tables"):
        assert page.count(f'role=\\"group\\" aria-label=\\"{label}\\"') == 1, label
    assert page.count('srcdoc=\\"') == 1
    assert page.count("data:image/png;base64") == 2  # the figure, and that of the scope
    assert "4 of 4 trials, 4 unsolved, done in " in page
    assert "refused: the clip 'mine' is not defined where worker" in done.stdout + done.stderr
