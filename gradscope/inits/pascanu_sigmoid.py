"""Pascanu's initialisation for sigmoid units."""

from __future__ import annotations

from pydantic import Field

from gradscope.inits._init import GaussianEverywhere, register


@register("pascanu_sigmoid")
class PascanuSigmoid(GaussianEverywhere):
    """Every weight N(0, std^2) with std = 0.01, zero biases: "sigmoid" in the paper.

    Reference: Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural
    networks.
    """

    std: float = Field(
        0.01, gt=0, description="standard deviation of all weights, recurrent ones too, N(0, std^2)"
    )
