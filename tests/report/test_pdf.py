"""The report as a PDF."""

import pytest

from gradscope.errors import MissingPackageError
from gradscope.report import pdf, write_report
from gradscope.report.document import Document, Grid, Paragraph
from tests.report.conftest import ODD, all_of

pytestmark = pytest.mark.whole
pypdf = pytest.importorskip("pypdf")


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


def test_reports_are_the_same_each_time(recorded):
    run = recorded("cell: gru\nfigures: [learning_curves, gradient_vs_lag]")
    [path] = write_report(run, ["pdf"])
    before = path.read_bytes()
    assert write_report(run, ["pdf"]) == [path]
    assert path.read_bytes() == before


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


def test_words_are_never_markup():
    assert pdf.typeset(all_of(ODD)).count(pdf.escaped(ODD)) == 8  # the file's own title as well
