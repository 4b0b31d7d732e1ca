"""The two sentences: a blank that depends on a far word, and one that depends on a near word."""

import math
from collections import Counter

import pytest

from gradscope.tasks import TASKS
from gradscope.tasks.long_agreement import FILLERS, LANGUAGES, NEAR, _fillers
from tests.tasks._draw import sample


@pytest.mark.parametrize("length", [4, 5, 11, 60])
def test_the_answer_stands_as_many_words_back_as_said(length):
    task, batch = sample({"name": "long_agreement", "length": length}, count=40)
    words = [[task.alphabet[token] for token in column] for column in batch.inputs.T.tolist()]
    for sentence, target in zip(words, batch.targets[0].tolist(), strict=True):
        assert sentence[:3] == ["i", "live", "in"]
        assert sentence[-2:] == ["i", "speak"]
        assert len(sentence) - 3 == length
        assert task.alphabet[target] == LANGUAGES[sentence[3]]
        assert not set(sentence[4:]) & (set(LANGUAGES) | set(LANGUAGES.values())), (
            "a filler gives the answer away"
        )
    assert batch.steps.tolist() == [len(words[0]) - 1]


def test_the_near_answer_stands_four_words_back_whatever_the_length():
    task, batch = sample({"name": "long_agreement", "length": 50, "sentence": "near"}, count=40)
    for column, target in zip(batch.inputs.T.tolist(), batch.targets[0].tolist(), strict=True):
        sentence = [task.alphabet[token] for token in column]
        assert len(sentence) == 50
        assert sentence[-3:] == ["is", "a", "good"]
        assert task.alphabet[target] == NEAR[sentence[-4]]


def test_what_stands_between_are_sentences_of_the_templates():
    task, batch = sample({"name": "long_agreement", "length": 60}, count=10)
    known = set(_fillers())
    for column in batch.inputs.T.tolist():
        words = [task.alphabet[token] for token in column[5:-2]]
        ends = [place + 1 for place, word in enumerate(words) if word == "."]
        first, *whole = (words[a:b] for a, b in zip([0, *ends], ends, strict=False))
        assert ends[-1] == len(words)
        assert len(whole) >= 3
        assert {tuple(sentence) for sentence in whole} <= known
        assert any(list(sentence[-len(first) :]) == first for sentence in known)


def test_the_docstring_counts_what_there_is():
    doc = TASKS.get("long_agreement").__doc__
    counts = (len(LANGUAGES), len(set(LANGUAGES.values())), len(NEAR), len(_fillers()))
    assert "{} countries with {} languages, {} near words, and {} filler".format(*counts) in doc
    assert len(set(_fillers())) == len(_fillers()) == sum(_forms(template) for template in FILLERS)


def _forms(template: str) -> int:
    return math.prod(word.count("|") + 1 for word in template.split())


def test_baselines_are_the_entropies_of_the_answers():
    far = TASKS.make("long_agreement")
    counts = Counter(LANGUAGES.values()).values()
    entropy = math.log(50) - sum(count * math.log(count) for count in counts) / 50
    assert far.baseline == pytest.approx(entropy)
    near = TASKS.make({"name": "long_agreement", "sentence": "near"})
    assert near.baseline == pytest.approx(math.log(6))
