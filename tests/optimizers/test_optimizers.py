"""Optimisers are torch's, with the options given."""

import pytest
import torch

from gradscope.components import registry
from gradscope.components.options import component


@pytest.mark.parametrize("name", registry.names("optimizer"))
def test_built_with_its_options(name):
    parameter = torch.nn.Parameter(torch.ones(2))
    built = component("optimizer", {"name": name, "lr": 0.123}).build([parameter])
    assert type(built).__name__.lower() == name
    assert built.defaults["lr"] == 0.123
    parameter.grad = torch.ones(2)
    built.step()
    assert (parameter < 1).all()


def test_momentum_and_betas_arrive():
    parameter = [torch.nn.Parameter(torch.ones(2))]
    assert (
        component("optimizer", {"name": "sgd", "momentum": 0.9})
        .build(parameter)
        .defaults["momentum"]
        == 0.9
    )
    assert component("optimizer", {"name": "adam", "beta1": 0.5}).build(parameter).defaults[
        "betas"
    ] == (0.5, 0.999)
    with pytest.raises(ValueError, match="nesterov needs a momentum"):
        registry.get("optimizer", "sgd")(nesterov=True)
