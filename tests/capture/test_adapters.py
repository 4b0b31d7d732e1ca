"""Adapters of transformers' recurrent modules, against modules of the same equations."""

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture._adapters import ADAPTERS, MLSTM, RWKV, Mamba
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
    """dL/dd_t for all t: (time, batch, state)."""
    return gradscope.input_gradients(trace).values()[..., : trace.states.shape[-1]]


def test_mamba():
    torch.manual_seed(0)
    model = nn.ModuleDict({"mixer": MambaMixer()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with recorded(model) as recording:
        model["mixer"](x)[:, 2:].sin().sum().backward()
    trace = recording.trace("mixer")
    states = torch.stack(model["mixer"].seen).flatten(2)
    torch.testing.assert_close(trace.states.detach()[1:], states, rtol=1e-10, atol=1e-12)
    # A acts on the loss through the decays alone: d = exp(-exp(A_log) delta), so dd/dA_log = d ln d
    decay = trace.inputs[..., : trace.states.shape[-1]]
    expected = (felt_decay(trace) * decay * decay.log()).sum((0, 1)).view(8, 4)
    torch.testing.assert_close(model["mixer"].A_log.grad, expected, rtol=1e-9, atol=1e-12)
    product = gradscope.jacobian_product(trace, TIME, 2)
    torch.testing.assert_close(
        product.log_scale + product.mantissa.diagonal(dim1=-2, dim2=-1).log().amax(-1),
        decay[2:].log().sum(0).amax(-1),
    )


def test_rwkv():
    torch.manual_seed(0)
    model = nn.ModuleDict({"attention": RwkvSelfAttention()}).double()
    x = torch.randn(BATCH, TIME, WIDTH, dtype=torch.float64)
    with recorded(model) as recording:
        model["attention"](x)[0].sin().sum().backward()
    trace = recording.trace("attention")
    decay = trace.inputs[..., : 2 * WIDTH]
    expected = (felt_decay(trace) * decay * decay.log()).sum((0, 1)).view(2, WIDTH).sum(0)
    torch.testing.assert_close(model["attention"].time_decay.grad, expected, rtol=1e-9, atol=1e-12)


def test_mlstm():
    torch.manual_seed(0)
    model, arguments = nn.ModuleDict({"backend": mLSTMBackend()}), mlstm_arguments()
    with recorded(model) as recording:
        model["backend"](**arguments).sin().sum().backward()
    trace = recording.trace("backend")
    forget = torch.sigmoid(arguments["fgate"])
    felt = felt_decay(trace).unflatten(-1, (2, -1)).sum(-1).permute(1, 2, 0)
    expected = felt * forget * (1 - forget)
    torch.testing.assert_close(arguments["fgate"].grad, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("adapter", "module"),
    [(Mamba, MambaMixer), (RWKV, RwkvSelfAttention), (MLSTM, mLSTMBackend)],
)
def test_a_module_is_known_by_its_class_and_attributes(adapter, module):
    made = module()
    assert [known for known in ADAPTERS if known.knows(made)] == [adapter]
    namesake = type(module.__name__, (nn.Module,), {})()
    assert not adapter.knows(namesake)
    assert not adapter.knows(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((torch.ones(1, 2, WIDTH), {}), {}),
        ((torch.ones(1, 2, WIDTH),), {"cache_params": {}}),
        ((torch.ones(2, WIDTH),), {}),
        ((), {}),
    ],
    ids=["a cache by position", "a cache by name", "one step", "nothing"],
)
def test_only_calls_over_a_whole_sequence_are_read(args, kwargs):
    adapter, x = Mamba(MambaMixer()), torch.ones(1, 2, WIDTH)
    assert adapter.read(args, kwargs) is None
    assert adapter.read((x,), {"cache_params": None})["x"] is x
    assert adapter.read((), {"hidden_states": x})["x"] is x


def test_mlstm_reads_by_position_and_by_name_and_no_initial_memory():
    adapter, arguments = MLSTM(mLSTMBackend()), mlstm_arguments()
    for args, kwargs in [(tuple(arguments.values()), {}), ((), arguments)]:
        read = adapter.read(args, kwargs)
        assert {name: id(x) for name, x in read.items()} == {
            name: id(x) for name, x in arguments.items()
        }
    assert adapter.read((), {**arguments, "c_initial": torch.ones(1)}) is None
