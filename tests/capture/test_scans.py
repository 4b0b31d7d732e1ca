"""Modules whose recurrence is a diagonal scan, watched; the real ones of transformers, too."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.scan_modules import BATCH, TIME, WIDTH, MambaMixer


def test_calls_with_a_cache_are_left_out_and_said_so():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()})
    with recorded(model) as recording:
        model["mixer"](torch.randn(BATCH, TIME, WIDTH)).sum().backward()
        model["mixer"](torch.randn(BATCH, 1, WIDTH), cache_params={})
    assert list(recording.traces) == ["mixer"]
    assert recording.notes == ["mixer: 1 calls with a cache, a step at a time, were left out"]


def test_every_call_is_a_stretch():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with recorded(model) as recording, torch.no_grad():
        model["mixer"](x)
        model["mixer"](2 * x)
    assert list(recording.traces) == ["mixer (1)", "mixer (2)"]
    assert all(trace.immediate is None for trace in recording.traces.values())


def test_some_sequences_are_those_of_the_whole_batch():
    traces = []
    for sequences in (None, 2):
        torch.manual_seed(0)
        model = nn.ModuleDict({"mixer": MambaMixer()}).double()
        x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
        with recorded(model, sequences=sequences) as recording:
            model["mixer"](x).square().sum().backward()
        traces.append(recording.trace("mixer"))
    whole, some = traces
    torch.testing.assert_close(some.states, whole.states[:, :2])
    torch.testing.assert_close(some.immediate.values(), whole.immediate.values()[:, :2])


def test_weights_that_change_within_the_block_are_named():
    model = nn.ModuleDict({"mixer": MambaMixer()})

    def change_between_calls():
        for _ in range(2):
            model["mixer"](torch.randn(BATCH, TIME, WIDTH))
            model["mixer"].D.mul_(2)

    with (
        pytest.raises(GradscopeError, match="the weights of 'mixer' changed"),
        recorded(model),
        torch.no_grad(),
    ):
        change_between_calls()


class Departing(MambaMixer):
    """Gives something else, by so much of its size."""

    def __init__(self, departure):
        super().__init__()
        self.departure = departure

    def forward(self, hidden_states, cache_params=None):
        output = super().forward(hidden_states)
        return output + self.departure * output.detach().abs().max()


Departing.__name__ = "MambaMixer"


@pytest.mark.parametrize("departure", [0.0, 0.01, 0.2])
def test_a_module_that_computes_something_else_is_noted_or_refused(departure):
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": Departing(departure)})
    x = torch.randn(BATCH, TIME, WIDTH)
    if departure > 0.05:
        with (
            pytest.raises(GradscopeError, match="of MambaMixer computes something else"),
            recorded(model),
            torch.no_grad(),
        ):
            model["mixer"](x)
        return
    with recorded(model) as recording:
        model["mixer"](x).sum().backward()
    said = any("its own kernel works in less" in note for note in recording.notes)
    assert said == (departure > 0)


@pytest.mark.parametrize("kind", ["mamba", "rwkv", "xlstm"])
@pytest.mark.filterwarnings("ignore")
def test_the_real_ones(kind):
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: its models are not looked at"
    )
    small = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "use_cache": False}
    made = {
        "mamba": lambda: transformers.MambaModel(
            transformers.MambaConfig(**small, state_size=4, intermediate_size=32, time_step_rank=4)
        ),
        "rwkv": lambda: transformers.RwkvModel(
            transformers.RwkvConfig(
                **small, attention_hidden_size=16, intermediate_size=32, context_length=64
            )
        ),
        "xlstm": lambda: transformers.xLSTMModel(
            transformers.xLSTMConfig(
                **small,
                num_blocks=2,
                num_heads=2,
                chunk_size=4,
                mode="train",
                autocast_kernel_dtype="float32",
            )
        ),
    }
    torch.manual_seed(0)
    model = made[kind]().train()
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model(torch.randint(50, (3, 12))).last_hidden_state[:, -1].square().sum().backward()
    assert len(recording.traces) == 2
    assert recording.notes == []
    assert "adjoint_norms" in scope.tables()
