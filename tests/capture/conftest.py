"""What the tests of capture share: a recorded block without probes, and torch's modules in it."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gradscope.capture import Attachment, Depth, Loops, Recorder, Recording, Steps
from gradscope.dynamics import Trace

TIME, BATCH, INPUT, HIDDEN = 7, 4, 3, 5


def recorded(
    model: nn.Module,
    steps: Steps = (),
    depth: Depth = False,
    sequences: int | None = None,
    loops: Loops = True,
) -> AbstractContextManager[Recording]:
    """A recorded block of a model, of which nothing is measured."""
    return Recorder(model, Attachment.of(model, steps, depth, sequences, loops)).block(0)


def loop_of(model: nn.Module, x: Tensor) -> tuple[str, Trace, Recording]:
    """The one trace of a recorded block of a model that gives a loss, and its name."""
    torch.manual_seed(5)
    with recorded(model) as recording:
        model(x).backward()
    ((name, trace),) = recording.traces.items()
    return name, trace, recording


def rnn_of(
    kind: str,
    layers: int = 1,
    bidirectional: bool = False,
    batch_first: bool = False,
    dropout: float = 0.0,
    bias: bool = True,
) -> nn.RNNBase:
    """One of torch's modules in float64; ``projected`` is an LSTM with a projection."""
    torch.manual_seed(0)
    common = {
        "num_layers": layers,
        "bidirectional": bidirectional,
        "batch_first": batch_first,
        "dropout": dropout,
        "dtype": torch.float64,
        "bias": bias,
    }
    if kind == "projected":
        return nn.LSTM(INPUT, HIDDEN, proj_size=2, **common)
    if kind in ("tanh", "relu"):
        return nn.RNN(INPUT, HIDDEN, nonlinearity=kind, **common)
    return {"lstm": nn.LSTM, "gru": nn.GRU}[kind](INPUT, HIDDEN, **common)


def start_of(rnn: nn.RNNBase, seed: int = 3) -> tuple[Tensor, Tensor] | Tensor:
    """A drawn initial state for such a module."""
    torch.manual_seed(seed)
    count = rnn.num_layers * (2 if rnn.bidirectional else 1)
    h = torch.randn(count, BATCH, rnn.proj_size or HIDDEN, dtype=torch.float64)
    if not isinstance(rnn, nn.LSTM):
        return h
    return h, torch.randn(count, BATCH, HIDDEN, dtype=torch.float64)


def loss_of(output: Tensor, last: tuple[Tensor, ...] | Tensor) -> Tensor:
    """A loss that hears every output, and the last states of every layer and direction."""
    weight = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).reshape(output.shape)
    parts = last if isinstance(last, tuple) else (last,)
    of_last = (index * part.square().sum() for index, part in enumerate(parts, 2))
    return (output * weight).sin().sum() + sum(of_last)


class Scored(nn.Module):
    """A module and that loss."""

    def __init__(
        self,
        rnn: nn.RNNBase,
        lengths: Tensor | None = None,
        start: tuple[Tensor, Tensor] | Tensor | None = None,
    ):
        super().__init__()
        self.rnn, self.lengths, self.start = rnn, lengths, start

    def forward(self, x: Tensor) -> Tensor:
        first = self.rnn.batch_first
        if self.lengths is None:
            output, last = self.rnn(x, self.start)
        else:
            packed = pack_padded_sequence(x, self.lengths, batch_first=first, enforce_sorted=False)
            output, last = self.rnn(packed, self.start)
            output = pad_packed_sequence(output, batch_first=first)[0]
        return loss_of(output.transpose(0, 1) if first else output, last)
