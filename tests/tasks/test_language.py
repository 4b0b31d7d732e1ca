"""What language models share: contiguous streams, a held-out text, n-grams to compare with."""

import math
from itertools import islice, pairwise

import pytest
import torch

from gradscope.tasks import TASKS
from gradscope.tasks._ngram import cross_entropies
from tests.tasks._draw import generator


def test_streams_are_contiguous_and_cover_the_text_in_an_epoch(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "length": 25})
    train = task.text().train
    batches = list(islice(task.stream(4, generator()), (len(train) - 1) // 4 // 25))
    assert [b.continues for b in batches] == [False, *[True] * (len(batches) - 1)]
    for before, after in pairwise(batches):
        assert torch.equal(before.targets[-1], after.inputs[0]), (
            "a batch begins with what the last one was asked for"
        )
    for batch in batches:
        assert torch.equal(batch.inputs[1:], batch.targets[:-1])
    read = torch.cat([b.inputs for b in batches]).T.flatten()
    doubled = torch.cat((train, train)).tolist()
    for row in torch.cat([b.inputs for b in batches]).T.tolist():
        assert any(doubled[i : i + len(row)] == row for i in range(len(train)))
    assert len(read) >= 0.9 * (len(train) - 4)


def test_every_epoch_begins_at_another_place(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "length": 140})
    # an epoch has five batches: 712 steps in each of four streams
    starts = [batch for batch in islice(task.stream(4, generator()), 20) if not batch.continues]
    assert len(starts) == 4
    assert len({tuple(batch.inputs[:, 0].tolist()) for batch in starts}) > 1


def test_without_state_every_batch_is_a_fresh_one(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "length": 10, "stateful": False})
    assert not any(batch.continues for batch in islice(task.stream(2, generator()), 5))


def test_samples_are_stretches_of_the_training_text(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "length": 10})
    train = task.text().train.tolist()
    batch = task.sample(8, generator())
    for inputs, targets in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        stretch = [*inputs, targets[-1]]
        assert inputs[1:] == targets[:-1]
        assert any(train[i : i + 11] == stretch for i in range(len(train) - 10))


def test_held_out_text_is_never_trained_on_and_read_in_order(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "held_out": 0.3, "test_tokens": 500})
    (batch,) = task.test(0, generator())
    assert batch.inputs.numel() == 500
    assert torch.equal(batch.inputs.T.flatten(), task.text().test[:500])
    assert torch.equal(batch.targets.T.flatten(), task.text().test[1:501])
    pieces = task.at_length(20).test(0, generator())[0]
    assert pieces.inputs.shape == (20, 25)


def test_references_are_the_n_grams_of_what_is_tested(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file, "test_tokens": 100, "ngram": 2})
    train, test = task.text().train.tolist(), task.text().test.tolist()
    one, two = cross_entropies(train, test[1:101], 11, 2)
    assert task.references() == {"1-gram": one, "2-gram": two}
    assert task.solved(two - 1e-9, 1.0)
    assert not task.solved(two + 1e-9, 0.0)


def test_bits_and_perplexity_of_a_loss(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file})
    assert task.measures(math.log(2)) == pytest.approx({"bits_per_character": 1, "perplexity": 2})
    assert task.measures(1e6)["perplexity"] < math.inf


def test_wrong_is_the_share_of_each_stream(text_file):
    task = TASKS.make({"name": "char_lm", "corpus": text_file})
    targets = torch.tensor([[0, 1], [2, 3]])
    outputs = torch.nn.functional.one_hot(torch.tensor([[0, 1], [2, 0]]), 11).float()
    assert task.wrong(outputs, targets).tolist() == [0.0, 0.5]
