"""Losses at the end of an unroll."""

import pytest
import torch

from gradscope.dynamics.packing import Packing
from gradscope.errors import GradscopeError
from gradscope.unrolls._losses import Loss
from tests.conftest import draw


def test_named_losses():
    packing, s = Packing(draw(3, 4)), draw(3, 4)
    projection = Loss("projection", packing, 0).gradient(s, 1)
    assert torch.allclose(projection.gradient.norm(dim=-1), torch.ones(3).double())
    assert torch.equal(projection.gradient[0], projection.gradient[1])
    square = Loss("mean_square", packing, 0).gradient(s, 1)
    torch.testing.assert_close(square.loss, s.square().mean(-1))
    torch.testing.assert_close(square.gradient, s / 2)


def test_a_loss_sees_the_state_as_the_step_does():
    state = {"x": draw(2, 3), "v": draw(2)}
    packing = Packing(state)
    loss = Loss(lambda s: s["x"].sum(-1) * s["v"], packing, 0)
    found = loss(packing.pack(state))
    torch.testing.assert_close(found, state["x"].sum(-1) * state["v"])
    assert loss.words == "your loss"
    assert Loss(torch.nn.Flatten(0), packing, 0).words == "Flatten"


def test_of_one_start_it_is_a_number():
    packing = Packing(draw(1, 3)[0], batched=False)
    assert Loss(lambda s: s.sum(), packing, 0)(draw(1, 3)).shape == (1,)
    with pytest.raises(GradscopeError, match=r"\(\), got \(3,\)"):
        Loss(lambda s: s, packing, 0)(draw(1, 3))
    with pytest.raises(GradscopeError, match="got float"):
        Loss(lambda s: 1.0, packing, 0)(draw(1, 3))
