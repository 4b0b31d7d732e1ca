"""Every way to join blocks, held against autograd on the whole model."""

import pytest
import torch

import gradscope
from tests.capture.conftest import recorded
from tests.capture.depth_variants import BATCH, LAYERS, TOKENS, VARIANTS


def total_jacobian(after, before, sample):
    """d after / d before of one sample, by autograd on the model as it ran."""
    rows = []
    for part in after:
        for index in part[sample].flatten().argsort().sort().values:
            (value,) = part[sample].flatten()[index : index + 1]
            found = torch.autograd.grad(value, before, retain_graph=True, materialize_grads=True)
            rows.append(torch.cat([gradient[sample].flatten() for gradient in found]))
    return torch.stack(rows)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_jacobians_and_adjoints_are_autograds(variant):
    torch.manual_seed(0)
    model = variant().double()
    x = torch.randn(BATCH, TOKENS, 5, dtype=torch.float64)
    with recorded(model, depth=model.depth) as recording:
        loss = model(x)
        kept = [part for state in model.states for part in state]
        loss.backward(retain_graph=True)
    states = model.states
    (name,) = [name for name in recording.traces if name.endswith("depth")]
    trace = recording.trace(name)
    assert trace.time == LAYERS
    gradients = torch.autograd.grad(loss, kept, retain_graph=True)
    grouped = variant.__name__ == "BatchStreams"
    rows = BATCH

    def flat(parts):
        return torch.cat([part.reshape(rows, -1) for part in parts], dim=-1)

    width = len(states[0])
    expected = torch.stack(
        [flat(gradients[index * width : (index + 1) * width]) for index in range(LAYERS + 1)]
    )
    values = torch.stack([flat(state) for state in states])
    torch.testing.assert_close(trace.states.detach(), values.detach(), rtol=0, atol=0)
    torch.testing.assert_close(gradscope.adjoints(trace).values(), expected, rtol=1e-10, atol=1e-13)
    sample = 1
    for layer in (0, LAYERS - 2):
        product = gradscope.jacobian_product(trace, LAYERS, layer).matrix()[sample]
        if grouped:
            pairs = [
                [part.reshape(rows, -1) for part in states[index]] for index in (LAYERS, layer)
            ]
            jacobian = torch.stack(
                [
                    torch.autograd.grad(value, states[layer], retain_graph=True)[0].reshape(
                        rows, -1
                    )[sample]
                    for value in pairs[0][0][sample]
                ]
            )
        else:
            jacobian = total_jacobian(states[LAYERS], states[layer], sample)
        torch.testing.assert_close(product, jacobian, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.__name__)
def test_training_keeps_every_bit(variant):
    found = []
    for watched in (False, True):
        torch.manual_seed(0)
        model = variant()
        x = torch.randn(BATCH, TOKENS, 5)
        if watched:
            with recorded(model, depth=model.depth):
                model(x).backward()
        else:
            model(x).backward()
        found.append([*(p.grad for p in model.parameters()), torch.get_rng_state()])
    assert all((a is None and b is None) or torch.equal(a, b) for a, b in zip(*found, strict=True))
