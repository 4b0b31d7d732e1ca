"""Modules whose recurrence is a known kernel: every kernel against autograd, and the watching."""

import copy
import pickle

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import gradscope
from gradscope.capture._kernel_watch import KERNELS, kernels_of
from gradscope.dynamics.heads import adjoint_log_norms_by_head
from gradscope.errors import GradscopeError
from tests.capture import kernel_functions
from tests.capture.conftest import recorded
from tests.capture.kernel_cases import NAMES, case_of
from tests.capture.kernel_functions import BATCH, LAST, TIME, Calls, chunk_gla, under


def close(actual, expected, dtype=torch.float64):
    """Of the size of the largest, which rounding is measured by."""
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-5}[dtype]
    size = float(expected.abs().max().clamp_min(1e-30))
    torch.testing.assert_close(actual.to(expected), expected, rtol=0, atol=tolerance * size)


def record_case(name, dtype=torch.float64):
    function, given = case_of(name, dtype)
    model = nn.ModuleDict({"mixer": Calls(under(function, name))})
    with recorded(model) as recording:
        output = model["mixer"](**given)
        weight = torch.linspace(-1, 1, output.numel(), dtype=dtype).reshape(output.shape)
        (output[..., : output.shape[-1]] * weight).sin().sum().backward()
    return recording


def check_states_and_adjoints(trace, dtype=torch.float64):
    times, lead = trace.time + 1, LAST.values().shape[2:]
    close(trace.states.detach().unflatten(-1, lead), LAST.values(), dtype)
    expected = LAST.gradients().double()
    values = gradscope.adjoints(trace).values().unflatten(-1, lead)
    close(values, expected, dtype)
    assert values.shape[0] == times
    norms = torch.linalg.vector_norm(expected.flatten(-2), dim=-1)
    close(adjoint_log_norms_by_head(trace).exp(), norms, dtype)


@pytest.mark.parametrize("name", NAMES)
def test_every_kernel_is_autograds(name):
    recording = record_case(name)
    assert [note for note in recording.notes if "set anew" not in note] == []
    trace = recording.trace("mixer")
    check_states_and_adjoints(trace)
    dense = LAST.transitions()
    by = gradscope.dynamics.transitions_of(trace)
    close(by.dense(), dense)
    product = torch.eye(by.key, dtype=torch.float64).expand_as(dense[0])
    log_norms = by.log_norms([0, 1, TIME])
    for lag in range(TIME + 1):
        if lag in (0, 1, TIME):
            norm = torch.linalg.matrix_norm(product, 2)
            close(log_norms[[0, 1, TIME].index(lag)].exp(), norm)
        if lag < TIME:
            product = product @ dense[TIME - 1 - lag]
    whole = gradscope.jacobian_product(trace, TIME, 0).log_spectral_norm().exp()
    close(whole, torch.linalg.matrix_norm(product, 2).amax(-1))


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k.names], ids=lambda k: type(k).__name__)
def test_every_kernel_in_float32(kernel):
    recording = record_case(kernel.names[0], torch.float32)
    check_states_and_adjoints(recording.trace("mixer"), torch.float32)


# --- where a kernel is found ----------------------------------------------------------------------


class ByGlobalName(nn.Module):
    """Calls a kernel by the name under which its file imported it."""

    def __init__(self):
        super().__init__()
        self.lift = nn.Linear(5, 2 * 2 * (3 + 3 + 3 + 4))

    def read(self, x):
        parts = self.lift(x).unflatten(-1, (2, -1)).split((3, 3, 3, 17), -1)
        q, k, g, v = parts
        return {"q": q, "k": k, "v": v[..., :4], "g": -g.abs()}

    def forward(self, x):
        return chunk_gla(**self.read(x))[0]


class AfterADot(ByGlobalName):
    """Calls it after a dot."""

    def forward(self, x):
        return kernel_functions.chunk_gla(**self.read(x))[0]


class InAnother(ByGlobalName):
    """Calls it in a function within."""

    def forward(self, x):
        return (lambda given: chunk_gla(**given)[0])(self.read(x))


aliased = chunk_gla


class Aliased(ByGlobalName):
    """Calls it by another name."""

    def forward(self, x):
        return aliased(**self.read(x))[0]


class AMethod(ByGlobalName):
    """Has it for a method."""

    def chunk_gla(self, q, k, v, g):
        return chunk_gla(q, k, v, g)

    def forward(self, x):
        return self.chunk_gla(**self.read(x))[0]


class Changed(ByGlobalName):
    """Changes what the kernel gave in place."""

    def forward(self, x):
        return super().forward(x).mul_(2)


KINDS = [ByGlobalName, AfterADot, InAnother, Aliased, AMethod]


