"""xLSTM's scalar memory, watched: against autograd through all four parts of its state."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import gradscope
from gradscope.errors import GradscopeError
from tests.capture.slstm_models import check, sLSTMCell_vanilla

TIME, BATCH, SIZE = 7, 3, 6


def drawn(seed=0, **options):
    torch.manual_seed(seed)
    model = nn.ModuleDict({"cell": sLSTMCell_vanilla(size=SIZE, **options)}).double()
    return model, 2 * torch.randn(BATCH, TIME, 4 * SIZE, dtype=torch.float64)


def record(model, x, state=None, use_state=False, sequences=None):
    scope = gradscope.attach(model, probes=[], sequences=sequences)
    with scope.record() as recording:
        output, ended = model["cell"](x, state)
        output.retain_grad()
        ended.retain_grad()
        loss = output.sin().sum()
        if use_state:
            loss = loss + (ended[1] / ended[2]).cos().sum() + ended[0].square().sum()
        loss.backward()
    return scope, recording, output, ended


def by_time(output, shape):
    order = {"BNSH": (2, 0, 1, 3), "SBNH": (0, 1, 2, 3), "BSH": (1, 0, 2), "SBH": (0, 1, 2)}[shape]
    return output.permute(order).flatten(2)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_states_adjoints_jacobians_and_weights_are_autograds(heads):
    model, x = drawn(heads=heads)
    _, recording, output, _ = record(model, x)
    assert recording.notes == []
    weights = {f"module.{name}": p.grad.clone() for name, p in model["cell"].named_parameters()}
    start = torch.zeros(4, BATCH, SIZE, dtype=torch.float64)
    arrived = by_time(output.grad, "BNSH")
    trace = recording.trace("cell")
    check(trace, model["cell"].step, x.transpose(0, 1), start, arrived, weights=weights)


@pytest.mark.parametrize("shape", ["BNSH", "SBNH", "BSH", "SBH"])
@pytest.mark.parametrize("came", ["BSGNH", "SBGNH"])
def test_every_layout(came, shape):
    model, x = drawn(input_shape=came, output_shape=shape)
    by_step = x.transpose(0, 1)
    _, recording, output, _ = record(model, x if came == "BSGNH" else by_step)
    start = torch.zeros(4, BATCH, SIZE, dtype=torch.float64)
    check(recording.trace("cell"), model["cell"].step, by_step, start, by_time(output.grad, shape))


def test_a_state_that_comes_and_a_loss_of_the_last_one():
    model, x = drawn()
    with torch.no_grad():
        _, came = model["cell"](torch.randn_like(x))
    _, recording, output, ended = record(model, x, came, use_state=True)
    assert recording.carried == {"cell"}
    arrived = by_time(output.grad, "BNSH")
    check(recording.trace("cell"), model["cell"].step, x.transpose(0, 1), came, arrived, ended.grad)


def test_gates_that_are_far_open_and_far_shut():
    model, x = drawn()
    _, recording, output, _ = record(model, 40 * x)
    start = torch.zeros(4, BATCH, SIZE, dtype=torch.float64)
    arrived = by_time(output.grad, "BNSH")
    check(recording.trace("cell"), model["cell"].step, 40 * x.transpose(0, 1), start, arrived)
    assert bool(recording.trace("cell").states.isfinite().all())


def test_without_recurrent_weights_what_is_kept_is_the_forget_gates_over_the_unit():
    """dc_T/dc_0 over e^m is the product of forget gates times e^(m_0 - m_T): no m keeps it."""
    model, x = drawn()
    cell = model["cell"]
    with torch.no_grad():
        cell._recurrent_kernel_.zero_()
        cell._bias_.zero_()
    _, recording, _, _ = record(model, x)
    trace = recording.trace("cell")
    product = gradscope.jacobian_product(trace, TIME, 1).mantissa
    scale = gradscope.jacobian_product(trace, TIME, 1).log_scale.exp()
    block = (product * scale[..., None, None])[..., SIZE : 2 * SIZE, SIZE : 2 * SIZE]
    i, f = x.transpose(0, 1)[..., :SIZE], x.transpose(0, 1)[..., SIZE : 2 * SIZE]
    units, m = [], None
    for i_t, f_t in zip(i, f, strict=True):
        m = i_t if m is None else torch.maximum(i_t, m + nn.functional.logsigmoid(f_t))
        units.append(m)
    kept = nn.functional.logsigmoid(f[1:]).sum(0) + units[0] - units[-1]
    torch.testing.assert_close(block.diagonal(dim1=-2, dim2=-1), kept.exp())


def test_the_first_sequences_alone():
    model, x = drawn()
    whole = record(model, x)[1].trace("cell")
    one = record(model, x, sequences=1)[1].trace("cell")
    assert one.batch == 1
    torch.testing.assert_close(one.states, whole.states[:, :1])
    torch.testing.assert_close(
        gradscope.adjoints(one).values(), gradscope.adjoints(whole).values()[:, :1]
    )


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing(reentrant):
    model, x = drawn()
    x.requires_grad_()
    whole = record(model, x)[1].trace("cell")
    with gradscope.attach(model, probes=[]).record() as recording:
        output, _ = checkpoint(model["cell"], x, use_reentrant=reentrant)
        output.sin().sum().backward()
    torch.testing.assert_close(
        gradscope.adjoints(recording.trace("cell")).values(), gradscope.adjoints(whole).values()
    )


def test_single_steps_are_left_out_and_several_calls_are_stretches():
    model, x = drawn()
    with gradscope.attach(model, probes=[]).record() as recording:
        output, state = model["cell"](x)
        again, state = model["cell"](x, state)
        model["cell"](x[:, :1], state)
        (output + again).sum().backward()
    assert list(recording.traces) == ["cell (1)", "cell (2)"]
    assert any("1 call of a single step was left out" in note for note in recording.notes)
    assert recording.carried == set()  # its gradient goes on into the first


def test_weights_that_change_within_the_block_are_refused():
    model, x = drawn()

    def change_between_calls():
        model["cell"](x)
        model["cell"]._bias_.mul_(2)
        model["cell"](x)

    expected = pytest.raises(GradscopeError, match="the weights of 'cell' changed")
    with expected, gradscope.attach(model, probes=[]).record(), torch.no_grad():
        change_between_calls()


def test_in_half_precision_it_is_run_again_in_full():
    model, x = drawn()
    model, x = model.bfloat16(), x.bfloat16() / 4
    _, recording, _, _ = record(model, x)
    assert recording.trace("cell").states.dtype == torch.float32


def test_what_cannot_be_watched_is_said():
    model, _ = drawn(function="lstm")
    scope = gradscope.attach(nn.Sequential(model["cell"], nn.LSTM(2, 2)))
    assert "gates that are not exponential" in scope.unattached[0]
    cut = type("sLSTMCell_cuda", (sLSTMCell_vanilla,), {})(gradient_recurrent_cut=True)
    scope = gradscope.attach(nn.Sequential(cut, nn.LSTM(2, 2)))
    assert "gradient_recurrent_cut, by which its gradients" in scope.unattached[0]


def test_every_probe_and_check_looks_at_it():
    model, x = drawn()
    scope, *_ = record(model, x)
    assert scope.diagnose().failed == {}
    scope.measure("memory_horizon")
    assert len(scope.measure("gates")["gates"])
