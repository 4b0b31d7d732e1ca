"""One model of many, and one batch of many."""

import torch

from gradscope.experiment import Experiment, seeding
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.stacked import joined, stacked
from gradscope.tasks import Batch


def models(text: str) -> list[SequenceModel]:
    settings = Experiment.parse(text).trials[0].settings
    return [build(settings, generator=seeding.weights(seed)) for seed in range(3)]


def test_the_parts_are_views_of_the_whole():
    parts = models("task: {name: adding, length: 4}\ncell: {name: gru, hidden_size: 3}")
    before = [[p.detach().clone() for p in part.parameters()] for part in parts]
    whole = stacked(parts)
    for row, (part, values) in enumerate(zip(parts, before, strict=True)):
        for parameter, mine, value in zip(
            whole.parameters(), part.parameters(), values, strict=True
        ):
            assert torch.equal(mine, value)
            with torch.no_grad():
                parameter[row] += 1
            parameter.grad[row] += 2
            assert torch.equal(mine, value + 1)
            assert torch.equal(mine.grad, torch.full_like(mine, 2))


def test_weights_that_are_tied_stay_tied():
    text = """
task: {name: char_lm, length: 4}
cell: {name: rnn, hidden_size: 16}
model: {embedding: tied}
"""
    whole = stacked(models(text))
    assert whole.weight_hy is whole.embedding
    assert whole.weight_hy.dim() == 3


def test_a_backward_pass_through_the_whole_leaves_each_its_own_gradients():
    text = "task: {name: copy_memory, length: 2}\ncell: {name: lstm, hidden_size: 3}"
    alone, parts = models(text), models(text)
    task = alone[0].task
    batches = [task.sample(2, torch.Generator().manual_seed(seed)) for seed in range(3)]
    for model, batch in zip(alone, batches, strict=True):
        model.score(model(batch), batch.targets).mean().backward()
    whole, together = stacked(parts), joined(batches)
    whole.score(whole(together), together.targets).mean((0, -1)).sum().backward()
    for model, part in zip(alone, parts, strict=True):
        for expected, ours in zip(model.parameters(), part.parameters(), strict=True):
            torch.testing.assert_close(ours.grad, expected.grad)


def batch(time: int, scored: int, *, continues: bool = False) -> Batch:
    steps = torch.arange(time - scored, time)
    return Batch(torch.ones(time, 2, 3), steps, torch.ones(scored, 2, 1), continues)


def test_batches_of_one_length_keep_their_steps():
    together = joined([batch(5, 2), batch(5, 2)])
    assert together.inputs.shape == (5, 2, 2, 3)
    assert together.targets.shape == (2, 2, 2, 1)
    assert together.steps.tolist() == [3, 4]


def test_shorter_sequences_are_filled_up_behind_their_end():
    together = joined([batch(5, 1), batch(3, 1)])
    assert together.steps.tolist() == [[4, 2]]
    assert together.inputs[:, 1].sum((1, 2)).tolist() == [6, 6, 6, 0, 0]
    hidden = torch.arange(5.0).view(5, 1, 1, 1).expand(5, 2, 2, 1)
    assert together.scored(hidden)[0, :, 0, 0].tolist() == [4, 2]


def test_batches_that_score_unlike_or_go_on_do_not_join():
    assert joined([batch(5, 1), batch(5, 2)]) is None
    assert joined([batch(5, 1, continues=True), batch(4, 1, continues=True)]) is None
    assert joined([batch(5, 1, continues=True), batch(5, 1)]) is None
