"""Clips: against torch's own where there is one, and each rule's defining property."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gradscope.clips import gradient_norm
from gradscope.components import registry
from gradscope.components.options import component
from tests.conftest import draw


def gradients(scale: float = 1.0, seed: int = 0) -> list[torch.Tensor]:
    return [
        scale * draw(3, 4, seed=seed),
        5 * scale * draw(4, seed=seed + 1),
        scale * draw(2, 2, seed=seed + 2),
    ]


def clipped(spec, scale=1.0, seed=0):
    before, after = gradients(scale, seed), gradients(scale, seed)
    coefficient = component("clip", spec)(after, gradient_norm(before))
    return before, after, float(coefficient)


@pytest.mark.parametrize("name", registry.names("clip"))
@given(st.floats(1e-3, 1e3), st.integers(0, 50))
def test_contract(name, scale, seed):
    """The coefficient is the norm after over the norm before, exactly 1 where nothing changed, and
    never above 1 for a clip.
    """
    before, after, coefficient = clipped(name, scale, seed)
    unchanged = all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert (coefficient == 1) == unchanged
    assert coefficient > 0
    assert coefficient <= 1 or name == "norm_rescaling"
    assert coefficient == pytest.approx(
        float(gradient_norm(after) / gradient_norm(before)), rel=1e-12
    )


@pytest.mark.parametrize("name", sorted(set(registry.names("clip")) - {"agc", "norm_rescaling"}))
def test_small_gradients_pass(name):
    assert clipped(name, 1e-3)[2] == 1


@pytest.mark.parametrize("max_norm", [0.1, 1.0, 1e4])
def test_global_norm_is_torchs(max_norm):
    before, after, coefficient = clipped({"name": "global_norm", "max_norm": max_norm}, 3.0)
    parameters = [torch.nn.Parameter(torch.zeros_like(g)) for g in before]
    for parameter, gradient in zip(parameters, before, strict=True):
        parameter.grad = gradient.clone()
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    for parameter, ours in zip(parameters, after, strict=True):
        torch.testing.assert_close(
            ours, parameter.grad, rtol=1e-5, atol=0
        )  # torch adds 1e-6 to the norm
    assert coefficient == pytest.approx(min(1.0, max_norm / float(norm)))


def test_global_norm_keeps_the_direction_and_value_may_turn_it():
    def cosine(spec):
        before, after, _ = clipped(spec, 10.0)
        a, b = (torch.cat([g.flatten() for g in gs]) for gs in (before, after))
        return float(torch.cosine_similarity(a, b, dim=0))

    assert cosine("global_norm") == pytest.approx(1, abs=1e-12)
    assert cosine("value") < 0.99
    assert cosine("per_parameter_norm") < 0.999


def test_value_bounds_every_element():
    before, after, _ = clipped({"name": "value", "max_value": 0.7}, 3.0)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b, a.clamp(-0.7, 0.7))


def test_per_parameter_norm_bounds_each_array_alone():
    before, after, _ = clipped({"name": "per_parameter_norm", "max_norm": 4.0})
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(b, a * min(1.0, 4.0 / float(a.norm())))


def test_norm_of_huge_float32_gradients_does_not_overflow():
    huge = [torch.full((4,), 1e30)]
    assert float(gradient_norm(huge)) == pytest.approx(2e30)
    coefficient = component("clip", "global_norm")(huge, gradient_norm(huge))
    assert float(coefficient) == pytest.approx(5e-31)
    torch.testing.assert_close(huge[0], torch.full((4,), 0.5))


# --- rules that look at the parameters, remember, or act inside backpropagation -------------------


def begun(spec, parameters):
    return component("clip", spec).begin(parameters)


@given(st.floats(1e-3, 1e2), st.integers(0, 50))
def test_agc_bounds_every_unit_by_its_own_weights(scale, seed):
    """||g_i|| <= factor max(||w_i||, floor) row by row, whole vectors for biases; units below it
    are untouched.
    """
    weights = {
        "weight": 0.1 * draw(6, 5, seed=seed),
        "bias": draw(6, seed=seed + 1),
        "zero": torch.zeros(2, 3).double(),
    }
    before = [scale * draw(*w.shape, seed=seed + 2) for w in weights.values()]
    after = [g.clone() for g in before]
    begun({"name": "agc", "factor": 0.02, "floor": 1e-3}, weights)(after, gradient_norm(before))
    for w, g, a in zip(weights.values(), before, after, strict=True):
        units = (lambda x: x.norm(dim=1)) if w.dim() > 1 else (lambda x: x.norm()[None])
        bound = 0.02 * units(w).clamp_min(1e-3)
        torch.testing.assert_close(units(a), torch.minimum(units(g), bound), rtol=1e-9, atol=0)


def test_autoclip_is_the_percentile_of_all_norms_so_far():
    import numpy as np

    rule, norms = begun({"name": "autoclip", "percentile": 30}, {}), []
    for step in range(40):
        before = [draw(7, seed=step) * (1 + step % 5)]
        after = [g.clone() for g in before]
        norms.append(float(gradient_norm(before)))
        rule(after, gradient_norm(before))
        assert float(gradient_norm(after)) == pytest.approx(
            min(norms[-1], np.percentile(norms, 30))
        )
    fresh = begun({"name": "autoclip", "percentile": 30}, {})
    one = [draw(7)]
    assert float(fresh(one, gradient_norm(one))) == 1, "a new training starts with nothing seen"


def test_blocks_are_the_embedding_the_layers_and_the_readout():
    names = [
        "embedding",
        "stack.cells.0.weight_ih",
        "stack.cells.0.bias_ih",
        "stack.cells.1.weight_ih",
        "weight_hy",
        "bias_y",
    ]
    before = [draw(5, seed=i) * (1 + i) for i in range(6)]
    after = [g.clone() for g in before]
    begun({"name": "per_block_norm", "max_norm": 2.0}, dict.fromkeys(names))(
        after, gradient_norm(before)
    )
    for block in ([0], [1, 2], [3], [4, 5]):
        own = gradient_norm([before[i] for i in block])
        for i in block:
            torch.testing.assert_close(after[i], before[i] * min(1.0, float(2.0 / own)))


def test_rescaling_gives_every_gradient_the_norm():
    for scale in (1e-3, 1e3):
        _, after, _ = clipped({"name": "norm_rescaling", "norm": 0.5}, scale)
        assert float(gradient_norm(after)) == pytest.approx(0.5)


def run_of(text):
    from gradscope.experiment import schema as config
    from gradscope.experiment.train import _Run

    base = (
        "task: {name: adding, length: 12}\ncell: {name: rnn, hidden_size: 5}\ndtype:"
        " float64\nprobes: []\n"
    )
    return _Run(config.parse(base + text).trials[0], "cpu", lambda *_: None)


def test_the_adjoint_is_clipped_at_every_step_on_its_way():
    """Against the recursion written out: a_t = clip(dl/ds_t + J^T a_{t+1}), each sequence's own."""
    run = run_of("clip: {name: adjoint_norm, max_norm: 0.003}\ntraining: {batch_size: 3}")
    cell = run.model.stack.layers[0]
    cell.weight_hh.data, cell.weight_ih.data = (
        1.2 * torch.eye(5).double(),
        0.001 * cell.weight_ih.data,
    )  # it would grow
    cell.bias_ih.data, cell.bias_hh.data = torch.zeros(2, 5).double()
    batch = run._next()
    (loss,) = run._losses(batch)
    found = torch.autograd.grad(loss, run.model.stack.cells[0].weight_hh)[0]
    cell, inputs = run.model.stack.layers[0], batch.inputs
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
    torch.testing.assert_close(found, expected)


