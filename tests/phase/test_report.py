"""The page of a phase diagram, and its verdict in words."""

import re

import numpy as np
import pandas as pd
import pytest

from gradscope.phase import PhaseDiagram, write_phase_report
from gradscope.phase.measure import Theory
from gradscope.phase.report import verdict
from tests.browser import needs_browser, opened


def test_the_verdict_says_where_the_gradient_turns(frame):
    """Exponents cross 0 at gain 1 and 1.1 by seed, their mean at 1.05; mean field at 1.2."""
    assert verdict(frame) == [
        f"With inputs of variance {variance}, the gradient turns from vanishing to exploding at "
        "g = 1.05 (1 to 1.1 by seed); mean field, of infinitely many units, puts it at 1.2."
        for variance in ("0", "0.5")
    ] + [
        "Mean field and measurement differ by at most 0.85 nats per step (at g = 0.5, variance 0)."
    ]


def test_without_theory_nothing_is_said_of_it(frame):
    frame["mean_field_exponent"] = np.nan
    sentences = verdict(frame)
    assert len(sentences) == 2
    assert sentences[0].endswith("at g = 1.05 (1 to 1.1 by seed).")


def test_of_one_seed_there_is_no_spread(frame):
    (sentence, *_) = verdict(frame[frame["seed"] == 0])
    assert "at g = 1; mean field" in sentence


def test_a_gradient_that_never_turns(frame):
    below, above = frame[frame["gain"] < 1], frame[frame["gain"] > 1.2]
    assert verdict(below)[0].endswith("the gradient vanishes at every gain measured.")
    assert verdict(above)[0].endswith("the gradient explodes at every gain measured.")


def test_a_gradient_that_turns_the_other_way(frame):
    frame["exponent"] = -frame["exponent"]
    expected = "the gradient explodes at the lower gains measured and vanishes at the higher."
    assert verdict(frame)[0].endswith(expected)


def test_a_network_that_is_dead_up_to_some_gain(frame):
    """Below gain 1.5 every exponent is -inf: the gradient turns between, at the latest there."""
    frame.loc[frame["gain"] < 1.5, "exponent"] = -np.inf
    assert "to exploding at g = 1.5 (1.5 to 1.5 by seed); mean field" in verdict(frame)[0]


def test_dead_networks_vanish(frame):
    frame["exponent"] = -np.inf
    assert verdict(frame) == [
        f"With inputs of variance {variance}, the gradient vanishes at every gain measured."
        for variance in ("0", "0.5")
    ]


def test_the_page_holds_everything_and_refers_to_nothing_outside(frame, theory, tmp_path):
    page = write_phase_report(
        frame, theory, title="a <b>", network="10 units & more", folder=tmp_path / "out"
    )
    assert page == tmp_path / "out" / "index.html"
    text = page.read_text()
    assert "a &lt;b&gt;" in text
    assert "10 units &amp; more" in text
    assert "What was found" in text
    for sentence in verdict(frame):
        assert sentence in text
    assert "Lines: mean field" in text
    assert "where mean field puts the border" in text
    for address in re.findall(r'(?:src|href)="([^"]*)"', text):
        assert address.startswith(("#", "data:", "figures/")) or address == "phase.csv", address
        if not address.startswith(("#", "data:")):
            assert (page.parent / address).stat().st_size > 100
    assert pd.read_csv(page.parent / "phase.csv").equals(frame)


def test_a_page_without_theory_does_not_mention_its_lines(frame, tmp_path):
    theory = PhaseDiagram("lstm", hidden_size=2).theory()
    assert isinstance(theory, Theory)
    text = write_phase_report(frame, theory, title="t", network="n", folder=tmp_path).read_text()
    assert "Lines: mean field" not in text
    assert "where mean field puts the border" not in text


@needs_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_in_chromium_everybody_can_use_it(frame, theory, tmp_path, scheme):
    page = write_phase_report(frame, theory, title="t", network="n", folder=tmp_path)
    with opened(page, 390, scheme) as shown:
        shown.check()
        assert shown.violations() == []
