"""Heads that forget within a step."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import gradscope
from benchmarks.planted_models import INPUT, Attention
from gradscope.remedies import REMEDIES
from gradscope.remedies._plan import Plan

HEADS, TIME = 4, 24


def diagnosed(model):
    scope = gradscope.attach(model)
    x = torch.randn(3, TIME, INPUT, generator=torch.Generator().manual_seed(0))
    with scope.record():
        model(x).sum().backward()
    return scope.diagnose()


def test_steps_of_softplus_of_one_forget():
    (found,) = diagnosed(Attention(math.log1p(math.e), HEADS)).named(["heads_forget"])
    assert found.evidence["share_of_heads"] == 1.0
    assert found.evidence["longest_horizon"] == pytest.approx(1 / math.log1p(math.e), rel=1e-5)
    assert f"{HEADS} of {HEADS} heads" in found.says
    assert found.severity > 0.8


def test_steps_as_published_do_not():
    assert not diagnosed(Attention(0.01, 16)).named(["heads_forget"])


def test_the_remedy_makes_steps_slow():
    model = Attention(1.3, HEADS)
    plan = Plan(model, learning_rate=0.1, max_norm=None, places=("",))
    assert REMEDIES.make("slow_decays").apply(plan)
    steps = F.softplus(model.dt_bias).detach()
    assert float(steps.min()) == pytest.approx(1e-3, rel=1e-3)
    assert float(steps.max()) == pytest.approx(1e-1, rel=1e-3)
    assert not REMEDIES.make("slow_decays").apply(Plan(nn.LSTM(2, 2), 0.1, None, ("",)))
