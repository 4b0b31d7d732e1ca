"""The report as blocks."""

import pytest

from gradscope.report.contents import contents_of
from gradscope.report.document import Bullets, FigureBlock, Grid, Heading, Terms, run_document
from gradscope.results.records import RunDirectory


def _contents(run, tmp_path):
    return contents_of(run, tmp_path / "figures")


def test_a_run_s_report_in_blocks(recorded, tmp_path):
    contents = _contents(recorded("cell: rnn\nprobes: []\nquestion: Why?\n"), tmp_path)
    document = run_document(contents)
    assert document.title == "run"
    assert document.opening.endswith("gradscope.open_run('.')")
    headings = [block.text for block in document.blocks if isinstance(block, Heading)]
    assert headings == ["What was found", "Summary", "Definitions", "Methods", "Provenance"]
    [found] = [block.items for block in document.blocks if isinstance(block, Bullets)]
    assert list(found) == list(contents.verdict)
    [table] = [block for block in document.blocks if isinstance(block, Grid)]
    assert table.rows[0][0] == "rnn"
    figures = [block.shown.name for block in document.blocks if isinstance(block, FigureBlock)]
    assert figures == [shown.name for shown in contents.figures]
    words = dict(pair for b in document.blocks if isinstance(b, Terms) for pair in b.pairs)
    assert "a_{t} = dL/ds_{t}" in words["adjoint, per-step gradient"]
    assert "1 of 1" in words["trials"]


@pytest.mark.whole
def test_what_failed_and_what_is_missing_is_said(tiny_run, tmp_path):
    run = RunDirectory(tiny_run)
    document = run_document(_contents(run, tmp_path))
    kinds = [block.kind for block in document.blocks]
    assert kinds.count("figure") > 5
    assert "Expected and measured" in [b.text for b in document.blocks if isinstance(b, Heading)]
