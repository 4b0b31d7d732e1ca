"""Modules whose own forward pass is the recurrence, against modules of the same equations."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture._kernel_watch import KERNELS, kernels_of
from gradscope.capture._kernels_module import Mamba, MLstm, Rwkv4
from gradscope.dynamics import transitions_of
from tests.capture.conftest import recorded
from tests.capture.scan_modules import (
    BATCH,
    TIME,
    WIDTH,
    MambaMixer,
    RwkvSelfAttention,
    mlstm_arguments,
    mLSTMBackend,
)


def felt_decay(trace):
    """dL/d(ln a_t) of every head and key: (time, batch, head, decays)."""
    gradients = gradscope.input_gradients(trace).values().unflatten(-1, (trace.cell.heads, -1))
    return gradients[..., : trace.cell.parts[0]]


def test_mamba():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with recorded(model) as recording:
        model["mixer"](x)[:, 2:].sin().sum().backward()
    trace = recording.trace("mixer")
    states = torch.stack(model["mixer"].seen).flatten(2)
    torch.testing.assert_close(trace.states.detach()[1:], states, rtol=1e-10, atol=1e-12)
    # A acts on the loss through the decays alone: ln a = -exp(A_log) delta
    decay = transitions_of(trace).log_diagonal
    expected = (felt_decay(trace) * decay).sum((0, 1))
    torch.testing.assert_close(model["mixer"].A_log.grad, expected, rtol=1e-9, atol=1e-12)


def test_rwkv():
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": RwkvSelfAttention()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with recorded(model) as recording:
        model["attention"](x)[0].sin().sum().backward()
    trace = recording.trace("attention")
    decay = transitions_of(trace).log_diagonal
    expected = (felt_decay(trace) * decay).sum((0, 1, -1))
    torch.testing.assert_close(model["attention"].time_decay.grad, expected, rtol=1e-9, atol=1e-12)


def test_mlstm():
    torch.manual_seed(0)
    model, arguments = nn.ModuleDict({"backend": mLSTMBackend()}), mlstm_arguments()
    with recorded(model) as recording:
        model["backend"](**arguments).sin().sum().backward()
    trace = recording.trace("backend")
    forget = torch.sigmoid(arguments["fgate"])
    felt = felt_decay(trace)[..., 0].permute(1, 2, 0)
    torch.testing.assert_close(arguments["fgate"].grad, felt * (1 - forget), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("scale", [-80.0, 80.0])
def test_gates_of_mlstm_far_from_one(scale):
    """exp(i) of a float32 would be 0 or infinite where i differs from its largest by little."""
    torch.manual_seed(0)
    arguments = mlstm_arguments()
    arguments["igate"] = (arguments["igate"].detach() + scale).requires_grad_()
    model = nn.ModuleDict({"backend": mLSTMBackend()})
    with recorded(model) as recording:
        model["backend"](**arguments).sin().sum().backward()
    assert recording.notes == []
    assert recording.nonfinite == {}
    felt = felt_decay(recording.trace("backend"))[..., 0].permute(1, 2, 0)
    expected = arguments["fgate"].grad
    actual = felt * (1 - torch.sigmoid(arguments["fgate"]))
    size = float(expected.abs().max())
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12 * size)


class MiniMaxLightningAttention(nn.Module):
    """Lightning attention, a step at a time."""

    def __init__(self, heads=2, head_dim=3):
        super().__init__()
        inner = heads * head_dim
        self.head_dim, self.act_fn, self.norm = head_dim, nn.functional.silu, nn.RMSNorm(inner)
        self.qkv_proj = nn.Linear(WIDTH, 3 * inner, bias=False)
        self.output_gate, self.out_proj = nn.Linear(WIDTH, inner), nn.Linear(inner, WIDTH)
        self.register_buffer("slope_rate", torch.tensor([0.5, 0.1]).view(2, 1, 1))

    def forward(self, hidden_states, attention_mask=None, cache=None):
        mixed = self.act_fn(self.qkv_proj(hidden_states))
        if attention_mask is not None:
            mixed = mixed * attention_mask[..., None]
        q, k, v = mixed.unflatten(-1, (2, -1)).chunk(3, -1)
        state, outputs, self.seen = torch.zeros(()), [], []
        for t in range(q.shape[1]):
            written = k[:, t, ..., None] * v[:, t, ..., None, :]
            state = torch.exp(-self.slope_rate) * state + written
            state.retain_grad()
            self.seen.append(state)
            outputs.append((state * q[:, t, ..., None]).sum(-2).flatten(1))
        gate = torch.sigmoid(self.output_gate(hidden_states))
        return self.out_proj(gate * self.norm(torch.stack(outputs, 1))), None


@pytest.mark.parametrize("masked", [False, True])
def test_lightning_attention(masked):
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": MiniMaxLightningAttention()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    mask = torch.ones(BATCH, TIME)
    mask[0, :2] = 0
    with recorded(model) as recording:
        output, _ = model["attention"](x, mask if masked else None)
        output.sin().sum().backward()
    trace, seen = recording.trace("attention"), model["attention"].seen
    states = torch.stack(seen).detach().flatten(2)
    torch.testing.assert_close(trace.states.detach()[1:], states, rtol=1e-10, atol=1e-12)
    expected = torch.stack([state.grad for state in seen]).flatten(2)
    adjoints = gradscope.adjoints(trace).values()[1:]
    torch.testing.assert_close(adjoints, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "module"), [(Mamba, MambaMixer), (Rwkv4, RwkvSelfAttention), (MLstm, mLSTMBackend)]
)
def test_a_module_is_known_by_its_class_and_attributes(kernel, module):
    made = module()
    assert [type(known) for known in kernels_of(made)] == [kernel]
    namesake = type(module.__name__, (nn.Module,), {})()
    assert not any(known.knows(namesake) for known in KERNELS)


CACHED = "mixer: 1 call with a cache, or of a single step, was left out"


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((torch.ones(1, 2, WIDTH), {}), {}),
        ((torch.ones(1, 2, WIDTH),), {"cache_params": {}}),
        ((torch.ones(1, 1, WIDTH),), {}),
    ],
    ids=["a cache by position", "a cache by name", "one step"],
)
def test_only_calls_over_a_whole_sequence_are_read(args, kwargs):
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()})
    with recorded(model) as recording:
        model["mixer"](torch.randn(BATCH, TIME, WIDTH)).sum().backward()
        model["mixer"](*args, **kwargs)
    assert list(recording.traces) == ["mixer"]
    assert recording.notes == [CACHED]


def test_an_input_that_changes_later_is_no_matter():
    torch.manual_seed(0)
    model, x = nn.ModuleDict({"mixer": MambaMixer()}), torch.randn(BATCH, TIME, WIDTH)
    with recorded(model) as recording, torch.no_grad():
        model["mixer"](x)
        x.zero_()
    assert len(recording.traces) == 1


def test_an_initial_memory_of_mlstm_is_left_out():
    model, arguments = nn.ModuleDict({"backend": Remembering()}), mlstm_arguments()
    with recorded(model) as recording:
        model["backend"](**arguments).sum().backward()
        model["backend"](**arguments, c_initial=torch.ones(1))
    assert list(recording.traces) == ["backend"]


class Remembering(mLSTMBackend):
    def forward(self, query, key, value, igate, fgate, c_initial=None):
        return super().forward(query, key, value, igate, fgate)


Remembering.__name__ = "mLSTMBackend"
