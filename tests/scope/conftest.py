"""Models that the scope's tests train."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TIME, BATCH, INPUT, HIDDEN = 12, 4, 3, 8


class Tagger(nn.Module):
    """A label at every step."""

    def __init__(self, rnn: nn.RNNBase):
        super().__init__()
        self.rnn, self.out = rnn, nn.Linear(HIDDEN * (2 if rnn.bidirectional else 1), 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(x)[0])


class Decoder(nn.Module):
    """Reads its hidden state in three ways, so that an order of summation would show."""

    def __init__(self, cell: nn.RNNCellBase):
        super().__init__()
        self.cell, self.a, self.b = cell, nn.Linear(HIDDEN, 2), nn.Linear(HIDDEN, 2)

    def forward(self, x: Tensor) -> Tensor:
        state, outputs = None, []
        for step in x:
            state = self.cell(step, state)
            h = state[0] if isinstance(state, tuple) else state
            outputs.append(self.a(h) * torch.sigmoid(self.b(h)) + h.mean(-1, keepdim=True))
        return torch.stack(outputs)


class Deep(nn.Module):
    """Blocks with dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *[nn.Sequential(nn.Linear(INPUT, INPUT), nn.Tanh(), nn.Dropout(0.2)) for _ in range(3)]
        )
        self.out = nn.Linear(INPUT, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.blocks(x))


MODELS = {
    "LSTM": lambda: Tagger(nn.LSTM(INPUT, HIDDEN, 2, dropout=0.3)),
    "LSTM, both ways, projected": lambda: Tagger(
        nn.LSTM(INPUT, 2 * HIDDEN, 2, bidirectional=True, proj_size=HIDDEN)
    ),
    "GRU": lambda: Tagger(nn.GRU(INPUT, HIDDEN)),
    "RNN": lambda: Tagger(nn.RNN(INPUT, HIDDEN, 2, nonlinearity="relu")),
    "LSTMCell": lambda: Decoder(nn.LSTMCell(INPUT, HIDDEN)),
    "GRUCell": lambda: Decoder(nn.GRUCell(INPUT, HIDDEN)),
    "RNNCell": lambda: Decoder(nn.RNNCell(INPUT, HIDDEN)),
    "depth": Deep,
}


def inputs(time: int = TIME) -> Tensor:
    return torch.randn(time, BATCH, INPUT)


def updated(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """One update, with a clip."""
    optimizer.zero_grad()
    model(inputs()).square().mean().backward()
    nn.utils.clip_grad_norm_(model.parameters(), 0.5)
    optimizer.step()
