"""A diagnosis as a notebook shows it."""

import re

from tests.diagnosis.conftest import diagnosis_of, finding_of


def words(html):
    """What is read, without the style."""
    html = re.sub("<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub("<[^>]+>", " ", html).split())


def test_each_finding_has_its_evidence_and_the_first_remedies():
    diagnosis = diagnosis_of(finding_of(severity=0.75), finding_of("exploding", says="explodes"))
    html = diagnosis._repr_html_()
    text = words(html)
    assert text.startswith("1. vanishing at rnn [severity 0.75, confidence 0.80] Vanishes.")
    assert "Evidence: lag 12; nats per step −0.5" in text
    assert "2. exploding at rnn [severity 0.50, confidence 0.80] Explodes." in text
    first = html.split('<div class="finding')[1]
    assert first.split("<details>")[0].count("<li>") == 3
    assert "more</summary>" in first


def test_what_is_grave_looks_so():
    html = diagnosis_of(finding_of(severity=0.7), finding_of(severity=0.6))._repr_html_()
    assert re.findall('<div class="(finding[^"]*)"', html) == ["finding grave", "finding"]


def test_the_same_remedies_are_named_once():
    html = diagnosis_of(finding_of(), finding_of(where="other"))._repr_html_()
    assert "Remedies: as for 1." in words(html)
    assert html.count("<ul>") == html.split('<div class="finding')[1].count("<ul>")


def test_many_findings_are_folded():
    html = diagnosis_of(*[finding_of(where=f"r{i}") for i in range(7)])._repr_html_()
    shown, folded = html.split("<details><summary>2 more findings</summary>")
    assert (shown.count('class="finding'), folded.count('class="finding')) == (5, 2)


def test_words_are_escaped():
    html = diagnosis_of(
        finding_of(where="<b>rnn</b>", says="is <i>ill</i>"), notes=("a <u>note</u>",)
    )._repr_html_()
    for tag in ("<b>rnn", "<i>", "<u>"):
        assert tag not in html
    assert "vanishing at &lt;b&gt;rnn&lt;/b&gt;" in html
    assert "Note: a &lt;u&gt;note&lt;/u&gt;" in html


def test_nothing_found():
    text = words(diagnosis_of(looked_at=3, notes=("a note",))._repr_html_())
    assert text == "Nothing found: 3 kinds of illness were looked for in rnn. Note: a note"
