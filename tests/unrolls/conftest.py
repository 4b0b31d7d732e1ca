"""What the tests of unrolls share: steps whose answers are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

import gradscope
from tests.conftest import draw


def linear(matrix: Tensor):
    """s -> W s."""
    return lambda s: s @ matrix.T


def logistic(s: Tensor) -> Tensor:
    """x -> 4 x (1 - x), whose exponent is ln 2."""
    return 4 * s * (1 - s)


def inner_sgd(state: dict[str, Tensor], rate: Tensor | float = 0.15) -> dict[str, Tensor]:
    """A step of gradient descent on w . H w / 2 with H = diag(1, 10)."""
    w = state["w"]
    curvature = torch.tensor([1.0, 10.0], dtype=w.dtype)
    (slope,) = torch.autograd.grad((curvature * w**2).sum() / 2, w, create_graph=True)
    return {"w": w - rate * slope}


@pytest.fixture(scope="session")
def chaotic() -> gradscope.GradientHorizon:
    """The logistic map from many starts."""
    start = torch.rand(200, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    return gradscope.horizon(logistic, start, 30, scale=1e-3)


@pytest.fixture(scope="session")
def fading() -> gradscope.GradientHorizon:
    """A linear map that shrinks by 0.8 a step."""
    matrix = 0.8 * torch.linalg.qr(draw(3, 3))[0]
    return gradscope.horizon(linear(matrix), draw(8, 3, seed=1), 40)


@pytest.fixture(scope="session")
def dead() -> gradscope.GradientHorizon:
    """A delay line of five."""
    shift = torch.diag(torch.ones(4, dtype=torch.float64), -1)
    return gradscope.horizon(linear(shift), draw(4, 5), 12, loss=lambda s: s.sum(-1))
