"""Saturated units."""

import torch

from gradscope.dynamics import saturated
from gradscope.dynamics.activations import ACTIVATIONS


def test_tanh_sigmoid_and_relu():
    u = torch.tensor([-5.0, -1.0, 0.0, 1.0, 5.0])
    low, high = saturated(ACTIVATIONS["tanh"], u)
    assert low.tolist() == [True, False, False, False, False]
    assert high.tolist() == [False, False, False, False, True]
    low, high = saturated(ACTIVATIONS["sigmoid"], u)
    assert low.tolist() == [True, False, False, False, False]
    assert high.tolist() == [False, False, False, False, True]
    low, high = saturated(ACTIVATIONS["relu"], u)
    assert low.tolist() == [True, True, True, False, False]
    assert not high.any()


def test_the_documented_borders():
    edge = torch.tensor([0.948, 0.950], dtype=torch.float64).atanh()
    assert saturated(ACTIVATIONS["tanh"], edge)[1].tolist() == [False, True]
    edge = torch.tensor([0.025, 0.027, 0.973, 0.975], dtype=torch.float64).logit()
    low, high = saturated(ACTIVATIONS["sigmoid"], edge)
    assert (low | high).tolist() == [True, False, False, True]
