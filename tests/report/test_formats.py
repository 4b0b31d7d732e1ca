"""Formats by their names."""

import pytest

from gradscope.errors import UnknownNameError
from gradscope.report import write_report
from gradscope.report.formats import checked
from gradscope.results.records import RunDirectory


def test_each_is_written_once():
    assert checked(["md", "html", "md"]) == ["md", "html"]


def test_an_unknown_format_is_refused_before_anything_is_drawn(tiny_run):
    before = sorted(tiny_run.rglob("*"))
    with pytest.raises(UnknownNameError, match="no format 'dpf'; did you mean 'pdf'"):
        write_report(RunDirectory(tiny_run), ["dpf"])
    assert sorted(tiny_run.rglob("*")) == before
