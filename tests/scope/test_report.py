"""The report of a model that gradscope did not build."""

import json
import re

import pandas as pd
import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from gradscope.plots import PLOTS
from gradscope.scope._report import check_folder
from tests.browser import needs_browser, opened
from tests.scope.conftest import BATCH, HIDDEN, INPUT, Tagger

pytestmark = pytest.mark.whole


class TriedOnce:
    """Remedies that were tried, by hand."""

    caption = "Each was tried once & for all."

    def formatted(self):
        return pd.DataFrame({"remedy": ["as it is", "<none>"], "loss at last": ["1", "0.5"]})


@pytest.fixture(scope="module")
def scope():
    torch.manual_seed(0)
    model = Tagger(nn.LSTM(INPUT, HIDDEN, 2, bidirectional=True))
    scope = gradscope.attach(model)
    for _ in range(2):
        with scope.record():
            model(torch.randn(16, BATCH, INPUT))[-1].square().sum().backward()
        scope.measure("jacobian_norms")  # of several recordings, for the explorer
    return scope


@pytest.fixture(scope="module")
def page(scope, tmp_path_factory):
    scope.last.notes.append("a word too long for a line, " + "encoder." * 20)
    return scope.report(tmp_path_factory.mktemp("report") / "out")


def test_the_page_holds_findings_figures_and_what_was_recorded(page, scope):
    text = page.read_text()
    assert "could not be drawn" not in text
    assert "reverse read early at <code>rnn.l1_reverse</code>" in text
    for finding in scope.diagnose().findings:
        assert f"confidence {finding.confidence:.2f}" in text
    assert "<td>rnn.l0, rnn.l0_reverse, rnn.l1, rnn.l1_reverse</td>" in text
    assert "at steps 0, 1;" in text
    drawn = set(re.findall(r'id="(\w+)"', text)) & set(PLOTS.names())
    assert {"adjoint_norms", "gates", "traced_back", "saturation"} <= drawn
    for name in drawn:
        assert PLOTS.get(name).of_recordings
        drawn_or_said = ("csv",) if name == "saturation" else ("svg", "png", "csv")
        for suffix in drawn_or_said:
            assert (page.parent / "figures" / f"{name}.{suffix}").stat().st_size > 100
    assert "No gate is saturated: at most" in text


def test_findings_end_in_one_full_stop(page):
    said = re.findall(r"</h3>\s*<p>(.*?)</p>", page.read_text(), flags=re.S)
    assert said
    for sentence in said:
        words = re.sub(r"<a .*?</a>.?|<[^>]*>", "", sentence).strip()
        assert words[0] == words[0].upper()
        assert words.endswith(".")
        assert not words.endswith("..")


def test_the_words_are_those_of_recordings(page):
    assert "first recording" in (page.parent / "figures" / "adjoint_norms.csv").read_text()
    text = page.read_text()
    body = text[: text.index('id="explore"')] if 'id="explore"' in text else text
    captions = body[body.index('id="recurrences"') :]
    for word in ("seed", "trial", "end of training", "configuration"):
        assert word not in captions, word


def test_tables_and_findings_lie_beside_the_page(page, scope):
    findings = json.loads((page.parent / "findings.json").read_text())
    assert [finding["finding"] for finding in findings] == [
        finding.name for finding in scope.diagnose().findings
    ]
    frame = pd.read_parquet(page.parent / "tables" / "adjoint_norms.parquet")
    pd.testing.assert_frame_equal(frame, scope.tables()["adjoint_norms"], check_dtype=False)


def test_nothing_else_is_written_over(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    check_folder(folder)  # an empty one
    (folder / "file").write_text("mine")
    with pytest.raises(GradscopeError, match="holds something else"):
        check_folder(folder)
    with pytest.raises(GradscopeError, match="holds something else"):
        check_folder(folder / "file")
    with pytest.raises(GradscopeError, match="cannot be written: Not a directory"):
        check_folder(folder / "file" / "below")
    check_folder(tmp_path / "new" / "one")
    assert (tmp_path / "new" / "one").is_dir()


def test_a_healthy_model_has_a_report_as_well_which_may_be_written_over(tmp_path):
    torch.manual_seed(0)
    model = nn.RNN(INPUT, HIDDEN)
    scope = gradscope.attach(model)
    with scope.record():
        model(torch.randn(5, BATCH, INPUT))[0].square().sum().backward()
    assert not scope.diagnose()
    page = scope.report(tmp_path / "out", tried=TriedOnce())
    text = page.read_text()
    assert f"Nothing was found; {len(scope.diagnose().looked_at)} kinds of illness" in text
    assert "Each was tried once &amp; for all." in text
    assert '<th scope="row">&lt;none&gt;</th><td>0.5</td>' in text
    assert scope.report(tmp_path / "out") == page
    assert "Remedies, tried" not in page.read_text()


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_in_chromium(page, width):
    with opened(page, width) as shown:
        shown.check()
        assert shown.violations() == []
