"""torch's own modules, fused and step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from benchmarks.zoo_of_models._entry import BATCH, HIDDEN, INPUT, TIME, Case, entry


def inputs() -> Tensor:
    """A batch, time-major."""
    return torch.randn(TIME, BATCH, INPUT)


def _fused(rnn: nn.RNNBase, names: list[str]) -> Case:
    x = inputs()
    x = x.transpose(0, 1) if rnn.batch_first else x
    return Case(
        nn.ModuleDict({"rnn": rnn}),
        lambda model: model["rnn"](x)[0].square().mean(),
        {f"rnn{name}": TIME for name in names},
    )


@entry("nn.RNN, tanh", "torch")
def rnn_tanh() -> Case:
    return _fused(nn.RNN(INPUT, HIDDEN), [""])


@entry("nn.RNN, ReLU, 3 layers", "torch")
def rnn_relu() -> Case:
    rnn = nn.RNN(INPUT, HIDDEN, num_layers=3, nonlinearity="relu")
    return _fused(rnn, [".l0", ".l1", ".l2"])


@entry("nn.LSTM, bidirectional, dropout", "torch")
def lstm_bidirectional() -> Case:
    rnn = nn.LSTM(INPUT, HIDDEN, num_layers=2, bidirectional=True, dropout=0.3, batch_first=True)
    return _fused(rnn, [".l0", ".l0_reverse", ".l1", ".l1_reverse"])


@entry("nn.LSTM with projections", "torch")
def lstm_projected() -> Case:
    return _fused(nn.LSTM(INPUT, HIDDEN, proj_size=3), [""])


@entry("nn.GRU, packed", "torch")
def gru_packed() -> Case:
    x, lengths = inputs(), torch.tensor([30, 12, 25, 7])

    def loss(model: nn.Module) -> Tensor:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
        return pad_packed_sequence(model.rnn(packed)[0])[0].square().mean()

    model = nn.Module()
    model.rnn = nn.GRU(INPUT, HIDDEN)
    return Case(model, loss, {"rnn": TIME})


class Loop(nn.Module):
    """A cell in a loop, read at the end."""

    def __init__(self, cell: nn.Module):
        super().__init__()
        self.cell, self.out = cell, nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x:
            state = self.cell(step, state)
        return self.out(state[0] if isinstance(state, tuple) else state)


def _loop(cell: nn.Module) -> Case:
    x = inputs()
    return Case(Loop(cell), lambda model: model(x).square().mean(), {"cell": TIME})


@entry("nn.RNNCell in a loop", "torch")
def rnn_cell() -> Case:
    return _loop(nn.RNNCell(INPUT, HIDDEN))


@entry("nn.LSTMCell in a loop", "torch")
def lstm_cell() -> Case:
    return _loop(nn.LSTMCell(INPUT, HIDDEN))


@entry("nn.GRUCell in a loop", "torch")
def gru_cell() -> Case:
    return _loop(nn.GRUCell(INPUT, HIDDEN))


def _in_chunks(rnn: nn.RNNBase, steps: dict[str, int], *, detached: bool, told: str = "") -> Case:
    x = inputs()

    def loss(model: nn.Module) -> Tensor:
        state, total = None, torch.zeros(())
        for part in x.split(10):
            output, state = model["rnn"](part, state)
            if detached:
                state = tuple(tensor.detach() for tensor in state)
            total = total + output.square().mean()
        return total

    return Case(nn.ModuleDict({"rnn": rnn}), loss, steps, told=told)


@entry("nn.GRU handed on in chunks, state kept", "stateful BPTT")
def chunks() -> Case:
    return _in_chunks(nn.GRU(INPUT, HIDDEN), {"rnn": TIME}, detached=False)


@entry("nn.LSTM detached every 10 steps", "Williams and Peng 1990")
def truncated() -> Case:
    steps = {f"rnn ({n})": 10 for n in (1, 2, 3)}
    return _in_chunks(nn.LSTM(INPUT, HIDDEN), steps, detached=True, told="every 10 steps")


@entry("a weight-dropped LSTM, called by .forward()", "Merity et al. 2018, AWD-LSTM")
def weight_dropped() -> Case:
    class WeightDrop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.LSTM(INPUT, HIDDEN)
            raw = self.module.weight_hh_l0
            del self.module._parameters["weight_hh_l0"]
            self.weight_hh_raw = nn.Parameter(raw.detach())

        def forward(self, x: Tensor) -> Tensor:
            dropped = nn.functional.dropout(self.weight_hh_raw, 0.4, self.training)
            self.module.weight_hh_l0 = dropped
            return self.module.forward(x)[0]

    x = inputs()
    loss = lambda model: model(x).square().mean()  # noqa: E731
    return Case(WeightDrop(), loss, {"module": TIME}, own=False)
