"""What the state of a loop is, and when it is looked at."""

import pytest
import torch
from torch import nn

from gradscope.errors import GradscopeError
from tests.capture.conftest import loop_of, recorded
from tests.capture.loop_models import (
    BATCH,
    LENGTH,
    WIDTH,
    ByHand,
    Levels,
    Looped,
    Sampler,
    Tiny,
    drawn,
)


@pytest.mark.parametrize(
    ("make", "shape", "where", "tensors", "time"),
    [
        (Tiny, (BATCH, LENGTH, 2), "after each call", 2, 6),
        (Levels, (BATCH, LENGTH, 2), "after each call", 2, 11),
        (lambda: Looped(blocks=2), (BATCH, LENGTH, 2), "after each call", 1, 8),
        (Sampler, (BATCH, WIDTH), "before each call of field", 1, 5),
        (ByHand, (BATCH, 5, 2), "before each call of gate", 1, 5),
    ],
)
def test_the_smallest_state_is_taken(make, shape, where, tensors, time):
    torch.manual_seed(0)
    states = loop_of(make().double(), drawn(*shape))[1].cell.program.states
    assert (states.where, len(states.shapes), states.time) == (where, tensors, time)
    assert all(len(row) == tensors for row in states.rows)
    assert all(any(fresh) for fresh in states.fresh[1:])
    assert not any(states.fresh[0])
    assert sum(map(len, states.calls)) >= time


def test_a_part_of_the_state_that_is_not_written_stays():
    torch.manual_seed(0)
    states = loop_of(Tiny().double(), drawn(BATCH, LENGTH, 2))[1].cell.program.states
    low, high = zip(*states.rows, strict=True)
    assert high[0] is high[1] is high[2]
    assert high[3] is not high[2]
    assert low[3] is low[2]
    assert None not in low + high


def test_a_state_that_grows_is_refused():
    torch.manual_seed(0)
    model = nn.ModuleDict({"dense": nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh())}).double()

    def run():
        with recorded(model):
            made = [drawn(BATCH, WIDTH)]
            for turn in range(20):
                weights = torch.arange(1.0, 2.0 + turn).double()
                made.append(model["dense"](sum(w * x for w, x in zip(weights, made, strict=True))))
            made[-1].sum().backward()

    with pytest.raises(GradscopeError, match="spread over more than 8 tensors"):
        run()