def small(kind=ByGlobalName, dtype=torch.float64):
    torch.manual_seed(0)
    return nn.ModuleDict({"a": kind(), "b": kind()}).to(dtype)


def drawn(*shape, dtype=torch.float64):
    return torch.randn(*(shape or (BATCH, TIME, 5)), dtype=dtype)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kernel_is_found_however_it_is_named(kind):
    model = small(kind)
    named = dict(vars(kernel_functions)), dict(globals())
    with recorded(model) as recording:
        model["a"](drawn()).sin().sum().backward()
    assert list(recording.traces) == ["a"]
    check_states_and_adjoints(recording.trace("a"))
    assert all(globals()[name] is value for name, value in named[1].items())
    assert all(vars(kernel_functions)[name] is value for name, value in named[0].items())
    assert "chunk_gla" not in vars(model["a"])
    assert recording.unseen == {"b": "it was not called in the recorded block"}


def test_two_modules_of_a_class_have_each_their_own_calls():
    model, x = small(), drawn()
    with recorded(model) as recording:
        model["a"](x).sum().backward()
        model["b"](x)
        model["b"](2 * x)
    assert list(recording.traces) == ["a", "b (1)", "b (2)"]
    assert recording.trace("b (1)").immediate is None


def test_two_scopes_at_once():
    model, x = small(AMethod), drawn()
    before = vars(kernel_functions)["chunk_gla"], globals()["chunk_gla"]
    with recorded(model) as outer:
        model["a"](x).sum().backward()
        with recorded(model) as inner:
            model["a"](x).sum().backward()
        model["b"](x)
    assert list(outer.traces) == ["a (1)", "a (2)", "b"]
    assert list(inner.traces) == ["a"]
    assert (vars(kernel_functions)["chunk_gla"], globals()["chunk_gla"]) == before
    held = Calls(under(*[case_of("chunk_gla").function, "chunk_gla"]))
    with recorded(held), recorded(held) as inside:
        held(**case_of("chunk_gla").arguments)
    assert len(inside.traces) == 1


def test_what_fails_in_the_block_leaves_everything_as_it_was():
    model = small()
    before = globals()["chunk_gla"]
    with pytest.raises(RuntimeError), recorded(model):
        model["a"](drawn(BATCH, TIME, 4))
    assert globals()["chunk_gla"] is before
    assert "forward" not in vars(model["a"])
    with recorded(model) as recording:  # a failure that is caught
        with pytest.raises(RuntimeError):
            model["a"](drawn(BATCH, TIME, 4))
        model["b"](drawn())
    assert list(recording.traces) == ["b"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_copied_and_saved_within_a_block(kind):
    model, x = small(kind), drawn()
    with recorded(model) as recording:
        expected = model["a"](x)
        copies = [copy.deepcopy(model), pickle.loads(pickle.dumps(model))]
        for other in copies:
            torch.testing.assert_close(other["a"](x), expected)
    assert list(recording.traces) == ["a"]
    for other in copies:
        torch.testing.assert_close(other["b"](x), model["b"](x))


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant):
    model, x = small(), drawn().requires_grad_()
    with recorded(model) as recording:
        for _ in range(2):
            checkpoint(model["a"], x, use_reentrant=reentrant).sin().sum().backward()
    with recorded(model) as plain:
        model["a"](x).sin().sum().backward()
    assert list(recording.traces) == ["a (1)", "a (2)"]
    for trace in recording.traces.values():
        close(trace.immediate.values(), plain.trace("a").immediate.values())


def test_an_output_that_is_changed_in_place_is_read_and_said():
    model = small(Changed)
    with recorded(model) as recording:
        model["a"](drawn()).sin().sum().backward()
    assert recording.notes == [
        "a: its output was changed in place, so that it could not be checked"
    ]
    check_states_and_adjoints(recording.trace("a"))


@pytest.mark.parametrize("shape", [(BATCH, 2, 5), (1, TIME, 5), (1, 2, 5)])
def test_short_and_single_sequences(shape):
    model = small()
    with recorded(model) as recording:
        model["a"](drawn(*shape)).sin().sum().backward()
    check_states_and_adjoints(recording.trace("a"))


