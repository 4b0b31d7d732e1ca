"""What is no loop is not taken for one, and which modules a loop is made of."""

import pytest
import torch
from torch import nn

from gradscope.errors import GradscopeError
from tests.capture.conftest import recorded
from tests.capture.loop_models import (
    BATCH,
    WIDTH,
    Adversaries,
    Recurrent,
    Shared,
    SharedMixer,
    Twins,
    Words,
    drawn,
)

NO_LOOPS = [Shared, SharedMixer, Twins, Adversaries, Words]


@pytest.mark.parametrize("make", NO_LOOPS)
@pytest.mark.parametrize("times", [1, 2])
def test_what_is_no_loop_is_not_taken_for_one(make, times):
    torch.manual_seed(0)
    model, x = make().double(), drawn(BATCH, WIDTH)

    def run():
        with recorded(model):
            for _ in range(times):
                model(x).backward()

    with pytest.raises(GradscopeError, match="no module was called on its own output"):
        run()


def test_what_goes_through_a_known_recurrence_is_its_own():
    torch.manual_seed(0)
    model = Recurrent().double()
    with recorded(model) as recording:
        model(drawn(BATCH, WIDTH)).backward()
    assert list(recording.traces) == ["lstm"]
    assert recording.trace("lstm").time == 4


def test_a_module_that_keeps_a_state_is_named():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner, self.calls = nn.Linear(WIDTH, WIDTH), 0

        def forward(self, x):
            self.calls += 1
            return self.inner(x) * self.calls

    model = nn.ModuleDict({"counting": Counting()}).double()
    said = "counting: it is called on its own output, and was not recorded: step 1, taken again"

    def run():
        with recorded(model):
            x = drawn(BATCH, WIDTH)
            for _ in range(4):
                x = model["counting"](x)
            x.sum().backward()

    with pytest.raises(GradscopeError, match=said):
        run()


class Tower(nn.Module):
    """A block with a loop of its own within, called twice."""

    def __init__(self):
        super().__init__()
        self.inner, self.out = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()), nn.Linear(6, 6)

    def forward(self, x):
        for _ in range(3):
            x = self.inner(x) + 0.1 * x
        return x


def test_an_inner_loop_is_taken_where_nothing_lies_between_its_calls():
    torch.manual_seed(0)
    model = nn.ModuleDict({"tower": Tower()}).double()
    with recorded(model) as recording:
        x = drawn(BATCH, WIDTH)
        for _ in range(3):
            x = model["tower"](x)
        x.sum().backward()
    assert recording.found == {"tower.inner": "Sequential, a loop over its own output"}
    assert recording.trace("tower.inner").time == 9


def test_two_loops_of_a_model_are_two():
    torch.manual_seed(0)
    model = nn.ModuleDict({"one": Tower().inner, "other": Tower().inner}).double()
    with recorded(model) as recording:
        x = drawn(BATCH, WIDTH)
        for name in ("one", "one", "other", "other"):
            x = model[name](x)
        x.sum().backward()
    assert list(recording.traces) == ["one", "other"]


def test_two_layers_in_a_row_are_no_loop_yet():
    torch.manual_seed(0)
    model = nn.ModuleDict({"tied": nn.Linear(WIDTH, WIDTH)}).double()

    def run(times):
        with recorded(model) as recording:
            x = drawn(BATCH, WIDTH)
            for _ in range(times):
                x = torch.tanh(model["tied"](x))
            x.sum().backward()
        return recording

    with pytest.raises(GradscopeError, match="no module was called on its own output"):
        run(2)
    assert run(3).trace("tied").time == 3
