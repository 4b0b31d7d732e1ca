"""Clipping the adjoint inside backpropagation through time."""

import torch

from gradscope.clips import CLIPS
from tests.clips._draw import training
from tests.conftest import draw


def test_the_adjoint_is_clipped_at_every_step_on_its_way():
    """Against the recursion written out: a_t = clip(dl/ds_t + J^T a_{t+1}), each sequence's own."""
    run = training("clip: {name: adjoint_norm, max_norm: 0.003}\ntraining: {batch_size: 3}")
    cell = run.model.stack.layers[0]
    cell.weight_hh.data, cell.weight_ih.data = (
        1.2 * torch.eye(5).double(),
        0.001 * cell.weight_ih.data,
    )  # it would grow
    cell.bias_ih.data, cell.bias_hh.data = torch.zeros(2, 5).double()
    batch = run.next_batch()
    (loss,) = run.windows.losses(batch)
    ours = torch.autograd.grad(loss, cell.weight_hh)[0]
    inputs = batch.inputs
    states = [torch.zeros(3, 5, dtype=torch.float64)]
    for x in inputs:
        states.append(cell(x, states[-1]).detach())
    last = states[-1].requires_grad_()
    a = torch.autograd.grad(
        run.model.task.score(run.model.readout(last[None]), batch.targets).mean(), last
    )[0]
    expected, clipped_steps = torch.zeros(5, 5, dtype=torch.float64), 0
    for t in range(12, 0, -1):
        before = states[t - 1].detach().requires_grad_()
        by_weight, carried = torch.autograd.grad(
            cell(inputs[t - 1], before), (cell.weight_hh, before), a
        )
        expected += by_weight
        factor = (0.003 / carried.norm(dim=1, keepdim=True)).clamp_max(1.0)
        clipped_steps += int((factor < 1).sum())
        a = carried * factor
    assert clipped_steps > 5
    torch.testing.assert_close(ours, expected)


def test_each_sequence_is_clipped_by_its_own_norm():
    clip = CLIPS.make({"name": "adjoint_norm", "max_norm": 0.5})
    adjoint = draw(4, 6) * torch.tensor([[0.01], [1.0], [100.0], [0.0]], dtype=torch.float64)
    norms = clip.clip_adjoint(adjoint).norm(dim=1)
    torch.testing.assert_close(norms, adjoint.norm(dim=1).clamp_max(0.5))
    assert torch.equal(clip.clip_adjoint(adjoint)[0], adjoint[0])
