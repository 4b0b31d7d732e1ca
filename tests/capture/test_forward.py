"""Looking at forward passes: however they are called, and without ending or changing anything."""

import copy
import inspect
import io
from contextlib import ExitStack

import pytest
import torch
from torch import nn

import gradscope
from gradscope.capture._forward import Onlooker, watch_forward
from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded


def looked_at(module, after=lambda *given: None, before=None):
    onlooker, hooks = Onlooker(), ExitStack()
    watch_forward(module, onlooker, before, after, hooks)
    return onlooker, hooks


@pytest.mark.parametrize("call", [lambda m, x: m(x), lambda m, x: m.forward(x)])
def test_both_ways_of_calling_are_seen(call):
    module, seen = nn.Linear(2, 3), []
    _, hooks = looked_at(module, lambda m, args, kwargs, output: seen.append(output))
    with hooks:
        output = call(module, torch.ones(2))
    assert seen[0] is output
    assert "forward" not in vars(module)
    call(module, torch.ones(2))
    assert len(seen) == 1


def test_two_watches_of_one_module_both_see_every_call_once():
    module, seen = nn.Linear(2, 3), []
    _, first = looked_at(module, lambda *given: seen.append("first"))
    _, second = looked_at(module, lambda *given: seen.append("second"))
    with first, second:
        module(torch.ones(2))
    assert seen == ["first", "second"]
    assert "forward" not in vars(module)


def test_a_forward_of_ones_own_comes_back():
    module = nn.Linear(2, 2)
    module.forward = own = lambda x: 2 * x
    _, hooks = looked_at(module)
    with hooks:
        assert module(torch.ones(2)).tolist() == [2, 2]
    assert vars(module)["forward"] is own


def test_an_error_of_the_onlooker_ends_nothing_and_is_kept():
    module, calls = nn.Linear(2, 2), []

    def fails(*given):
        calls.append(1)
        raise ValueError("of ours")

    onlooker, hooks = looked_at(module, fails, before=fails)
    with hooks:
        for _ in range(3):
            module(torch.ones(2))
    assert calls == [1]
    assert str(onlooker.problem("rnn")) == "'rnn' could not be looked at: ValueError: of ours"
    assert isinstance(onlooker.problem("rnn"), GradscopeError)


def test_an_error_of_the_models_own_goes_through():
    _, hooks = looked_at(module := nn.Linear(2, 2))
    with hooks, pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        module(torch.ones(1, 5))
    assert "forward" not in vars(module)


def test_a_copy_of_a_watched_module_is_not_watched():
    module, seen = nn.Sequential(nn.Linear(2, 2)), []
    _, hooks = looked_at(module[0], lambda *given: seen.append(given))
    with hooks:
        copied = copy.deepcopy(module)
        assert torch.equal(copied(torch.ones(2)), module(torch.ones(2)))
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (torch.inference_mode, "torch.inference_mode()"),
        (None, "torch.func"),
    ],
)
def test_calls_that_cannot_be_seen_are_counted(context, said):
    cell, x = nn.GRUCell(2, 3), torch.randn(4, 2)
    with recorded(cell) as recording:
        h = None
        for step in x.expand(9, 4, 2):
            h = cell(step, h)
        h.sum().backward()
        if context:
            with context():
                cell(x)
        else:
            torch.func.jvp(cell, (x,), (x,))
    assert [trace.time for trace in recording.traces.values()] == [9]
    assert said in recording.notes[0]
    assert "1 call " in recording.notes[0]


def test_nothing_but_such_calls_is_said():
    cell = nn.GRUCell(2, 3)
    with (
        pytest.raises(GradscopeError, match=r"could be recorded. grucell: 1 call under"),
        recorded(cell),
        torch.inference_mode(),
    ):
        cell(torch.randn(4, 2))


def test_modules_whose_weights_are_made_of_others(recwarn):
    """Old weight_norm and functional_call leave tensors that deepcopy refuses."""
    cell = nn.utils.weight_norm(nn.GRUCell(2, 3), "weight_hh")
    with recorded(cell) as recording:
        h = torch.zeros(4, 3)
        for step in torch.randn(9, 4, 2):
            h = cell(step, h)
        h.sum().backward()
    assert [trace.time for trace in recording.traces.values()] == [9]
    plain, fast = nn.GRUCell(2, 3), {}
    fast = {name: 2 * p for name, p in plain.named_parameters()}
    with recorded(plain) as recording:
        h = torch.zeros(4, 3)
        for step in torch.randn(9, 4, 2):
            h = torch.func.functional_call(plain, fast, (step, h))
        h.sum().backward()
    [trace] = recording.traces.values()
    assert trace.time == 9
    assert gradscope.adjoints(trace).log_norms().isfinite().all()


def saved(model):
    """The model as it comes back from a file."""
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def twice(x):
    """A forward pass that a library puts in a module's place."""
    return 2 * x


@pytest.mark.parametrize("duplicate", [copy.deepcopy, saved])
def test_a_model_is_copied_and_saved_while_it_is_recorded(duplicate):
    """As an average of weights or a checkpoint is, within the step that happens to be recorded."""
    model, x = nn.Sequential(nn.Linear(3, 3), nn.LSTM(3, 5)), torch.randn(6, 2, 3)
    model[0].forward = twice
    with recorded(model) as recording:
        first = duplicate(model)
        model(x)[0].sum().backward()
    assert list(recording.traces) == ["1"]
    for other in (first, duplicate(first)):
        assert torch.equal(other(x)[0], model(x)[0])
        with torch.no_grad():
            other[1].weight_hh_l0.zero_()
        assert not torch.equal(other(x)[0], model(x)[0])
        with recorded(other) as again:
            other(x)[0].sum().backward()
        assert not again.traces["1"].cell.weight_hh.any()


def test_the_signature_stays():
    module = nn.LSTM(2, 3)
    before = inspect.signature(module.forward)
    _, hooks = looked_at(module)
    with hooks:
        assert inspect.signature(module.forward) == before
        assert module.forward.__name__ == "forward"


class Loop(nn.Module):
    """A cell in a loop."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(3, 5)

    def forward(self, x):
        state = x.new_zeros(x.shape[1], 5)
        for step in x:
            state = self.cell(step, state)
        return state


@pytest.mark.parametrize(
    ("make", "calls"), [(lambda: nn.LSTM(3, 5), "1 call"), (Loop, "6 calls")], ids=["LSTM", "cell"]
)
def test_a_batch_without_a_sequence_is_left_out(make, calls):
    model = make()

    def loss(batch):
        output = model(torch.randn(6, batch, 3))
        return (output[0] if isinstance(output, tuple) else output).sum()

    with recorded(model) as recording:
        (loss(0) + loss(2)).backward()
    [trace] = recording.traces.values()
    assert (trace.time, trace.batch) == (6, 2)
    assert f"{calls} of an empty batch left out" in recording.notes[0]
    said = f"{calls} of an empty batch left out"
    with pytest.raises(GradscopeError, match=said), recorded(model):
        loss(0).backward()