def test_omega_is_pascanus_and_moves_the_parameters_through_the_jacobian_alone():
    """For h = phi(W h + ...): against the ratio of norms with states, slopes and adjoints held
    fixed.
    """
    from gradscope import adjoints, step_jacobians

    run = run_of("clip: {name: omega, weight: 3.0}\ntraining: {batch_size: 2}")
    batch = run._next()
    trace = run.model.trace(batch)
    a = adjoints(trace).values()[1:]
    states = trace.states.detach()
    weight = run.model.stack.layers[0].weight_hh

    def omega(w):
        slopes = 1 - states[1:] ** 2
        carried = torch.einsum("tbi,tbi,ij->tbj", a, slopes, w)
        return 3.0 * ((carried.norm(dim=-1) / a.norm(dim=-1)) - 1).square().mean()

    torch.testing.assert_close(
        torch.einsum("tbi,tbij->tbj", a, step_jacobians(trace)).norm(dim=-1) > 0, a.norm(dim=-1) > 0
    )
    term = run.settings.clip.term(trace)
    assert float(term.detach()) == pytest.approx(float(omega(weight.detach())), rel=1e-9)
    assert torch.autograd.grad(term, weight)[0].abs().max() > 0


def test_artbp_is_unbiased():
    """The mean over many random truncations is the full gradient, within sampling error; a plain
    truncation's is not.
    """
    run = run_of("training: {batch_size: 3, tbptt_random: 0.2}")
    plain = run_of("training: {batch_size: 3}")
    plain.model.load_state_dict(run.model.state_dict())
    batch = run._next()
    weight = run.model.stack.cells[0].weight_hh
    plain.start = run.start
    (loss,) = plain._losses(batch)
    full = torch.autograd.grad(loss, plain.model.stack.cells[0].weight_hh)[0]
    draws = []
    for _ in range(1500):
        (loss,) = run._losses(batch)
        draws.append(torch.autograd.grad(loss, weight)[0])
    draws = torch.stack(draws)
    error = (draws.mean(0) - full).abs() / (draws.std(0) / 1500**0.5)
    assert float(error.max()) < 4.5
    cut = draws.norm(dim=(1, 2))
    assert cut.std() > 0, "it is random"
