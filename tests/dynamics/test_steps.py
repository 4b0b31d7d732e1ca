"""Step functions of one's own: what can be followed, and what is said of what cannot."""

import gc

import pytest
import torch

from gradscope.dynamics.linearisation import AutogradLinearisation
from gradscope.dynamics.steps import Steps
from gradscope.errors import GradscopeError
from tests.conftest import draw


def rotation(s):
    return torch.stack((s[:, 1], -s[:, 0]), dim=-1)


def test_a_run_is_the_step_again_and_again():
    start = draw(3, 2)
    states = dict(Steps(rotation, start, 4).states())
    torch.testing.assert_close(states[4], start, rtol=0, atol=0)
    torch.testing.assert_close(states[1], rotation(start), rtol=0, atol=0)


def test_inputs_are_given_one_by_one():
    inputs = {"wind": draw(3, 2), "t": torch.arange(3)}
    steps = Steps(
        lambda s, x: s + x["wind"] * x["t"],
        torch.zeros(2, 2, dtype=torch.float64),
        3,
        inputs=inputs,
    )
    last = dict(steps.states())[3]
    expected = (inputs["wind"] * inputs["t"][:, None]).sum(0)
    torch.testing.assert_close(last, expected.expand(2, 2))


def test_noise_is_the_same_each_time_and_the_programs_own_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    steps = Steps(lambda s: s + torch.randn_like(s), draw(4, 2), 3)
    once, again = dict(steps.states()), dict(steps.states())
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(once[t], again[t]) for t in once)
    assert not torch.equal(once[1] - once[0], once[2] - once[1])
    other = dict(Steps(lambda s: s + torch.randn_like(s), draw(4, 2), 3, seed=1).states())
    assert not torch.equal(once[3], other[3])


def test_a_step_in_place_is_followed():
    def step(s):
        s.mul_(2.0)
        s += 1
        return s

    start = draw(2, 3)
    steps = Steps(step, start, 2)
    torch.testing.assert_close(dict(steps.states())[2], 4 * start + 3)
    pulled = steps.linearised(1, start).vjp(torch.ones(1, 2, 3, dtype=torch.float64))[0]
    assert (pulled == 2).all()


def test_a_step_may_differentiate_within():
    def step(w):
        (slope,) = torch.autograd.grad(w.pow(4).sum(), w, create_graph=True)
        return w - 0.1 * slope

    start = draw(2, 3)
    steps = Steps(step, start, 2)
    pulled = steps.linearised(1, start).vjp(torch.ones(1, 2, 3, dtype=torch.float64))[0]
    torch.testing.assert_close(pulled[0], 1 - 1.2 * start**2)


def test_tensors_that_are_cut_off_are_named():
    steps = Steps(
        lambda s: {"x": s["x"] * 2, "y": s["y"].detach()}, {"x": draw(2, 1), "y": draw(2, 1)}, 1
    )
    assert steps.cut == ["state['y']"]


class Counts(torch.nn.Module):
    calls = 0

    def forward(self, s):
        self.calls += 1
        return s * self.calls


def forgets(s):
    return torch.as_tensor(s.detach().numpy()) * 2


def spoils(s):
    wave = s.sin()
    s.add_(1)
    return wave + s


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (forgets, "not differentiable"),
        (lambda s: s - s.mean(0), "starts meet"),
        (Counts(), "not the same when it is taken again"),
        (lambda s: s[:, :1], "changes the shape"),
        (lambda s: (s, s), "returned a tuple"),
        (3, "should be a function"),
        (spoils, "cannot be differentiated"),
    ],
)
def test_steps_that_cannot_be_followed(step, message):
    with pytest.raises(GradscopeError, match=message):
        Steps(step, draw(3, 2), 5)


@pytest.mark.parametrize("time", [0, -1, 2.0, True])
def test_no_step_is_no_run(time):
    with pytest.raises(GradscopeError, match="T should be a whole number"):
        Steps(rotation, draw(3, 2), time)


def test_inputs_that_do_not_fit():
    with pytest.raises(GradscopeError, match="leading axis of 5 steps or more"):
        Steps(lambda s, x: s + x, draw(3, 2), 5, inputs=draw(4, 2))
    with pytest.raises(GradscopeError, match="inputs hold no tensor"):
        Steps(lambda s, x: s + x, draw(3, 2), 5, inputs=[1.0])


def test_a_state_that_is_lost_says_when():
    steps = Steps(lambda s: s**2, torch.tensor([[10.0], [0.5]], dtype=torch.float64), 12)
    with pytest.raises(GradscopeError, match=r"at t = 9, of 1 of 2 starts: stop before \(T = 8\)"):
        dict(steps.states())


def linearisations():
    """All that live, those of other tests among them."""
    gc.collect()
    return [each for each in gc.get_objects() if type(each) is AutogradLinearisation]


def test_carriers_that_are_held_hold_no_graph():
    """A hundred of them are held between two decompositions."""
    held, before = [], set(map(id, linearisations()))
    for carrier in Steps(rotation, draw(3, 2), 20).carriers():
        carrier.carry(draw(3, 2, 1))
        held.append(carrier)
    assert len([each for each in linearisations() if id(each) not in before]) <= 1
    columns, scale = held[0].carry(draw(3, 2, 1))  # and yet they can be taken again
    found = columns[..., 0] * scale.exp()[:, None]
    torch.testing.assert_close(found, rotation(draw(3, 2, 1)[..., 0]))


class Lying(torch.autograd.Function):
    """x^2, whose backward pass can be differentiated but is not its own transpose's."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        return 2 * x.detach() * grad.detach() + 0 * grad


def test_a_derivative_that_is_not_the_others_transpose():
    with pytest.raises(GradscopeError, match="not the transpose"):
        list(Steps(Lying.apply, draw(2, 3), 3).carriers())
