"""A trained model, and text drawn from it if it is a language model."""

from __future__ import annotations

from typing import NamedTuple

import torch
from safetensors.torch import load
from torch import Generator

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
        trial: its id, or the label of its configuration; None is the first whose weights were kept.

    Raises:
        GradscopeError: if there is no such trial, or its weights were not kept.
    """
    trials = run.manifest().trials
    chosen = [one for one in trials if trial in (None, one.configuration, one.id)]
    if not chosen:
        labels = dict.fromkeys(one.configuration for one in trials)
        raise GradscopeError(
            f"{run.path}: has no configuration {trial!r}; {suggest(trial, labels)}"
        )
    kept = next((one for one in chosen if run.weights_path(one.id).is_file()), None)
    if kept is None:
        raise GradscopeError(
            f"{run.path}: no trained weights of {trial or 'any trial'} were kept; run the "
            "experiment with --set training.save_weights=true"
        )
    settings = validated(Settings, kept.settings, owner="the experiment")
    model = build(settings, generator=Generator())
    model.load_state_dict(load(run.weights_path(kept.id).read_bytes()))
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
    """``length`` symbols drawn from y_t = softmax((W_hy h_t + b_y) / temperature), each read back
    in as the next input.

    Args:
        model: of a task whose tokens are a text's.
        length: symbols to draw.
        temperature: below 1 bolder, above 1 more varied; 0 takes the likeliest.
        prompt: symbols read first; empty begins with one drawn evenly.
        generator: of the draws.

    Raises:
        GradscopeError: for a task without text, or a symbol that it does not know.
    """
    symbols = model.task.alphabet
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
        if temperature > 0:
            token = int(
                torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)
            )
        else:
            token = int(logits.argmax())
        drawn.append(symbols[token])
        pending = torch.tensor([[token]])
    return drawn
