"""The model around the cell: an embedding, a stack of cells, a readout."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gradscope.cells import Cell, Stack, affine
from gradscope.dynamics.trace import Trace, Update
from gradscope.errors import GradscopeError
from gradscope.experiment import seeding
from gradscope.experiment.schema import Settings
from gradscope.inits import INITS, Init
from gradscope.tasks import Batch, Task

#: length of a learned embedding where the experiment gives none
_EMBEDDING_SIZE = 16


class SequenceModel(nn.Module):
    """x_t (a vector, or a token's embedding) -> s_t = F(x_t, s_{t-1}) -> y_t = W_hy h_t + b_y.

    The readout is computed at scored steps only. It gives logits where the loss is a cross-entropy:
    the softmax is part of the loss.

    Parameters may have a ``trial`` axis in front; sequences, states and outputs then have it before
    their ``batch`` axis, and each trial's sequences meet its own weights.

    Args:
        task: the task to solve; it decides the sizes of inputs and outputs.
        cells: the layers, from the bottom up.
        embedding: how a token becomes a vector: one_hot, learned, scaled or tied.
        embedding_size: length of that vector, unless it is one-hot.
        init: how the readout's weights are drawn.
        generator: the root of the generators that draw the embedding and the readout.
        dtype: precision of the embedding and the readout.

    Raises:
        GradscopeError: for a tied embedding whose sizes do not fit.
    """

    def __init__(
        self,
        task: Task,
        cells: list[Cell],
        *,
        embedding: str = "one_hot",
        embedding_size: int = _EMBEDDING_SIZE,
        init: Init,
        generator: Generator,
        dtype: torch.dtype | None = None,
    ):
        super().__init__()
        self.task = task
        self.stack = Stack(cells)
        self.embedding: nn.Parameter | None = None
        self.scale = math.sqrt(embedding_size) if embedding == "scaled" else 1.0
        size, bound = self.stack.hidden_size, 1 / math.sqrt(self.stack.hidden_size)
        if task.tokens and embedding != "one_hot":
            deviation = 1.0 if embedding == "learned" else 1 / math.sqrt(embedding_size)
            shape = task.input_size, embedding_size
            source = seeding.branch(generator, "embedding", *shape)
            drawn = deviation * torch.randn(shape, dtype=torch.float64, generator=source)
            self.embedding = nn.Parameter(drawn.to(dtype))
        source = seeding.branch(generator, "readout", task.output_size, size)
        if embedding == "tied":
            _check_tied(task, embedding_size, size)
            assert self.embedding is not None
            self.weight_hy = self.embedding
        else:
            drawn = init.dense(task.output_size, size, bound, source)
            self.weight_hy = nn.Parameter(drawn.to(dtype))
        self.bias_y = nn.Parameter(init.bias(task.output_size, bound, source).to(dtype))

    @property
    def trials(self) -> tuple[int, ...]:
        """The size of the trial axis; () without one."""
        return tuple(self.bias_y.shape[:-1])

    def initial_state(self, batch: Batch) -> Float[Tensor, "*trial batch state"]:
        """s_0 = 0 for every sequence of a batch."""
        sequences = batch.inputs.shape[1 : 2 + len(self.trials)]
        return self.bias_y.new_zeros(*sequences, self.stack.state_size)

    def embed(self, inputs: Tensor) -> Float[Tensor, "time *trial batch input"]:
        """The vectors that the cells read: inputs as they are, or their tokens' embeddings."""
        if not self.task.tokens:
            return inputs
        if self.embedding is None:
            return F.one_hot(inputs, self.task.input_size).to(self.weight_hy.dtype)
        if self.trials:
            of = torch.arange(len(self.embedding), device=inputs.device).unsqueeze(-1)
            embedded = self.embedding[of, inputs]
        else:
            embedded = F.embedding(inputs, self.embedding)
        return self.scale * embedded if self.scale != 1 else embedded

    def readout(
        self, hidden: Float[Tensor, "scored *trial batch hidden"]
    ) -> Float[Tensor, "scored *trial batch output"]:
        """y = W_hy h + b_y."""
        return affine(hidden, self.weight_hy, self.bias_y)

    def score(
        self, outputs: Float[Tensor, "scored *trial batch output"], targets: Tensor
    ) -> Float[Tensor, "scored *trial batch"]:
        """The loss of every scored step and sequence."""
        if not self.trials:
            return self.task.score(outputs, targets)
        losses = self.task.score(outputs.flatten(1, 2), targets.flatten(1, 2))
        return losses.unflatten(1, outputs.shape[1:3])

    def forward(self, batch: Batch) -> Float[Tensor, "scored *trial batch output"]:
        """The outputs at the batch's scored steps, from s_0 = 0."""
        state = self.initial_state(batch)
        hidden, _ = self.stack.outputs(self.embed(batch.inputs), state)
        return self.readout(batch.scored(hidden))

    def trace(
        self,
        batch: Batch,
        *,
        state: Float[Tensor, "batch state"] | None = None,
        tbptt: tuple[int, int] | None = None,
        update: Update | None = None,
        train_step: int = 0,
    ) -> Trace:
        """Unroll over a batch, keep every state, and compute the losses from those states.

        Args:
            batch: the sequences.
            state: the state to begin in; None is s_0 = 0.
            tbptt: (length, stride) of the training's truncation, kept in the trace.
            update: gradients of the training's step, kept in the trace.
            train_step: optimiser steps taken before, kept in the trace.
        """
        with torch.no_grad():
            inputs = self.embed(batch.inputs)
            start = self.stack.initial_state(inputs.shape[1]) if state is None else state
            states = self.stack.scan(inputs, start)
        states.requires_grad_()
        scored = (batch.steps + 1).to(states.device)
        outputs = self.readout(self.stack.hidden(states[scored]))
        losses = self.task.score(outputs, batch.targets)
        return Trace(
            self.stack,
            inputs,
            states,
            losses / losses.numel(),
            scored,
            tbptt=tbptt,
            update=update,
            train_step=train_step,
            text=self._text(batch),
        )

    def _text(self, batch: Batch) -> tuple[tuple[str, ...], ...] | None:
        """The symbols that each sequence reads, and the symbol that its last step asks for."""
        symbols = self.task.alphabet
        if symbols is None:
            return None
        tokens = torch.cat((batch.inputs, batch.targets[-1:])).T.tolist()
        return tuple(tuple(symbols[token] for token in sequence) for sequence in tokens)


def _check_tied(task: Task, embedding_size: int, hidden_size: int) -> None:
    if task.tokens and (task.input_size, embedding_size) == (task.output_size, hidden_size):
        return
    raise GradscopeError(
        "embedding 'tied' reads out with the embedding's own weights, so the task's inputs and "
        "outputs should be the same tokens and embedding_size the cell's hidden_size: got "
        f"{task.input_size} and {task.output_size} tokens, {embedding_size} and {hidden_size}"
    )


def embedding_size(settings: Settings) -> int:
    """Length of a token's embedding, where the experiment has one."""
    tied = settings.model.embedding == "tied"
    default = settings.cell.hidden_size if tied else _EMBEDDING_SIZE
    return settings.model.embedding_size or default


def input_size(settings: Settings) -> int:
    """Length of the vectors that the first layer reads."""
    embedded = settings.task.tokens and settings.model.embedding != "one_hot"
    return embedding_size(settings) if embedded else settings.task.input_size


def build(
    settings: Settings, *, generator: Generator, device: str | torch.device = "cpu"
) -> SequenceModel:
    """The model that a trial's settings describe, its weights drawn from ``generator``'s branches.

    Weights are drawn on the CPU and then moved, so that a seed gives the same weights on every
    device.

    Args:
        settings: of the trial.
        generator: the root of the generators of weights; ``seeding.weights(seed)`` for a training.
        device: where the model is to be.

    Raises:
        GradscopeError: for settings that do not fit each other.
    """
    task, cell, dtype = settings.task, settings.cell, getattr(torch, settings.dtype)
    size = input_size(settings)
    cells: list[Cell] = []
    for layer in range(settings.model.layers):
        kind, place = cell.identity[0], f"layer {layer}"
        source = seeding.branch(generator, place, kind, size, cell.hidden_size)
        cells.append(cell.build(size, generator=source, dtype=dtype))
        size = cells[-1].hidden_size
    model = SequenceModel(
        task,
        cells,
        embedding=settings.model.embedding,
        embedding_size=embedding_size(settings),
        init=INITS.make(cell.readout_init),
        generator=generator,
        dtype=dtype,
    )
    return model.to(device)
