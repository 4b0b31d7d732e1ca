"""influence: how far back in a sequence what a model puts out depends on what it read."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor, nn

from gradscope.errors import GradscopeError
from gradscope.influencing._as_it_was import left_as_it_was
from gradscope.influencing._asked import Asked, Cotangents
from gradscope.influencing._given import Given, Inputs
from gradscope.influencing._influence import Influence
from gradscope.influencing._layers import Layers, caught
from gradscope.influencing._leaf import Leaf, put_into
from gradscope.influencing._losses import Loss
from gradscope.influencing._measured import by_layer, measured
from gradscope.influencing._output import Read, tensor_of
from gradscope.influencing._places import Positions
from gradscope.influencing._view import View


class InfluenceOptions(TypedDict, total=False):
    """The options of ``gradscope.influence``."""

    of: str | None
    read: Read | None
    loss: Loss | None
    mask: Tensor | None
    batch_first: bool | None
    positions: Positions | None
    cotangents: Cotangents
    layers: Layers
    seed: int


def influence(
    model: nn.Module,
    inputs: Inputs,
    *,
    of: str | None = None,
    read: Read | None = None,
    loss: Loss | None = None,
    mask: Tensor | None = None,
    batch_first: bool | None = None,
    positions: Positions | None = None,
    cotangents: Cotangents = None,
    layers: Layers = False,
    seed: int = 0,
) -> Influence:
    """How far back in a sequence what any model puts out depends on what it read.

        found = gradscope.influence(model, tokens)      # recurrent, attention, hybrid
        found.temporal_range, found.effective_context, found.decay

    The norm of d out_s / d x_t by lag s - t, with x_t the input at t (of tokens their embedding),
    and E ||J^T v||^2 = ||J||_F^2 for signs v at random. The model runs once, in eval mode, and is
    left as it was.

    Args:
        model: any module.
        inputs: tokens (batch, time) or numbers (batch, time, input); arguments by name; or a list.
        of: the input that is the sequence, or the module whose output is x_t, by name.
        read: takes what counts out of what the model returns; None takes logits, the last hidden
            state, or the first tensor.
        loss: of each output in the place of the output: ``"next_token"``, or a function of it.
        mask: True where there is no padding, as the first two axes of the inputs.
        batch_first: None finds it by where gradients go.
        positions: outputs that are asked: how many, which places, or ``"all"``; None is 12 in the
            last quarter of each sequence.
        cotangents: random ones for each output, or ``"exact"``; None is 2.
        layers: also of each layer's output: True, or names of modules.
        seed: of the cotangents.

    Returns:
        An ``Influence``.

    Raises:
        GradscopeError: where there is no derivative to take; it says why, and what to do.

    Reference: Lafuente-Mercado, Rus and Rusch (2025), arXiv 2512.06204; Brändel, Köhler and
    Rheinbach (2026), arXiv 2606.29139.
    """
    asked = Asked(loss, mask, batch_first, positions, cotangents, seed)
    return _answered(model, inputs, of, read, layers, asked)


def _answered(
    model: nn.Module,
    inputs: Inputs,
    of: str | None,
    read: Read | None,
    layers: Layers,
    asked: Asked,
) -> Influence:
    """Run the model, and measure."""
    _check(model)
    given = Given.of(model, inputs, of)
    module = None if of is None or of == given.key else of
    with left_as_it_was(model) as notes:
        with put_into(model, given, module) as leaf, caught(model, layers) as hidden:
            output = tensor_of(_run(model, given, leaf, module), read)
        view = View.of(output, leaf, asked)
        found = measured(view, view.value, _named(model, asked), asked)
        of_layers = by_layer(view, hidden, asked)
    return found.with_layers(of_layers, [*notes, *_others(leaf)])


def _check(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise GradscopeError(f"the model is a {type(model).__name__}: should be a torch.nn.Module")
    if isinstance(model, torch.jit.ScriptModule):
        raise GradscopeError("the model is scripted: give the module that it was made from")
    if isinstance(model, nn.DataParallel | nn.parallel.DistributedDataParallel):
        raise GradscopeError(
            f"the model is wrapped in {type(model).__name__}: give model.module, which it wraps"
        )


def _run(model: nn.Module, given: Given, leaf: Leaf, module: str | None) -> object:
    """What the model gives, with x_t cut off from what made it."""
    sequence = given.sequence
    if module is None and not given.is_tokens:
        sequence = leaf.take(sequence)
    output = given.call(model, sequence)
    if leaf.value is not None:
        return output
    if module is not None:
        raise GradscopeError(f"the module {module!r} was not called")
    raise GradscopeError(
        "the inputs are tokens, and no nn.Embedding was called with them, so that nothing is known "
        "to depend on them smoothly: say by of= which module makes vectors of them, or give vectors"
    )


def _named(model: nn.Module, asked: Asked) -> str:
    """What the influence is of, in words."""
    return f"the {'output' if asked.loss is None else 'loss'} of {type(model).__name__}"


def _others(leaf: Leaf) -> list[str]:
    """What reads the tokens as well, and is not counted."""
    if not leaf.others:
        return []
    return [
        f"x_t is the output of '{leaf.name}'; the tokens are read by {', '.join(leaf.others)} as "
        "well, whose influence is not counted; of= chooses another"
    ]
