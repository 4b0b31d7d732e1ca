"""An audit in print."""

import torch

from gradscope.auditing._judgement import Judgement
from gradscope.auditing._memory import Memory
from gradscope.auditing._text import audit_html, audit_text, table

SLOW = Memory("layers.0", "Mamba2", "head", torch.tensor([0.1, 0.01]), {})
SIMPLE = Memory("rnn", "RNN", "mode", torch.tensor([0.5]), {"spectral_radius": 0.61, "chi": 0.4})


def test_a_row_for_each_with_the_facts_that_any_has():
    frame = table([SLOW, SIMPLE], [])
    assert frame["recurrence"].tolist() == ["layers.0", "rnn"]
    assert frame["of"].tolist() == ["2 heads", "1 mode"]
    assert frame["longest"].tolist() == ["100", "2"]
    assert frame["chi"].tolist() == ["–", "0.4"]
    assert "forget gate" not in frame


def test_what_a_checkpoint_has_stands_beside_it():
    frame = table([SLOW, SIMPLE], [Memory("layers.0", "Mamba2", "head", torch.tensor([1.0]), {})])
    assert frame["longest there"].tolist() == ["1", "–"]


def test_columns_are_flush_and_sentences_follow():
    said = Judgement("exploding", "rnn", "its state grows", True)
    text = audit_text("Model", [SLOW, SIMPLE], [said], [], ["a note"])
    title, head, *rows = text.splitlines()
    assert title == "Model: memory horizons at rest, in steps"
    assert [head.index("kind"), rows[0].index("Mamba2"), rows[1].index("RNN")] == [12] * 3
    assert rows[2:] == ["fault: exploding at rnn: its state grows", "note: a note"]


def test_a_notebook_shows_names_as_they_are():
    strange = Memory("<b>", "Mamba2", "head", torch.tensor([0.1]), {})
    html = audit_html("Model", [strange], [], [], [])
    assert "&lt;b&gt;" in html
    assert "<b>&lt;" not in html
    assert "nothing wrong was found" in html
