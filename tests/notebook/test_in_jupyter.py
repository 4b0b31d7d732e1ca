"""A notebook of Jupyter, run from its first cell to its last, stopped, and exported as a page."""

import re
import time

import pytest

from tests.browser import needs_browser, opened

pytestmark = pytest.mark.whole
pytest.importorskip("ipykernel")

QUICK = (
    "{'task': {'name': 'adding', 'length': 4}, 'training': {'steps': STEPS}, "
    "'evaluation': {'sequences': 5}, 'probes': [], 'sweep': {'cell': ['rnn', 'gru'], "
    "'seed': [0, 1]}}"
)


def executed(folder, *codes):
    """The cells of a notebook after they were run in this folder; an error stays in its cell."""
    import nbformat
    from nbclient import NotebookClient

    cells = [nbformat.v4.new_code_cell(code) for code in codes]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute()
    return notebook


def shown(cell):
    """What a cell displays, as data by MIME type."""
    errors = [output.evalue for output in cell.outputs if output.output_type == "error"]
    assert errors == []
    return [output.data for output in cell.outputs if "data" in output]


@pytest.mark.filterwarnings("ignore")  # of what runs the notebook
def test_from_a_model_to_a_diagnosis_and_from_a_run_to_a_page(tiny_run, tmp_path):
    notebook = executed(
        tmp_path,
        "import warnings\nwarnings.simplefilter('error')\nimport torch, gradscope\n"
        "model = torch.nn.LSTM(3, 5)\nscope = gradscope.attach(model)\nscope",
        "with scope.record():\n    model(torch.randn(12, 2, 3))[0][-1].sum().backward()\nscope",
        "scope.diagnose()",
        "scope.last",
        f"run = gradscope.open_run({str(tiny_run)!r})\nrun",
        "gradscope.plots.gradient_vs_lag(run)",
        "import matplotlib.pyplot as plt\n"
        "figures = [gradscope.plots.success_vs_length(run) for _ in range(25)]\n"
        "figures[-1]",
        "assert plt.get_fignums() == []",
        "gradscope.explorer(run)",
        "gradscope.explorer(scope, height=400)",
    )
    attached, recorded, diagnosis, recording, whole, figure, last, none, *explorers = map(
        shown, notebook.cells
    )
    for (data,) in (attached, recorded, diagnosis, whole):
        assert 'class="gradscope-card"' in data["text/html"]
        assert "<" not in data["text/plain"] or data["text/plain"].startswith("Scope")
    assert recording[0]["text/plain"].startswith("Recording of train step 0")
    # a figure is shown once, whatever pyplot does
    assert [len(outputs) for outputs in (figure, last, none)] == [1, 1, 0]
    assert "image/png" in figure[0]
    assert notebook.cells[5].outputs[0].metadata["image/png"]["alt"].startswith("Gradient norm")
    for (data,) in explorers:
        assert data["text/html"].startswith("<iframe ")


@pytest.mark.filterwarnings("ignore")
def test_a_run_shows_one_output_within_a_running_loop_and_with_workers(tmp_path):
    quick = QUICK.replace("STEPS", "3")
    notebook = executed(
        tmp_path,
        "import asyncio, gradscope\nawait asyncio.sleep(0)\n"
        f"run = gradscope.run({quick}, out='one')",
        f"other = gradscope.run({quick}, out='two', workers=2)",
        "assert other.tables['trials'].equals(run.tables['trials'])",
        "from gradscope.clips import Clip, register\n\n"
        "@register('mine')\nclass Mine(Clip):\n    '''Nothing.'''\n"
        "    def __call__(self, parameters):\n        return 1.0",
        f"gradscope.run({{**{quick}, 'clip': 'mine'}}, out='three', workers=2)",
    )
    for cell in notebook.cells[:2]:
        (data,) = shown(cell)
        assert "4 of 4 trials, 4 unsolved, done in " in data["text/html"]
        assert len(cell.outputs) == 1
    assert shown(notebook.cells[2]) == []
    (error,) = (o for o in notebook.cells[4].outputs if o.output_type == "error")
    assert "'mine' is defined in this session" in error.evalue
    assert "use one worker" in error.evalue


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("workers", [1, 2])
def test_an_interrupted_kernel_stops_and_goes_on(tmp_path, workers):
    from jupyter_client.manager import start_new_kernel

    def run(steps):
        # however fast it learns, it is not done when the interrupt comes
        settings = QUICK.replace("STEPS", f"{steps}, 'stop_on_success': False")
        return f"gradscope.run({settings}, out='run', workers={workers})"

    manager, client = start_new_kernel(kernel_name="python3", cwd=str(tmp_path))
    try:
        client.execute_interactive("import gradscope, psutil", timeout=300)
        client.execute(run(10**7), stop_on_error=False)
        limit = time.monotonic() + 300
        while not any((tmp_path / "run").glob("manifest.json")):
            assert time.monotonic() < limit
            time.sleep(0.2)
        time.sleep(10)
        manager.interrupt_kernel()
        assert client.get_shell_msg(timeout=300)["content"]["ename"] == "KeyboardInterrupt"
        said = []
        code = (
            "print(len(psutil.Process().children(recursive=True)))\n"
            "print(gradscope.open_run('run'))\n"
        )
        client.execute_interactive(
            code,
            timeout=300,
            output_hook=lambda message: said.append(str(message["content"].get("text", ""))),
        )
        assert "".join(said).splitlines() == ["0", "Run('run': 0 of 4 trials recorded)"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@needs_browser
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_exported_page_is_explored(tiny_run, tmp_path, theme):
    from nbconvert import HTMLExporter

    notebook = executed(
        tmp_path,
        f"import gradscope\nrun = gradscope.open_run({str(tiny_run)!r})\nrun",
        "gradscope.explorer(run)",
    )
    page = tmp_path / "notebook.html"
    text = HTMLExporter(theme=theme).from_notebook_node(notebook)[0]
    # the exporter's own page asks a network for MathJax and the like, which is not ours to test
    page.write_text(re.sub(r'<script src="https[^>]*></script>', "", text), encoding="utf-8")
    with opened(page, 1100) as seen:
        frame = seen.view.frames[1]
        frame.wait_for_selector(".explorer[data-ready]")
        assert frame.evaluate("document.documentElement.style.colorScheme") == theme
        before = frame.locator(".readout").text_content()
        frame.locator("[data-track=k] input").press("ArrowRight")
        assert frame.locator(".readout").text_content() != before
