"""What arrives at the states of a loop, and what its reader is told."""

import torch

import gradscope
from tests.capture.conftest import loop_of, recorded
from tests.capture.loop_models import BATCH, LENGTH, WIDTH, Equilibrium, Looped, Tiny, drawn


def test_the_losses_of_each_supervision_are_where_they_are_made():
    torch.manual_seed(0)
    _, trace, _ = loop_of(Tiny(supervisions=2).double(), drawn(BATCH, LENGTH, 2))
    heard = trace.immediate.mantissa.ne(0).flatten(1).any(1)
    assert heard.nonzero().flatten().tolist() == [6, 12]


def test_what_is_read_on_the_way_is_heard_there():
    torch.manual_seed(0)
    model = Looped(turns=1).double()
    with recorded(model, loops=["blocks.0"]) as recording:
        h, loss = drawn(BATCH, LENGTH, WIDTH), 0.0
        for turn in range(4):
            h = model.blocks[0](h, 0 * h)
            loss = loss + (turn in (1, 3)) * h.square().sum()
        loss.backward()
    immediate = recording.trace("blocks.0").immediate
    assert immediate.mantissa.ne(0).flatten(1).any(1).tolist() == [False, False, True, False, True]


def test_notes_say_what_was_found_and_how_it_is_read():
    torch.manual_seed(0)
    _, _, recording = loop_of(Equilibrium().double(), drawn(BATCH, WIDTH))
    found, silent = recording.notes[:2]
    assert found == (
        "map: found as a loop: map called 13 times on what came of its own output. A step ends "
        "after each call; its state is what later calls need: (3, 6)"
    )
    assert silent.startswith("map: 12 of its 13 calls were made without a gradient")
    used = gradscope.trained_gradient(recording.trace("map"))
    assert (used.seen, used.steps) == (1, 13)
