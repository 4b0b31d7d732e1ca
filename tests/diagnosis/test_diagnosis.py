"""Diagnosis: findings by name, in a table and for programs, and remedies in the order of use."""

import json

import pytest

from gradscope.diagnosis import check_names
from gradscope.errors import UnknownNameError
from gradscope.findings import FINDINGS
from gradscope.remedies import REMEDIES
from tests.diagnosis.conftest import diagnosis_of, finding_of


def test_it_is_as_true_and_as_long_as_its_findings():
    nothing, something = diagnosis_of(), diagnosis_of(finding_of(), finding_of("exploding"))
    assert not nothing
    assert len(nothing) == 0
    assert repr(nothing) == "Diagnosis(nothing found)"
    assert something
    assert len(something) == 2
    assert repr(something) == "Diagnosis(vanishing at rnn; exploding at rnn)"


def test_findings_by_name():
    vanishing, exploding = finding_of(), finding_of("exploding")
    diagnosis = diagnosis_of(vanishing, exploding)
    assert diagnosis.named(["exploding"]) == [exploding]
    assert diagnosis.named(["any"]) == [vanishing, exploding]
    assert diagnosis.named(["chaotic"]) == []
    with pytest.raises(UnknownNameError, match=r"no finding called 'explodin'; did you mean 'expl"):
        diagnosis.named(["explodin"])


def test_names_are_checked_before_anything_runs():
    check_names(["any", *FINDINGS.names()])
    with pytest.raises(UnknownNameError, match="there is no finding called ''"):
        check_names([""])


def test_what_helped_most_comes_first_and_what_did_not_help_last():
    diagnosis = diagnosis_of(finding_of(remedies=tuple(REMEDIES.names())))
    remedies = diagnosis.remedies(diagnosis.findings[0])
    measured = [remedy.measured("RNN") for remedy in remedies]
    groups = [1 if m is None else 0 if m.factor < 0.9 else 2 for m in measured]
    assert groups == sorted(groups)
    assert set(groups) == {0, 1, 2}
    for group in (0, 2):
        factors = [m.factor for m, of in zip(measured, groups, strict=True) if of == group and m]
        assert factors == sorted(factors)


@pytest.mark.parametrize(("cell", "suits"), [("RNN", True), ("LSTM", False)])
def test_remedies_are_for_the_cell_that_a_finding_is_at(cell, suits):
    diagnosis = diagnosis_of(finding_of(), cell=cell)
    names = [remedy.name for remedy in diagnosis.remedies(diagnosis.findings[0])]
    assert ("gru" in names) == suits
    assert "lstm_chrono" in names


def test_of_parameters_any_remedy_is_given():
    finding = finding_of("not_finite", "all parameters", remedies=("gru", "forget_bias", "clip"))
    diagnosis = diagnosis_of(finding)
    assert {r.name for r in diagnosis.remedies(finding)} == {"gru", "forget_bias", "clip"}


def test_advice_is_the_same_in_words():
    diagnosis = diagnosis_of(finding_of(remedies=("gru", "keep_state", "clip")))
    (finding,) = diagnosis.findings
    advice = diagnosis.advice(finding)
    assert [item.name for item in advice] == [r.name for r in diagnosis.remedies(finding)]
    assert advice[0].name == "gru"
    measured = REMEDIES.make("gru").measured("RNN")
    assert str(advice[0]) == (
        f"use a GRU in place of the simple cell (gradscope's experiments: {measured})"
    )
    unmeasured = diagnosis_of(finding_of(remedies=("larger_batch",)))
    assert [str(item) for item in unmeasured.advice(unmeasured.findings[0])] == [
        "average over more sequences"
    ]


def test_the_frame_has_a_row_for_each():
    diagnosis = diagnosis_of(finding_of(), finding_of("exploding", says="explodes"))
    frame = diagnosis.frame()
    assert list(frame["rank"]) == [1, 2]
    assert list(frame["finding"]) == ["vanishing", "exploding"]
    assert list(frame["says"]) == ["vanishes", "explodes"]
    assert frame["remedies"][0].split(", ") == [
        remedy.name for remedy in diagnosis.remedies(diagnosis.findings[0])
    ]
    empty = diagnosis_of().frame()
    assert list(empty.columns) == list(frame.columns)
    assert empty.empty


def test_for_programs():
    (said,) = json.loads(json.dumps(diagnosis_of(finding_of()).as_json()))
    assert said["finding"] == "vanishing"
    assert said["where"] == "rnn"
    assert said["evidence"] == {"lag": 12.0, "nats_per_step": -0.5}
    assert said["figure"] == "traced_back"
    assert {"name", "what", "measured"} == set(said["remedies"][0])


def test_probes_are_those_of_the_figures_each_once():
    diagnosis = diagnosis_of(
        finding_of(),
        finding_of("exploding"),
        finding_of("forget_gates_shut"),
        finding_of("cut_off"),
    )
    assert diagnosis.probes == ("traced_back", "gates")
