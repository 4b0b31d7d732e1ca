"""A diagnosis as lines of text."""

from tests.diagnosis.conftest import diagnosis_of, finding_of


def test_a_finding_its_evidence_and_its_first_remedies():
    diagnosis = diagnosis_of(finding_of(severity=0.75))
    lines = str(diagnosis).splitlines()
    assert lines[0] == "1. vanishing at rnn  [severity 0.75, confidence 0.80]"
    assert lines[1] == "   Vanishes."
    advice = [str(item) for item in diagnosis.advice(diagnosis.findings[0])]
    assert len(advice) > 3
    assert " ".join(" ".join(lines[2:]).split()) == " ".join(f"- {item}" for item in advice[:3])


def test_no_line_is_longer_than_a_hundred_characters():
    diagnosis = diagnosis_of(
        finding_of(says="vanishes " + "by a long way " * 20), notes=("a note " * 40,)
    )
    lines = str(diagnosis).splitlines()
    assert len(lines) > 8
    assert max(map(len, lines)) <= 100
    continued = lines[lines.index(next(line for line in lines if line.startswith("note:"))) + 1]
    assert continued.startswith("      note a note")


def test_remedies_that_an_earlier_finding_has_are_not_said_again():
    same, other = finding_of(), finding_of("exploding", says="explodes")
    lines = str(diagnosis_of(other, same, same, other)).splitlines()
    assert [line for line in lines if "as for" in line] == [
        "   - remedies: as for 2",
        "   - remedies: as for 1",
    ]


def test_a_finding_without_remedies_has_no_advice():
    lines = str(diagnosis_of(finding_of(remedies=()), finding_of(remedies=()))).splitlines()
    assert len(lines) == 4
    assert not any("remedies" in line for line in lines)


def test_nothing_found():
    said = str(diagnosis_of(looked_at=3, notes=("something else",)))
    assert said.splitlines() == [
        "Nothing found: 3 kinds of illness were looked for in rnn.",
        "note: something else",
    ]
