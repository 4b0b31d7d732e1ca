"""Pascanu's basic initialisation for tanh units."""

from __future__ import annotations

from pydantic import Field

from gradscope.inits._init import GaussianEverywhere, register


@register("pascanu_basic_tanh")
class PascanuBasicTanh(GaussianEverywhere):
    """Every weight N(0, std^2) with std = 0.1, zero biases: "basic tanh" in the paper.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks.
    """

    std: float = Field(
        0.1, gt=0, description="standard deviation of all weights, recurrent ones too, N(0, std^2)"
    )
