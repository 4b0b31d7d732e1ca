"""Models of transformers and other packages whose layers have a matrix for a state.

What each kernel was given in the model is given again to the same recurrence, written out a step at
a time in float64; its states and their gradients by autograd are those that were recorded.
"""

import inspect

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture._kernel_watch import KernelWatch
from gradscope.dynamics import transitions_of
from gradscope.dynamics.heads import adjoint_log_norms_by_head
from tests.capture import kernel_functions as functions
from tests.capture import slstm_models
from tests.capture.family_configs import COMMON, FAMILIES
from tests.capture.kernel_functions import LAST

pytestmark = [pytest.mark.zoo, pytest.mark.filterwarnings("ignore")]

REFERENCES = {
    "GatedDeltaRule": functions.torch_chunk_gated_delta_rule,
    "KimiDelta": functions.chunk_kimi_delta_attention,
    "Ssd": functions.mamba_chunk_scan_combined,
    "SelectiveScan": functions.selective_scan_fn,
    "RgLru": functions._rnn_scan,
    "MLstm": functions.parallel_stabilized_simple,
    "LogScan": functions.heinsen_associative_scan_log,
}
RENAMED = {
    "Ssd": {"hidden_states": "x"},
    "SelectiveScan": {"hidden_states": "u", "dt": "delta"},
    "MLstm": {
        **{"q": "queries", "k": "keys", "v": "values", "i": "igate_preact", "f": "fgate_preact"},
        **{"query": "queries", "key": "keys", "value": "values"},
        **{"igate": "igate_preact", "fgate": "fgate_preact"},
    },
}


@pytest.fixture
def calls(monkeypatch):
    """Every kernel's call: where, which, its arguments and its output, which keeps its gradient."""
    kept, take = {}, KernelWatch._take

    def spy(self, kernel, given, output):
        seen = output[0] if isinstance(output, tuple) else output
        if seen.requires_grad:
            seen.retain_grad()
        kept[str(self.place)] = (type(kernel).__name__, dict(given.values), seen)
        take(self, kernel, given, output)

    monkeypatch.setattr(KernelWatch, "_take", spy)
    return kept


def close(actual, expected, tolerance=1e-3):
    size = float(expected.abs().max().clamp_min(1e-30))
    torch.testing.assert_close(actual.to(expected), expected, rtol=0, atol=tolerance * size)


def check(trace, kernel, given, output):
    """The trace of a call against the same recurrence written out."""
    function = REFERENCES[kernel]
    names = RENAMED.get(kernel, {})
    given = {names.get(name, name): value for name, value in given.items()}
    accepted = inspect.signature(function).parameters
    arguments = {
        name: value.detach().double()
        if isinstance(value, torch.Tensor) and value.is_floating_point()
        else value
        for name, value in given.items()
        if name in accepted and name not in ("eps", "acc_dtype")
    }
    if kernel == "MLstm":
        for gate in ("igate_preact", "fgate_preact"):
            whole = arguments[gate]
            arguments[gate] = whole[..., None] if whole.dim() == 3 else whole
    again = function(**arguments)
    again = again[0] if isinstance(again, tuple) else again
    close(output.detach(), again.detach())
    (again * output.grad.double()).sum().backward()
    lead = LAST.values().shape[2:]
    close(trace.states.detach().unflatten(-1, lead), LAST.values())
    close(gradscope.adjoints(trace).values().unflatten(-1, lead)[1:], LAST.gradients()[1:])
    norms = torch.linalg.vector_norm(LAST.gradients().flatten(-2), dim=-1)
    close(adjoint_log_norms_by_head(trace)[1:].exp(), norms[1:])
    by, dense = transitions_of(trace), LAST.transitions()
    close(by[1:].dense(), dense[1:])


def expected(note):
    return "set anew" in note or "run again in full precision" in note


def model_of(name):
    transformers = pytest.importorskip(
        "transformers", reason="transformers is not installed: its models are not looked at"
    )
    transformers.logging.set_verbosity_error()
    kind = getattr(transformers, f"{name}Config", None)
    if kind is None:
        pytest.skip(f"this version of transformers has no {name}")
    settings, layers = FAMILIES[name]
    torch.manual_seed(0)
    config = kind(**{**COMMON, **settings})
    return transformers.AutoModelForCausalLM.from_config(config).train(), layers


@pytest.mark.parametrize("name", FAMILIES)
def test_every_recurrent_layer_is_found_and_is_autograds(name, calls):
    model, layers = model_of(name)
    scope = gradscope.attach(model)
    symbols = torch.randint(3, 50, (3, 12))
    with scope.record() as recording:
        model(symbols, labels=symbols, use_cache=False).loss.backward()
    assert len(recording.traces) == layers, recording
    assert [note for note in recording.notes if not expected(note)] == []
    for place, (kernel, given, output) in calls.items():
        if kernel in REFERENCES:
            check(recording.trace(place), kernel, given, output)
    checked = {kernel for kernel, _, _ in calls.values()}
    assert checked <= {*REFERENCES, "Rwkv4", "Lightning", "Mamba"}
    assert scope.diagnose() is not None


