"""The report as a notebook."""

import re

import nbformat

from gradscope.plots import PLOTS
from gradscope.report.document import Document, Paragraph
from gradscope.report.notebook import notebook


def test_the_notebook_is_one_and_draws_its_figures(reports):
    found = nbformat.read(reports[".ipynb"], as_version=4)
    nbformat.validate(found)
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    assert cells[0].source == "import gradscope\n\nrun = gradscope.open_run('.')"
    assert all(cell.outputs for cell in cells[1:])
    drawn = re.findall(r"gradscope\.plots\.(\w+)\(run", "\n".join(c.source for c in cells))
    assert drawn
    assert set(drawn) <= set(PLOTS.names())


def test_a_document_of_no_figures_is_a_notebook(tmp_path):
    found = notebook(Document("t", [Paragraph("p")], "pass"), tmp_path)
    nbformat.validate(nbformat.from_dict(found))
