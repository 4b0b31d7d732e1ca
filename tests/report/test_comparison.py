"""The report of runs that are held against each other."""

import re

import pytest

import gradscope
from tests.browser import opened

pytestmark = pytest.mark.whole


def test_the_report_says_what_differs(two_rates, tmp_path):
    page = gradscope.compare(*two_rates).report(tmp_path / "out")
    text = page.read_text()
    assert "fast_&lt;i&gt; against slow" in text
    assert re.search(r'<th scope="row">optimizer.lr</th>\s*<td>0.001</td>\s*<td>0.1</td>', text)
    assert (tmp_path / "out" / "differences.csv").is_file()
    assert "could not be drawn" not in text
    assert "http" not in re.sub(r'xmlns\S*="[^"]*"', "", text.split("<script")[0])


def test_the_page_has_no_violation(two_rates, tmp_path):
    page = gradscope.compare(*two_rates).report(tmp_path / "out")
    with opened(page, 390) as shown:
        assert shown.violations() == []


def test_a_notebook_of_it_opens_the_runs(two_rates, tmp_path):
    page = gradscope.compare(*two_rates).report(tmp_path / "out", "ipynb")
    assert "run = gradscope.compare('../" in page.read_text().replace('\\"', '"')
