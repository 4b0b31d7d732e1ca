"""Interpolated Witten-Bell n-grams."""

import math

import pytest

from gradscope.tasks._ngram import cross_entropies


def test_witten_bell_by_hand():
    """Train abab a; after a comes b twice, the only kind: p(b | a) = (2 + 1 p(b)) / 3.

    Here p(b) = (2 + 2 / 3) / (5 + 2).
    """
    train, test = [0, 1, 0, 1, 0], [0, 1]
    one, two = cross_entropies(train, test, 3, 2)
    p_a, p_b = (3 + 2 / 3) / 7, (2 + 2 / 3) / 7
    assert one == pytest.approx(-(math.log(p_a) + math.log(p_b)) / 2)
    assert two == pytest.approx(-(math.log(p_a) + math.log((2 + p_b) / 3)) / 2)


def test_ngrams_are_distributions_and_unseen_contexts_fall_back():
    train = [0, 1, 2, 0, 1, 1, 2, 2, 0]
    for order in (1, 2, 3):
        total = sum(math.exp(-2 * cross_entropies(train, [3, w], 4, order)[-1]) for w in range(4))
        first = math.exp(-cross_entropies(train, [3], 4, order)[-1])
        assert total == pytest.approx(first)


def test_a_deterministic_text_is_learned_by_a_long_enough_context():
    train = [0, 0, 1, 1] * 500
    found = cross_entropies(train, [0, 0, 1, 1] * 50, 2, 3)
    assert found[0] == pytest.approx(math.log(2), abs=1e-3)
    assert found[2] < 0.02