def test_a_single_step_is_left_out():
    model = small()
    with recorded(model) as recording:
        model["a"](drawn()).sum().backward()
        model["a"](drawn(BATCH, 1, 5))
    assert recording.notes == ["a: 1 call with a cache, or of a single step, was left out"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model = small(dtype=dtype)
    with recorded(model) as recording:
        model["a"](drawn(dtype=dtype)).sum().backward()
    trace = recording.trace("a")
    assert trace.states.dtype == torch.float32
    assert trace.immediate is not None
    assert all("run again in full precision" in note for note in recording.notes)


def test_frozen_weights_and_no_gradient():
    model = small().requires_grad_(False)
    with recorded(model) as recording, torch.no_grad():
        model["a"](drawn())
    assert recording.trace("a").immediate is None
    assert adjoint_log_norms_by_head(recording.trace("a")) is None
    with recorded(model) as recording:
        model["a"](drawn().requires_grad_()).sin().sum().backward()
    check_states_and_adjoints(recording.trace("a"))


def test_some_sequences_are_those_of_the_whole_batch():
    model, x = small(), drawn()
    traces = []
    for sequences in (None, 1):
        with recorded(model, sequences=sequences) as recording:
            model["a"](x).square().sum().backward()
        traces.append(recording.trace("a"))
    whole, some = traces
    torch.testing.assert_close(some.states, whole.states[:, :1])
    torch.testing.assert_close(some.immediate.values(), whole.immediate.values()[:, :1])
    both = [adjoint_log_norms_by_head(trace) for trace in traces]
    torch.testing.assert_close(both[1], both[0][:, :1])


def test_weights_that_change_within_the_block_are_named():
    model = small()

    def change_between_calls():
        model["a"](drawn())
        model["a"].lift.weight.mul_(2)
        model["a"](drawn())

    with (
        pytest.raises(GradscopeError, match="the weights of 'a' changed"),
        recorded(model),
        torch.no_grad(),
    ):
        change_between_calls()


def test_arguments_that_change_after_the_call_are_refused():
    function, given = case_of("chunk_gla")
    model = Calls(under(function, "chunk_gla"))
    given = {name: part.detach() for name, part in given.items()}
    expected = pytest.raises(GradscopeError, match="was changed in place afterwards")
    with expected, recorded(model):
        model(**given)
        given["k"].zero_()


class Skipping(nn.Module):
    """Gives the kernel a weight itself, and a view of one."""

    def __init__(self):
        super().__init__()
        self.skip, self.bias = nn.Parameter(torch.ones(1, 2)), nn.Parameter(torch.zeros(2))

    def forward(self, x, dt, a, b, c):
        scan = kernel_functions.mamba_chunk_scan_combined
        return scan(x, dt, a, b, c, 4, D=self.skip[0], dt_bias=self.bias)


def test_an_optimiser_may_step_within_the_block():
    torch.manual_seed(0)
    model, (x, dt) = Skipping(), (torch.randn(1, 6, 2, 3), torch.rand(1, 6, 2))
    b, c = (torch.randn(1, 6, 1, 4) for _ in range(2))
    optimizer = torch.optim.SGD(model.parameters(), 1.0)
    with gradscope.attach(model).record() as recording:
        model(x, dt, -torch.ones(2), b, c).square().sum().backward()
        optimizer.step()
    assert len(recording.traces) == 1
    assert not any("departs" in note for note in recording.notes)


def test_a_namesake_is_refused():
    given = case_of("chunk_gla").arguments

    def of_another_equation(q, k, v, g):
        return q.sum(-1, keepdim=True) * v, None

    def of_other_arguments(x):
        return x

    model = Calls(under(of_another_equation, "chunk_gla"))
    with pytest.raises(GradscopeError, match="computes something else than"), recorded(model):
        model(**given)
    model = Calls(under(of_other_arguments, "chunk_gla"))
    with pytest.raises(GradscopeError, match="was called without 'g'"), recorded(model):
        model(x=given["v"])


@pytest.mark.parametrize("departure", [0.0, 0.01, 0.2])
def test_a_kernel_that_departs_is_noted_or_refused(departure):
    function, given = case_of("chunk_gla")

    def departing(**given):
        output = function(**given)[0]
        return output + departure * output.detach().abs().max()

    departing.__wrapped__ = function
    model = Calls(under(departing, "chunk_gla"))
    if departure > 0.05:
        with pytest.raises(GradscopeError, match="of Calls computes something"), recorded(model):
            model(**given)
        return
    with recorded(model) as recording:
        model(**given).sum().backward()
    said = any("departs from what it gave, in float64" in note for note in recording.notes)
    assert said == (departure > 0)


def test_what_is_not_finite_is_recorded_as_such():
    function, given = case_of("chunk_gla")
    given["v"].data[:, 3] = torch.inf
    model = nn.ModuleDict({"mixer": Calls(under(function, "chunk_gla"))})
    with recorded(model) as recording:
        model["mixer"](**given).sum().backward()
    assert recording.nonfinite == {"mixer": 4}


def test_what_is_no_kernel_is_none():
    assert kernels_of(nn.Linear(2, 2)) == []
    assert kernels_of(nn.LSTM(2, 2)) == []
