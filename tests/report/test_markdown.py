"""The report as Markdown."""

import re

import pytest

from gradscope.report.markdown import escaped, markdown
from tests.report.conftest import ODD, all_of

pytestmark = pytest.mark.whole


def test_markdown_has_every_number_of_the_summary(reports):
    text = reports[".md"].read_text()
    assert "## What was found" in text
    summary = text[text.index("## Summary") :].split("\n\n")[2].split("\n")
    assert summary[0].startswith("| configuration |")
    assert len({line.replace("\\|", "").count("|") for line in summary}) == 1
    images = re.findall(r"!\[.*\]\((.*)\)", text)
    assert images
    assert all((reports[".md"].parent / image).is_file() for image in images)


def test_words_are_never_markup():
    text = markdown(all_of(ODD))
    assert text.count(escaped(ODD)) == 7  # the title, every cell, term, word and heading
