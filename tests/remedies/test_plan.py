"""Plan: which modules a remedy may change, and how one takes another's place."""

from torch import nn

from gradscope.remedies import Plan
from tests.remedies.conftest import HIDDEN, INPUT, plan_of


def test_only_attached_modules_are_given():
    plan = plan_of(nn.GRU(INPUT, HIDDEN))
    plan.model["other"] = nn.GRU(INPUT, HIDDEN)
    assert [name for name, _ in plan.modules(nn.GRU)] == ["body.rnn"]
    assert [name for name, _ in plan.modules(nn.RNN, nn.RNNBase)] == ["body.rnn"]
    assert plan.modules(nn.LSTM) == []


def test_a_module_deep_inside_is_replaced():
    plan, fresh = plan_of(nn.GRU(INPUT, HIDDEN)), nn.LSTM(INPUT, HIDDEN)
    plan.replace("body.rnn", fresh)
    assert plan.model["body"]["rnn"] is fresh


def test_the_model_itself_is_replaced():
    plan, fresh = Plan(nn.GRU(2, 3), 0.1, None, ("",)), nn.LSTM(2, 3)
    assert [name for name, _ in plan.modules(nn.GRU)] == [""]
    plan.replace("", fresh)
    assert plan.model is fresh
