"""Finding: its words."""

from gradscope.capture import Place
from gradscope.findings import Finding


def test_words():
    place = Place("rnn", "gru", layer=0, stretch=2)
    finding = Finding(
        "one_sequence_rules",
        str(place),
        "one sequence rules",
        0.5,
        0.9,
        {"share_of_norm": 0.9312345},
        place=place,
    )
    assert finding.title == "one sequence rules at rnn.l0 (2)"
    assert finding.kind == "one sequence rules"
    assert finding.sentence == "One sequence rules."
    assert list(finding.numbers) == ["share of norm"]
    assert float(finding.numbers["share of norm"]) == 0.931
    assert finding.recurrence == "rnn.l0"
