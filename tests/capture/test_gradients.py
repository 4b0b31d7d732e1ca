"""The parameters' gradient norms of one update, and how far the optimiser steps."""

import math
from contextlib import ExitStack

import pytest
import torch
from torch import nn

from gradscope.capture._gradients import GradientWatch


def watched(model):
    watch, hooks = GradientWatch(model), ExitStack()
    watch.install(hooks)
    return watch, hooks


def test_norms_before_and_after_a_clip_and_the_steps_size():
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    watch, hooks = watched(model)
    with hooks:
        model(torch.randn(4, 3)).square().sum().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
        nn.utils.clip_grad_norm_(model.parameters(), 0.01)
        optimizer.step()
    whole = math.hypot(*(float(gradient.norm()) for gradient in gradients.values()))
    norms, updates = watch.norms(), watch.updates()
    assert norms.keys() == updates.keys() == gradients.keys()
    for name, gradient in gradients.items():
        size = float(gradient.norm())
        assert norms[name].size == gradient.numel()
        assert norms[name].before == pytest.approx(size)
        assert norms[name].after == pytest.approx(0.01 * size / whole, rel=1e-4)
        change = 0.1 * norms[name].after / float(before[name].norm())
        assert updates[name] == pytest.approx(change, rel=1e-3)


def test_without_a_step_there_is_no_norm_after_it():
    model = nn.Linear(3, 2)
    watch, hooks = watched(model)
    with hooks:
        model(torch.randn(4, 3)).sum().backward()
    assert all(math.isnan(norms.after) for norms in watch.norms().values())
    assert watch.updates() == {}


def test_of_several_backward_passes_the_sum_counts():
    model = nn.Linear(1, 1, bias=False)
    watch, hooks = watched(model)
    with hooks:
        for _ in range(3):
            model(torch.ones(1)).sum().backward()
    assert watch.norms()["weight"].before == pytest.approx(3.0)


def test_frozen_parameters_and_those_of_other_models_are_not_seen():
    model, other = nn.Linear(2, 2), nn.Linear(2, 2)
    model.bias.requires_grad_(False)
    optimizer = torch.optim.SGD([model.weight, *other.parameters()], lr=0.1)
    watch, hooks = watched(model)
    with hooks:
        other(model(torch.ones(2))).sum().backward()
        optimizer.step()
    assert list(watch.norms()) == ["weight"]
    assert list(watch.updates()) == ["weight"]


def test_sparse_gradients_and_weights_of_zero():
    model = nn.Embedding(5, 2, sparse=True)
    with torch.no_grad():
        model.weight.zero_()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch, hooks = watched(model)
    with hooks:
        model(torch.tensor([1, 1])).sum().backward()
        optimizer.step()
    assert watch.norms()["weight"].before == pytest.approx(math.sqrt(8))
    assert watch.updates() == {"weight": 0.0}  # over a size of zero there is no ratio


def test_nothing_is_seen_after_the_block():
    model = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    watch, hooks = watched(model)
    hooks.close()
    model(torch.ones(2)).sum().backward()
    optimizer.step()
    assert watch.norms() == {}
    assert watch.updates() == {}
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_of_several_steps_the_first_norm_and_the_last_change_count():
    model = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        model.weight.fill_(1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.25)
    watch, hooks = watched(model)
    with hooks:
        model(torch.ones(1)).sum().backward()
        optimizer.step()
        model.weight.grad.mul_(2)
        optimizer.step()
    assert watch.norms()["weight"].after == pytest.approx(1.0)
    assert watch.updates()["weight"] == pytest.approx(0.25)
