"""Watch: gradients that arrive, marks that tell tensors apart, and hooks that come off."""

from contextlib import ExitStack

import pytest
import torch
from torch import nn

from gradscope.capture._place import Place
from gradscope.capture._watch import (
    Harvest,
    Received,
    Watch,
    bare_copy,
    copied,
    full_precision,
    marks,
    several_passes,
    versions,
    without_rounding,
)


class Counting(Watch):
    """Counts forward passes."""

    def __init__(self, module):
        super().__init__("counted", module)
        self.entered = self.left = 0

    def put_hooks(self):
        self.hook(self.module, self._after, self._before)

    def _before(self, module, args, kwargs):
        self.entered += 1

    def _after(self, module, args, kwargs, output):
        self.left += 1

    def harvest(self):
        return Harvest()


def test_hooks_see_every_pass_until_they_come_off():
    linear = nn.Linear(2, 2)
    watch, hooks = Counting(linear), ExitStack()
    with hooks:
        watch.install(hooks)
        linear(torch.ones(2))
        linear(torch.ones(2))
    linear(torch.ones(2))
    assert (watch.entered, watch.left) == (2, 2)
    assert watch.place == Place("counted", "linear")
    assert not linear._forward_hooks
    assert not linear._forward_pre_hooks


def test_received_gradients_are_summed_over_backward_passes():
    x = torch.ones(3, requires_grad=True)
    y = 2 * x
    with ExitStack() as hooks:
        received = Received(y, hooks)
        assert torch.equal(received.or_zero(y), torch.zeros(3))
        y.sum().backward(retain_graph=True)
        y.square().sum().backward()
    torch.testing.assert_close(received.value, torch.full((3,), 1.0 + 4.0))
    assert received.passes == 2
    assert several_passes(Place("rnn", "gru"), [received])[0].startswith(
        "rnn: gradients of 2 backward passes"
    )


def test_nothing_is_received_after_the_block_or_without_a_graph():
    x = torch.ones(3, requires_grad=True)
    y = 2 * x
    with ExitStack() as hooks:
        received, plain = Received(y, hooks), Received(torch.ones(3), hooks)
    y.sum().backward()
    assert received.value is None
    assert plain.value is None
    assert several_passes(Place("rnn", "gru"), [received, plain]) == []


def test_a_received_gradient_is_a_copy():
    y = 2 * torch.ones(3, requires_grad=True)
    with ExitStack() as hooks:
        received = Received(y, hooks)
        gradient = torch.ones(3)
        y.backward(gradient)
        gradient.zero_()
    torch.testing.assert_close(received.value, torch.ones(3))


def test_marks_change_with_identity_version_and_gradient():
    x = torch.ones(3)
    before = marks([x])
    assert marks([x]) == before
    assert marks([x.clone()]) != before
    x.mul_(2)
    changed = marks([x])
    assert changed != before
    x.requires_grad_()
    assert marks([x]) != changed


def test_versions_change_with_any_parameter():
    linear = nn.Linear(2, 2)
    before = versions(linear)
    with torch.no_grad():
        linear.bias.add_(1)
    after = versions(linear)
    assert after != before
    linear.bias = nn.Parameter(linear.bias.detach().clone())
    assert versions(linear) != after


def test_a_bare_copy_runs_nobody_elses_hooks():
    calls = []
    module = nn.Sequential(nn.Linear(2, 2), nn.Tanh())
    for inner in module.modules():
        inner.register_forward_hook(lambda *_: calls.append("after"))
        inner.register_forward_pre_hook(lambda *_: calls.append("before"))
        inner.register_full_backward_hook(lambda *_: calls.append("backward"))
    copy = bare_copy(module)
    x = torch.ones(1, 2, requires_grad=True)
    torch.testing.assert_close(copy(x), module[1].forward(module[0].forward(x)))
    copy(x).sum().backward()
    assert calls == []
    module(x).sum().backward()
    assert calls.count("after") == calls.count("before") == calls.count("backward") == 3
    assert copy[0].weight is not module[0].weight


def test_what_is_copied_stays_as_it_was():
    x = torch.ones(2, requires_grad=True) * 2
    kept = copied(x)
    x.detach().zero_()
    assert torch.equal(kept, torch.full((2,), 2.0))
    assert not kept.requires_grad


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (torch.float16, torch.float32),
        (torch.bfloat16, torch.float32),
        (torch.float32, torch.float32),
        (torch.float64, torch.float64),
    ],
)
def test_half_precision_becomes_full(dtype, expected):
    assert full_precision(nn.Linear(2, 2, dtype=dtype)).weight.dtype == expected


def test_only_rounding_is_taken_for_zero():
    """Row by row: 1e-17 beside terms of size 1 is rounding, 1e-10 is not, 1e-17 beside 1e-16 is
    not.
    """
    whole = torch.tensor([[1.0, 1.0], [1.0, 1.0], [1e-16, 0.0], [0.0, 0.0]], dtype=torch.float64)
    rest = torch.tensor([[1e-17, 0.0], [1e-10, 0.0], [1e-17, 0.0], [0.0, 0.0]], dtype=torch.float64)
    expected = rest.clone()
    expected[0] = 0
    assert torch.equal(without_rounding(rest, whole), expected)
