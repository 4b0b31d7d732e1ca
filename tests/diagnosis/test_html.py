"""A diagnosis as a notebook shows it."""

import re

from tests.diagnosis.conftest import diagnosis_of, finding_of


def cells(html):
    return re.findall(r"<td[^>]*>(.*?)</td>", html)


def test_a_row_for_each_finding():
    diagnosis = diagnosis_of(finding_of(severity=0.75), finding_of("exploding", says="explodes"))
    html = diagnosis._repr_html_()
    heads = re.findall("<th>(.*?)</th>", html)
    assert len(cells(html)) == 2 * len(heads)
    row = dict(zip(heads, cells(html)[: len(heads)], strict=True))
    assert row["finding"] == "vanishing at rnn"
    assert (row["severity"], row["confidence"]) == ("0.75", "0.80")
    assert row["what was seen"] == "Vanishes."
    assert row["evidence"] == "lag 12<br>nats per step −0.5"
    assert len(row["what may help"].split("<br>")) == 3


def test_words_are_escaped():
    html = diagnosis_of(
        finding_of(where="<b>rnn</b>", says="is <i>ill</i>"), notes=("a <u>note</u>",)
    )._repr_html_()
    for tag in ("<b>", "<i>", "<u>"):
        assert tag not in html
    assert "vanishing at &lt;b&gt;rnn&lt;/b&gt;" in html
    assert "<small>a &lt;u&gt;note&lt;/u&gt;</small>" in html


def test_nothing_found():
    html = diagnosis_of(looked_at=3, notes=("a note",))._repr_html_()
    assert html == (
        "<p>Nothing found: 3 kinds of illness were looked for.</p><p><small>a note</small></p>"
    )
