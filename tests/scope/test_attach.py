"""attach: what is asked of a scope at its beginning."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import ConfigError, GradscopeError
from gradscope.scope._probes import default_probes
from tests.scope.conftest import HIDDEN, INPUT, MODELS, inputs


def test_the_model_is_untouched():
    model = MODELS["LSTM"]()
    before = repr(model), dict(vars(model))
    scope = gradscope.attach(model)
    assert scope.model is model
    assert (repr(model), dict(vars(model))) == before
    assert scope.places == {"rnn": "LSTM"}
    assert scope.last is None


def test_the_probes_of_every_recording():
    model = MODELS["GRU"]()
    chosen = {None: {probe.name for probe in default_probes()}, ("gates",): {"gates"}, (): set()}
    for probes, expected in chosen.items():
        scope = gradscope.attach(model, probes=probes)
        with scope.record():
            model(inputs()).sum().backward()
        assert set(scope.tables()) - {"grad_norms"} <= expected
        assert ("gates" in scope.tables()) == (probes == ("gates",))
    with scope.record(probes=[{"name": "lyapunov", "exponents": 2}]):
        model(inputs()).sum().backward()
    assert "lyapunov" in scope.tables()
    with pytest.raises(ConfigError, match="no probe called 'gate'; did you mean 'gates'"):
        gradscope.attach(model, probes=["gate"])


def test_some_sequences_and_depth_are_asked_for():
    model = nn.ModuleDict(
        {"rnn": nn.GRU(INPUT, HIDDEN), "blocks": nn.Sequential(*[nn.Linear(3, 3)] * 2)}
    )
    scope = gradscope.attach(model, sequences=2, depth="blocks")
    assert scope.places == {"rnn": "GRU", "blocks.depth": "depth"}
    with scope.record() as recording:
        model["rnn"](inputs())
    assert recording.trace("rnn").batch == 2


def test_without_a_gradient_only_the_states_are_measured():
    scope = gradscope.attach(nn.LSTM(INPUT, HIDDEN, 2))
    with scope.record(), torch.no_grad():
        scope.model(torch.randn(6, INPUT))
    assert set(scope.tables()) == {"saturation"}


def test_what_cannot_be_attached_is_named():
    scope = gradscope.attach(nn.Sequential(nn.Linear(2, 2)))
    assert "loops are looked for" in repr(scope)
    nothing = "no recurrence was found in Sequential.*no module was called on its own output"
    with pytest.raises(GradscopeError, match=nothing), scope.record():
        scope.model(torch.ones(1, 2)).sum().backward()
    with pytest.raises(GradscopeError, match="no recurrence was found in Sequential"):
        gradscope.attach(scope.model, loops=False)
    with pytest.raises(GradscopeError, match=r"steps: the model has no module 'cel'"):
        gradscope.attach(MODELS["GRUCell"](), steps=["cel"])
    with pytest.raises(GradscopeError, match=r"the model has no module 'block'; did you mean"):
        gradscope.attach(MODELS["depth"](), depth="block")
    with pytest.raises(GradscopeError, match="at least 1, or None for all"):
        gradscope.attach(MODELS["GRU"](), sequences=0)
