"""The report as blocks, in Markdown, as a notebook and as a PDF."""

import json
import re
import shutil

import nbformat
import pypdf
import pytest

from gradscope.errors import MissingPackageError, UnknownNameError
from gradscope.plots import PLOTS
from gradscope.report import pdf, write_report
from gradscope.report.document import Document, Grid, Heading, Paragraph, Terms
from gradscope.report.markdown import escaped, markdown
from gradscope.report.notebook import notebook
from gradscope.report.paper import latex
from gradscope.results.records import RunDirectory

#: a name that is markup in every format
ODD = "a_b *c* `d` $e$ <i>f</i> [g](h) #i |j| ~k~ @l = + - \\m"


@pytest.fixture(scope="module")
def reports(tiny_run, tmp_path_factory):
    """The tiny run's report in every format but the page."""
    folder = tmp_path_factory.mktemp("formats") / "run"
    shutil.copytree(tiny_run, folder)
    pytest.importorskip("typst")
    return {
        path.suffix: path for path in write_report(RunDirectory(folder), ["md", "ipynb", "pdf"])
    }


def test_markdown_has_every_number_of_the_summary(reports):
    text = reports[".md"].read_text()
    assert "## What was found" in text
    summary = text[text.index("## Summary") :].split("\n\n")[2].split("\n")
    assert summary[0].startswith("| configuration |")
    assert len({line.replace("\\|", "").count("|") for line in summary}) == 1
    images = re.findall(r"!\[.*\]\((.*)\)", text)
    assert images
    assert all((reports[".md"].parent / image).is_file() for image in images)


def test_the_notebook_is_one_and_draws_its_figures(reports):
    found = nbformat.read(reports[".ipynb"], as_version=4)
    nbformat.validate(found)
    cells = [cell for cell in found.cells if cell.cell_type == "code"]
    assert cells[0].source == 'import gradscope\n\nrun = gradscope.open_run(".")'
    assert all(cell.outputs for cell in cells[1:])
    drawn = re.findall(r"gradscope\.plots\.(\w+)\(run", "\n".join(c.source for c in cells))
    assert drawn
    assert set(drawn) <= set(PLOTS.names())


def test_the_pdf_has_text_and_vector_figures(reports):
    pages = pypdf.PdfReader(reports[".pdf"]).pages
    text = "".join(page.extract_text() for page in pages)
    for words in ("What was found", "Summary", "Definitions", "memory horizon"):
        assert words in text
    paper = reports[".pdf"].parent / "figures" / "paper"
    figures = sorted(paper.glob("*.pdf"))
    assert figures
    for figure in figures:
        [page] = pypdf.PdfReader(figure).pages
        assert float(page.mediabox.width) / 72 == pytest.approx(3.4)
        source = figure.with_suffix(".tex").read_text()
        assert f"{{{figure.name}}}" in source
        assert source.isascii()


def test_reports_are_the_same_each_time(reports):
    again = write_report(RunDirectory(reports[".pdf"].parent), ["pdf"])
    assert again == [reports[".pdf"]]
    before = reports[".pdf"].read_bytes()
    write_report(RunDirectory(reports[".pdf"].parent), ["pdf"])
    assert reports[".pdf"].read_bytes() == before


def test_words_are_never_markup():
    blocks = [Paragraph(ODD), Grid([ODD], [[ODD]]), Terms([(ODD, ODD)]), Heading(ODD)]
    document = Document(ODD, blocks, "pass")
    text = markdown(document)
    assert text.count(escaped(ODD)) == 7  # the title, every cell, term, word and heading
    pytest.importorskip("typst")
    typeset = pdf.typeset(document)
    assert typeset.count(pdf.escaped(ODD)) == 8  # the document's title as well


def test_typst_sets_any_words(tmp_path):
    pytest.importorskip("typst")
    blocks = [Paragraph(f"{ODD} 1. 你好 // no comment"), Grid(["a"], [[f"{ODD}\nb"]])]
    path = pdf.write_pdf(Document(ODD, blocks, "pass"), tmp_path)
    text = pypdf.PdfReader(path).pages[0].extract_text()
    assert "// no comment" in text
    assert "a_b *c*" in text


def test_a_pdf_without_typst_is_refused(monkeypatch):
    monkeypatch.setattr(pdf, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"pip install gradscope-dynamics\[pdf\]"):
        pdf.check_pdf()


def test_an_unknown_format_is_refused_before_anything_is_drawn(tiny_run):
    before = sorted(tiny_run.rglob("*"))
    with pytest.raises(UnknownNameError, match="no format 'dpf'; did you mean 'pdf'"):
        write_report(RunDirectory(tiny_run), ["dpf"])
    assert sorted(tiny_run.rglob("*")) == before


def test_a_plot_that_is_asked_for_twice_has_two_figures(recorded):
    run = recorded(
        "cell: rnn\nprobes: [jacobian_norms]\nfigures:\n"
        "  - jacobian_heatmap\n  - {name: jacobian_heatmap, block: state}\n"
    )
    [page] = write_report(run, ["ipynb"])
    cells = json.loads(page.read_text())["cells"]
    sources = [cell["source"] for cell in cells if cell["cell_type"] == "code"]
    assert sources[1:] == [
        "gradscope.plots.jacobian_heatmap(run)",
        "gradscope.plots.jacobian_heatmap(run, block='state')",
    ]
    assert (run.path / "figures" / "jacobian_heatmap_2.svg").is_file()


def test_latex():
    assert latex("‖∂s_T/∂s_0‖ ≤ 10⁻³ & 5% of a_b_c") == (
        r"$\|$$\partial$s\textsubscript{T}/$\partial$s\textsubscript{0}$\|$ $\le$ 10$^-$$^3$ "
        r"\& 5\% of a\_b\_c"
    )


def test_a_document_of_no_figures_is_a_notebook(tmp_path):
    found = notebook(Document("t", [Paragraph("p")], "pass"), tmp_path)
    nbformat.validate(nbformat.from_dict(found))
