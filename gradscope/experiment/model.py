"""The model around the cell: embedding, a stack of cells unrolled, readout."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from gradscope.cells import Cell, Stack
from gradscope.components import registry
from gradscope.components.options import component
from gradscope.dynamics.trace import Trace, Update
from gradscope.errors import GradscopeError
from gradscope.inits import Init
from gradscope.tasks import Batch, Task

if TYPE_CHECKING:
    from gradscope.experiment.schema import Settings


class SequenceModel(nn.Module):
    """x_t (a vector, or a token's embedding) -> s_t = F(x_t, s_{t-1}) -> y_t = W_hy h_t + b_y.

    Readout is computed at scored steps only; softmax is part of the loss.
    """

    def __init__(
        self,
        task: Task,
        cells: list[Cell],
        *,
        embedding: str = "one_hot",
        embedding_size: int = 16,
        init: Init,
        generator: Generator | None = None,
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
            drawn = deviation * torch.randn(
                task.input_size, embedding_size, dtype=torch.float64, generator=generator
            )
            self.embedding = nn.Parameter(drawn.to(dtype))
        if embedding == "tied":
            if not task.tokens or (task.input_size, embedding_size) != (task.output_size, size):
                raise GradscopeError(
                    "embedding 'tied' reads out with the embedding's own weights, so the task's"
                    " inputs and outputs should be the same tokens and embedding_size the cell's"
                    f" hidden_size: got {task.input_size} and {task.output_size} tokens,"
                    f" {embedding_size} and {size}"
                )
            assert self.embedding is not None
            self.weight_hy = self.embedding
        else:
            self.weight_hy = nn.Parameter(
                init.dense(task.output_size, size, bound, generator).to(dtype)
            )
        self.bias_y = nn.Parameter(init.bias(task.output_size, bound, generator).to(dtype))

    def embed(self, inputs: Tensor) -> Float[Tensor, "time batch input"]:
        """Vectors as they are; tokens one-hot, or by the learned embedding, times sqrt(size) where
        it is scaled.
        """
        if not self.task.tokens:
            return inputs
        if self.embedding is None:
            return F.one_hot(inputs, self.task.input_size).to(self.weight_hy.dtype)
        return (
            self.scale * F.embedding(inputs, self.embedding)
            if self.scale != 1
            else F.embedding(inputs, self.embedding)
        )

    def readout(
        self, hidden: Float[Tensor, "scored batch hidden"]
    ) -> Float[Tensor, "scored batch output"]:
        """y = W_hy h + b_y."""
        return F.linear(hidden, self.weight_hy, self.bias_y)

    def forward(self, batch: Batch) -> Float[Tensor, "scored batch output"]:
        """The outputs at the batch's scored steps, from s_0 = 0."""
        hidden, _ = self.stack.outputs(
            self.embed(batch.inputs), self.stack.initial_state(batch.inputs.shape[1])
        )
        return self.readout(hidden[batch.steps])

    def trace(
        self,
        batch: Batch,
        *,
        state: Float[Tensor, "batch state"] | None = None,
        tbptt: tuple[int, int] | None = None,
        update: Update | None = None,
        train_step: int = 0,
    ) -> Trace:
        """One unroll with every state kept, from ``state`` or s_0 = 0, and the losses made from
        those states.
        """
        with torch.no_grad():
            inputs = self.embed(batch.inputs)
            states = self.stack.scan(
                inputs, self.stack.initial_state(inputs.shape[1]) if state is None else state
            )
        states.requires_grad_()
        losses = self.task.score(
            self.readout(self.stack.hidden(states[batch.steps + 1])), batch.targets
        )
        return Trace(
            self.stack,
            inputs,
            states,
            losses / losses.numel(),
            batch.steps + 1,
            tbptt=tbptt,
            update=update,
            train_step=train_step,
            text=self._text(batch),
        )

    def _text(self, batch: Batch) -> tuple[tuple[str, ...], ...] | None:
        """Every sequence's symbols, and the last one's target."""
        symbols = self.task.alphabet
        if symbols is None:
            return None
        whole = torch.cat((batch.inputs, batch.targets[-1:])).T.tolist()
        return tuple(tuple(symbols[token] for token in own) for own in whole)


def build(
    settings: Settings, *, generator: Generator, device: str | torch.device = "cpu"
) -> SequenceModel:
    """The model that a trial's settings describe, its weights drawn from ``generator`` on the CPU."""
    task, options, dtype = settings.task, settings.cell, getattr(torch, settings.dtype)
    init: Any = component("init", getattr(options, "recurrent_init", "uniform"))
    embedding, embedding_size = settings.model.embedding, settings.model.embedding_size
    if embedding == "tied" and embedding_size is None:
        embedding_size = options.hidden_size
    embedding_size = 16 if embedding_size is None else embedding_size
    size = embedding_size if task.tokens and embedding != "one_hot" else task.input_size
    cells: list[Cell] = []
    for _ in range(settings.model.layers):
        cell_class = registry.get("cell", registry.name_of(type(options)))
        chosen = {name: getattr(options, name) for name in type(options).model_fields}
        cells.append(cell_class(size, **chosen, generator=generator, dtype=dtype))
        size = cells[-1].hidden_size
    model = SequenceModel(
        task,
        cells,
        embedding=embedding,
        embedding_size=embedding_size,
        init=init,
        generator=generator,
        dtype=dtype,
    )
    return model.to(device)
