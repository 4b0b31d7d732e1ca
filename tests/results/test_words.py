"""Phrases of captions: for each reader a full set of them."""

import dataclasses

from gradscope.results.words import RECORDINGS, SWEEP, Words, sentence


def test_moments_are_told_apart():
    for words in (SWEEP, RECORDINGS):
        assert words.moments == (words.first, words.last)
        assert words.first != words.last


def test_a_sweep_is_told_from_recordings():
    assert SWEEP.of_sweep
    assert not RECORDINGS.of_sweep
    phrases = [vars(RECORDINGS)[field.name] for field in dataclasses.fields(Words)]
    text = " ".join(phrase for phrase in phrases if isinstance(phrase, str))
    for word in ("seed", "trial", "sweep", "training", "configuration"):
        assert word not in text


def test_a_phrase_goes_into_a_sentence():
    """Phrases have no full stop of their own, so that a caption may put them anywhere."""
    for words in (SWEEP, RECORDINGS):
        for field in dataclasses.fields(Words):
            phrase = getattr(words, field.name)
            if isinstance(phrase, str) and field.name != "ended_early":
                assert not phrase.endswith(".")
                assert phrase == phrase.rstrip()
    assert sentence(SWEEP.mean) == "Mean over seeds."
