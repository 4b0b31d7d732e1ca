"""attach: put a scope on a model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from gradscope.capture import Attachment, Depth, Loops, Steps
from gradscope.scope._probes import ProbeChoice
from gradscope.scope._scope import Scope


def attach(
    model: nn.Module,
    *,
    steps: Steps = (),
    depth: Depth = False,
    loops: Loops = True,
    sequences: int | None = None,
    probes: Sequence[ProbeChoice] | None = None,
) -> Scope:
    """Find the recurrences of any model, to be recorded while it trains as it is.

        scope = gradscope.attach(model)
        with scope.record():
            loss = criterion(model(x), y)
            loss.backward()
        scope.diagnose()

    Found without being told: torch.nn.RNN, LSTM, GRU (any layers, directions, projection, dropout,
    batch_first, packed), and torch's *Cell modules and gradscope's cells called in a loop; of
    transformers' models Mamba, RWKV and xLSTM. Found when they run: modules that are called again
    and again on what came of their own output (looped transformers, recursive models, fixed-point
    solvers, samplers), also where the training has gradients off.

    Args:
        model: any module; it may be the recurrence itself.
        steps: names of modules whose call is one step (x, s) -> s; a mapping to ``Step`` says how
            to read other calls.
        depth: look along depth too, d x_L / d x_l: the name (or names) of a container of blocks
            called one after another, of a block that is called again and again, or a pattern that
            the blocks' names match (``"block*"``); True takes every Sequential or ModuleList of
            blocks of one class. What the model does between two blocks, such as residuals, norms,
            gates or streams, is part of the layer; a state is all that a layer hands on.
        loops: look for modules that are called on their own output; names take these alone, and
            False none.
        sequences: of torch.nn.RNN, LSTM and GRU take the first so many sequences of the batch alone
            (packed: the longest), at a cost as much smaller; None is all, and only then do
            contributions add up to the parameters' own gradients.
        probes: what each recording measures: names, or mappings with options (``gradscope list
            probe``). None is the probes whose cost grows with the number of steps alone.

    Returns:
        A ``Scope``. The model is untouched.

    Raises:
        GradscopeError: for a scripted model, a name that it does not have, or a model
            without a recurrence.
    """
    return Scope(model, Attachment.of(model, steps, depth, sequences, loops), probes)
