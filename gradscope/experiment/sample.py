"""The trained model of a recorded trial, and text sampled from a language model."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from safetensors.torch import load
from torch import Generator, Tensor

from gradscope.components.options import validated
from gradscope.components.suggestions import suggest
from gradscope.errors import GradscopeError
from gradscope.experiment.model import SequenceModel, build
from gradscope.experiment.schema import Settings
from gradscope.results.manifest import TrialEntry
from gradscope.results.records import RunDirectory


class Trained(NamedTuple):
    """A model with its trained weights, and the trial that trained it."""

    model: SequenceModel
    trial: TrialEntry


def trained(run: RunDirectory, trial: str | None = None) -> Trained:
    """The model of a recorded trial with its trained weights.

    Args:
        run: the run directory.
        trial: the trial's id, or the label of its configuration; None takes the first trial whose
            weights were kept.

    Raises:
        GradscopeError: if there is no such trial, its weights were not kept, or a text that it read
            has changed since.
    """
    entries = run.manifest().trials
    chosen = [entry for entry in entries if trial in (None, entry.configuration, entry.id)]
    if not chosen:
        labels = dict.fromkeys(entry.configuration for entry in entries)
        raise GradscopeError(
            f"{run.path}: has no configuration {trial!r}; {suggest(trial, labels)}"
        )
    kept = next((entry for entry in chosen if run.keeps_weights(entry.id)), None)
    if kept is None:
        raise GradscopeError(
            f"{run.path}: no trained weights of {trial or 'any trial'} were kept; run the "
            "experiment with --set training.save_weights=true"
        )
    settings = validated(Settings, kept.settings, owner="the experiment")
    path, contents = getattr(settings.task, settings.task.path_option, ""), kept.contents
    if contents and settings.task.contents != contents:
        raise GradscopeError(f"{path}: has changed since the model was trained on it; put it back")
    model = build(settings, generator=Generator())
    weights = run.weights(kept.id)
    assert weights is not None
    model.load_state_dict(load(weights))
    model.eval()
    return Trained(model, kept)


@torch.no_grad()
def generate(
    model: SequenceModel,
    *,
    length: int,
    temperature: float = 1.0,
    prompt: tuple[str, ...] = (),
    generator: Generator,
) -> list[str]:
    """Text from a language model: each symbol is drawn, and is then read as the next input.

    The symbol at step t is drawn from softmax((W_hy h_t + b_y) / temperature).

    Args:
        model: the model of a language model task.
        length: how many symbols to draw.
        temperature: below 1 the text is more predictable, above 1 more varied; 0 always takes the
            likeliest symbol.
        prompt: symbols to read first; if empty, one symbol drawn evenly from the alphabet.
        generator: draws the symbols.

    Returns:
        The symbols that were drawn, without the prompt.

    Raises:
        GradscopeError: if the task has no text or does not know a symbol of the prompt, for a
            temperature that is no number from 0 on, or outputs that are not finite.
    """
    symbols = model.task.alphabet
    if not 0 <= temperature < math.inf:
        raise GradscopeError(f"temperature should be a number from 0 on, got {temperature}")
    if symbols is None:
        raise GradscopeError(
            f"the task {model.task.name!r} has no text to sample; a language model has"
        )
    places = {symbol: place for place, symbol in enumerate(symbols)}
    if unknown := [symbol for symbol in prompt if symbol not in places and "<unk>" not in places]:
        raise GradscopeError(f"the model has never seen {unknown[0]!r}, so it cannot begin with it")
    tokens = [places.get(symbol, 0) for symbol in prompt]
    tokens = tokens or [int(torch.randint(0, len(symbols), (1,), generator=generator))]
    state, drawn = model.stack.initial_state(1), []
    pending = torch.tensor(tokens)[:, None]
    for _ in range(length):
        hidden, state = model.stack.outputs(model.embed(pending), state)
        logits = model.readout(hidden[-1:])[0, 0].double()
        token = _drawn(logits, temperature, generator)
        drawn.append(symbols[token])
        pending = torch.tensor([[token]])
    return drawn


def _drawn(logits: Tensor, temperature: float, generator: Generator) -> int:
    """A token drawn from softmax(logits / temperature).

    Raises:
        GradscopeError: for logits that are not finite.
    """
    if not bool(logits.isfinite().all()):
        raise GradscopeError("the model's outputs are not finite numbers: nothing can be drawn")
    if temperature == 0:
        return int(logits.argmax())
    chances = ((logits - logits.max()) / temperature).softmax(-1)
    return int(torch.multinomial(chances, 1, generator=generator))