def test_mamba_of_mambapy():
    mambapy = pytest.importorskip("mambapy.mamba", reason="mambapy is not installed")
    torch.manual_seed(0)
    model = mambapy.Mamba(mambapy.MambaConfig(d_model=8, n_layers=2, d_state=4))
    scope = gradscope.attach(model)
    with scope.record() as recording:
        model(torch.randn(2, 16, 8)).square().sum().backward()
    assert len(recording.traces) == 2
    assert recording.notes == []
    for name, trace in recording.traces.items():
        felt = gradscope.input_gradients(trace).values().unflatten(-1, (trace.cell.heads, -1))
        decay = transitions_of(trace).log_diagonal.double()
        by_rate = (felt[..., : trace.cell.parts[0]] * decay).sum((0, 1))
        close(by_rate, model.get_submodule(name).A_log.grad.double())


def xlstm_model(slstm_at):
    xlstm = pytest.importorskip("xlstm", reason="xlstm is not installed")
    cell = xlstm.mLSTMLayerConfig(conv1d_kernel_size=4, qkv_proj_blocksize=4, num_heads=2)
    scalar = xlstm.sLSTMBlockConfig(
        slstm=xlstm.sLSTMLayerConfig(backend="vanilla", num_heads=2, conv1d_kernel_size=4)
    )
    torch.manual_seed(0)
    return xlstm.xLSTMBlockStack(
        xlstm.xLSTMBlockStackConfig(
            mlstm_block=xlstm.mLSTMBlockConfig(mlstm=cell),
            slstm_block=scalar if slstm_at else None,
            context_length=16,
            num_blocks=2,
            embedding_dim=16,
            slstm_at=slstm_at,
        )
    )


def test_mlstm_of_nx_ai(calls):
    model = xlstm_model([])
    with gradscope.attach(model).record() as recording:
        model(torch.randn(2, 16, 16)).square().sum().backward()
    assert len(recording.traces) == 2
    assert recording.notes == []
    for place, (kernel, given, output) in calls.items():
        check(recording.trace(place), kernel, given, output)


def test_slstm_of_nx_ai():
    """Against autograd through the package's own step, whose stabiliser is part of its state."""
    model = xlstm_model([1]).double()
    cell = model.blocks[1].xlstm.slstm_cell
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.normal_()
    kept = {}
    cell.register_forward_hook(
        lambda module, args, output: kept.update(x=args[0].detach(), y=output[0])
    )
    scope = gradscope.attach(model)
    with scope.record() as recording:
        loss = model(torch.randn(2, 16, 16, dtype=torch.float64)).square().sum()
        kept["y"].retain_grad()
        loss.backward()
    assert (scope.unattached, recording.notes) == ([], [])
    weights = {f"module.{name}": p.grad.clone() for name, p in cell.named_parameters()}
    package = inspect.getmodule(type(cell))

    def step(x, state):
        held = (cell._recurrent_kernel, cell._bias, cell.pointwise)
        return package.slstm_forward_step(x[None], state, *held)[0][:, 0]

    x = cell._permute_input(kept["x"])
    start = torch.zeros(4, 2, 16, dtype=torch.float64)
    arrived = kept["y"].grad.permute(2, 0, 1, 3).flatten(2)
    trace = recording.trace("blocks.1.xlstm.slstm_cell")
    slstm_models.check(trace, step, x, start, arrived, weights=weights)
    memory = gradscope.audit(model).memories[1]
    assert memory.count == 16
    assert scope.diagnose().failed == {}


@pytest.mark.parametrize("name", ["minGRU", "minLSTM"])
def test_mingru(name, calls):
    said = "minGRU-pytorch is not installed"
    kind = getattr(pytest.importorskip(f"minGRU_pytorch.{name}", reason=said), name)
    torch.manual_seed(0)
    model = nn.Sequential(kind(8), kind(8))
    with gradscope.attach(model).record() as recording:
        model(torch.randn(2, 16, 8)).square().sum().backward()
    assert len(recording.traces) == 2
    assert recording.notes == []
    for place, (kernel, given, output) in calls.items():
        check(recording.trace(place), kernel, given, output)


def test_a_model_that_was_trained(calls):
    """The gated delta rule, after it has learnt to repeat what stood three symbols back."""
    model, _ = model_of("Qwen3Next")
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scope = gradscope.attach(model)

    def step():
        symbols = torch.randint(3, 50, (8, 3)).repeat(1, 4)
        optimizer.zero_grad()
        loss = model(symbols, labels=symbols, use_cache=False).loss
        loss.backward()
        return loss.item()

    first = step()
    for _ in range(200):
        last = step()
        optimizer.step()
    assert last < 0.75 * first
    with scope.record() as recording:
        step()
    for place, (kernel, given, output) in calls.items():
        check(recording.trace(place), kernel, given, output)
