"""Of what a tensor was made, also where autograd keeps no record."""

import pytest
import torch
from torch import nn

from gradscope.capture import _lineage
from gradscope.capture._forward import Onlooker
from gradscope.capture._lineage import CUTS, Lineage


def lineage():
    return Lineage(Onlooker())


def roots(value):
    """The tensors that something was made of."""
    if value.operation is None:
        return [value.leaf]
    return [leaf for below in value.operation.inputs for leaf in roots(below)]


def test_what_was_made_without_a_gradient_is_followed():
    a, b = torch.randn(2), torch.randn(2)
    with lineage() as followed, torch.no_grad():
        c = (a + b).detach()[0] * 2
        low, high = torch.stack((c, c)).split(1)
        value = followed.value(high)
    assert any(leaf is a for leaf in roots(value))
    assert any(leaf is b for leaf in roots(value))
    assert (value.index, value.operation.grad) == (1, False)
    assert value.operation.function is torch.Tensor.split
    assert value.shape == low.shape


@pytest.mark.parametrize("cut", [lambda x: x.detach(), lambda x: x.data, torch.detach])
def test_a_cut_is_told(cut):
    a = torch.randn(2, requires_grad=True)
    with lineage() as followed:
        made = cut(a + 1)
        value = followed.value(made)
    assert value.operation.function in CUTS


def test_a_change_in_place_is_another_value():
    a = torch.zeros(3)
    with lineage() as followed:
        b = a + 1
        before = followed.value(b)
        b += 2
        b[0] = 7.0
        after = followed.value(b)
    assert after is not before
    assert after.operation.changes
    assert after.operation.inputs[0].operation.inputs[0] is before
    assert before.tensor is None
    assert after.tensor is b


def test_what_changed_unseen_is_of_unknown_make():
    with lineage() as followed:
        b = torch.zeros(2, 3) + 1
        followed.value(b)
        followed.paused += 1
        b.add_(1)
        followed.paused -= 1
        assert followed.value(b).leaf is b


def test_a_value_goes_with_its_tensor():
    a = torch.zeros(3)
    with lineage() as followed:
        b = a + 1
        kept = followed.value(b)
        known = len(followed._values)
        del b
    assert len(followed._values) == known - 1
    assert kept.tensor is None


def test_what_is_not_made_of_its_arguments():
    a = torch.zeros(3, requires_grad=True)
    a.grad = torch.ones(3)
    with lineage() as followed:
        for made in (torch.zeros_like(a), torch.randn_like(a), a.grad, a.argmax()):
            assert followed.value(made).operation is None
        assert followed.value(a.contiguous()) is followed.value(a)
        assert followed.value(torch.argmax(a).float()).operation is None


def test_marks_go_from_what_a_module_gave_to_what_is_made_of_it():
    with lineage() as followed:
        a = followed.root(torch.zeros(3), 4)
        kept = torch.zeros(3)
        b = followed.root(kept, 1)
        made = kept * 2
        assert followed.value(made).bits == b.bits
    assert a.leaf is None


def test_dropout_is_drawn_from_a_state_that_is_kept():
    with lineage() as followed:
        made = nn.functional.dropout(torch.ones(3), 0.5)
        assert followed.value(made).operation.random is not None


def test_what_runs_backward_or_under_a_transform_is_not_followed():
    a = torch.ones(3, requires_grad=True)
    with lineage() as followed:
        clock = followed.clock
        torch.func.grad(lambda x: (x * x).sum())(torch.ones(2))
        assert followed.clock == clock
        loss = (a * a).sum()
        a.register_hook(lambda g: g * 2)
        clock = followed.clock
        loss.backward()
        assert followed.clock == clock


def test_it_ends_where_too_much_was_done(monkeypatch):
    monkeypatch.setattr(_lineage, "MOST", 3)
    a = torch.zeros(2)
    with lineage() as followed:
        for _ in range(6):
            a = a + 1
    assert followed.is_full
    assert followed.clock == 4


def test_the_first_that_was_made_behind_a_call_is_told():
    told = []
    with lineage() as followed:
        x = torch.zeros(3)
        followed.root(x, 2)
        followed.begin_tail(2, frozenset({x.shape}), lambda value, tensor: told.append(tensor))
        y = x + 1
        z = torch.ones(3) + 1
        for _ in range(30):
            y = y + 1
    assert len(told) == _lineage.TAIL
    assert not any(tensor is z for tensor in told)
