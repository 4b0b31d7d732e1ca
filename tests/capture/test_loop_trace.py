"""What arrives at the states of a loop, and what its reader is told."""

import pytest
import torch
from torch import nn

import gradscope
from tests.capture.conftest import loop_of, recorded
from tests.capture.loop_models import BATCH, LENGTH, WIDTH, Equilibrium, Looped, Tiny, drawn


def test_the_losses_of_each_supervision_are_where_they_are_made():
    torch.manual_seed(0)
    _, trace, _ = loop_of(Tiny(supervisions=2).double(), drawn(BATCH, LENGTH, 2))
    heard = trace.immediate.mantissa.ne(0).flatten(1).any(1)
    assert heard.nonzero().flatten().tolist() == [6, 12]


def test_what_is_read_on_the_way_is_heard_there():
    torch.manual_seed(0)
    model = Looped(turns=1).double()
    with recorded(model, loops=["blocks.0"]) as recording:
        h, loss = drawn(BATCH, LENGTH, WIDTH), 0.0
        for turn in range(4):
            h = model.blocks[0](h, 0 * h)
            loss = loss + (turn in (1, 3)) * h.square().sum()
        loss.backward()
    immediate = recording.trace("blocks.0").immediate
    assert immediate.mantissa.ne(0).flatten(1).any(1).tolist() == [False, False, True, False, True]


def test_notes_say_what_was_found_and_how_it_is_read():
    torch.manual_seed(0)
    _, _, recording = loop_of(Equilibrium().double(), drawn(BATCH, WIDTH))
    found, silent = recording.notes[:2]
    assert found == (
        "map: found as a loop: map called 13 times on what came of its own output. A step ends "
        "after each call; its state is what later calls need: (3, 6)"
    )
    assert silent.startswith("map: 12 of its 13 calls were made without a gradient")
    used = gradscope.trained_gradient(recording.trace("map"))
    assert (used.seen, used.steps) == (1, 13)


def states_by_hand(model, x, heard):
    """The states of a tiny recursive model, each a tensor of its own with a gradient.

    What is made at a step that is not among the last ``heard`` ones was made without a gradient,
    and is a beginning; what such a step leaves as it was is not.
    """
    net, x = model.net["step"], model.embed(x).detach()
    parts = [
        part.expand_as(x).clone().requires_grad_() for part in (model.start[1], model.start[0])
    ]
    states, count = [parts], model.cycles * (model.inner + 1)
    for t in range(count):
        low, high = states[-1]
        reads, injection = (low, high + x) if (t + 1) % (model.inner + 1) else (high, low)
        made = net(reads, injection)
        made = made if t >= count - heard else made.detach().requires_grad_()
        low, high = (made, high.clone()) if reads is low else (low.clone(), made)
        low.retain_grad(), high.retain_grad()
        states.append([low, high])
    model.head(states[-1][1]).square().mean().backward()
    return states


def flat(tensors):
    return torch.cat([tensor.flatten(1) for tensor in tensors], dim=-1)


def gradients(states):
    grads = [[torch.zeros_like(s) if s.grad is None else s.grad for s in part] for part in states]
    return torch.stack([flat(part) for part in grads])


@pytest.mark.parametrize("cycles", [2, 3])
def test_the_adjoints_of_a_training_are_autograds(cycles):
    """dL/ds_t through all steps, and of the last cycle alone, over [z_L, z_H]."""
    torch.manual_seed(0)
    model, x = Tiny(cycles=cycles).double(), drawn(BATCH, LENGTH, 2)
    _, trace, _ = loop_of(model, x)
    model.zero_grad()
    full = gradients(states_by_hand(model, x, 3 * cycles))
    weights = {name: p.grad.clone() for name, p in model.net.named_parameters()}
    model.zero_grad()
    trained = gradients(states_by_hand(model, x, 3))
    adjoints = gradscope.adjoints(trace).values()
    torch.testing.assert_close(adjoints, full, rtol=1e-10, atol=1e-12 * float(full.abs().max()))
    used = gradscope.trained_gradient(trace)
    assert (used.seen, used.steps) == (3, 3 * cycles)
    a, b = full[1:].flatten(), trained[1:].flatten()
    assert used.adjoint_norm_ratio == pytest.approx(float(b.norm() / a.norm()), rel=1e-10)
    cosine = float(nn.functional.cosine_similarity(a, b, dim=0))
    assert used.adjoint_cosine == pytest.approx(cosine, rel=1e-10)
    c = torch.cat([weights[name].flatten() for name, _ in model.net.named_parameters()])
    d = torch.cat([p.grad.flatten() for p in model.net.parameters()])
    assert used.cosine == pytest.approx(float(nn.functional.cosine_similarity(c, d, dim=0)))
    assert used.norm_ratio == pytest.approx(float(d.norm() / c.norm()), rel=1e-10)
    agree = (c.sign() * d.sign() > 0).sum() / (c != 0).sum()
    assert used.sign_agreement == pytest.approx(float(agree))
    assert 0.1 < used.adjoint_norm_ratio < 1
