"""Optimisers are torch's, with the options given."""

import pytest
import torch
from pydantic import ValidationError

from gradscope.optimizers import OPTIMIZERS


@pytest.mark.parametrize("name", OPTIMIZERS.names())
def test_built_with_its_options(name):
    parameter = torch.nn.Parameter(torch.ones(2))
    built = OPTIMIZERS.make({"name": name, "lr": 0.123}).build([parameter])
    assert type(built).__name__.lower() == name
    assert built.defaults["lr"] == 0.123
    parameter.grad = torch.ones(2)
    built.step()
    assert (parameter < 1).all()


@pytest.mark.parametrize(
    ("option", "default", "value"),
    [
        ({"name": "sgd", "momentum": 0.9}, "momentum", 0.9),
        ({"name": "sgd", "momentum": 0.9, "nesterov": True}, "nesterov", True),
        ({"name": "adam", "beta1": 0.5}, "betas", (0.5, 0.999)),
        ({"name": "adamw", "beta2": 0.9}, "betas", (0.9, 0.9)),
        ({"name": "adamw"}, "weight_decay", 0.01),
        ({"name": "rmsprop", "alpha": 0.5}, "alpha", 0.5),
    ],
)
def test_options_arrive(option, default, value):
    parameter = [torch.nn.Parameter(torch.ones(2))]
    assert OPTIMIZERS.make(option).build(parameter).defaults[default] == value


def test_nesterov_needs_a_momentum():
    with pytest.raises(ValidationError, match="nesterov needs a momentum"):
        OPTIMIZERS.get("sgd")(nesterov=True)
