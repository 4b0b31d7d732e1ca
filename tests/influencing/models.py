"""Models whose influence is known in closed form, and small ones of every kind."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class LinearRNN(nn.Module):
    """h_t = W h_{t-1} + U x_t, put out as it is."""

    def __init__(self, w: Tensor, u: Tensor):
        super().__init__()
        self.w, self.u = nn.Parameter(w), nn.Parameter(u)

    def forward(self, x: Tensor) -> Tensor:
        h, out = x.new_zeros(len(x), len(self.w)), []
        for step in x.unbind(1):
            h = h @ self.w.T + step @ self.u.T
            out.append(h)
        return torch.stack(out, 1)


class Fir(nn.Module):
    """y_t = sum_l c_l x_{t-l}."""

    def __init__(self, coefficients: Tensor):
        super().__init__()
        self.coefficients = nn.Parameter(coefficients)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, 0, len(self.coefficients) - 1, 0))
        return torch.einsum("btdl,l->btd", padded.unfold(1, len(self.coefficients), 1),
                            self.coefficients.flip(0))  # fmt: skip


class Averaging(nn.Module):
    """Attention of equal weights to all inputs so far."""

    def forward(self, x: Tensor) -> Tensor:
        return x.cumsum(1) / torch.arange(1, x.shape[1] + 1, dtype=x.dtype)[:, None]


class Attention(nn.Module):
    """Tokens (or vectors), two blocks of attention, and logits; causal or not."""

    def __init__(self, *, tokens: int = 11, width: int = 16, causal: bool = True):
        super().__init__()
        self.embed, self.where = nn.Embedding(tokens, width), nn.Embedding(64, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(width, 2, 24, dropout=0.5, batch_first=True)
            for _ in range(2)
        )
        self.out, self.causal = nn.Linear(width, tokens), causal

    def forward(self, ids: Tensor, padding: Tensor | None = None) -> Tensor:
        time, read = ids.shape[1], ids if ids.is_floating_point() else self.embed(ids)
        x = read + self.where(torch.arange(time)[None])
        future = torch.ones(time, time).triu(1).bool() if self.causal else None
        for block in self.blocks:
            x = block(x, future, padding)
        return self.out(x)


class Tagger(nn.Module):
    """Tokens, a recurrence, and logits; time first or batch first."""

    def __init__(self, *, tokens: int = 11, batch_first: bool = True):
        super().__init__()
        self.embed = nn.Embedding(tokens, 6)
        self.rnn = nn.GRU(6, 9, batch_first=batch_first)
        self.drop, self.out = nn.Dropout(0.5), nn.Linear(9, tokens)

    def forward(self, ids: Tensor) -> Tensor:
        return self.out(self.drop(self.rnn(self.embed(ids))[0]))


class Classifier(nn.Module):
    """One answer for each example, read at the last step, or from the mean of the embeddings."""

    def __init__(self, *, bag: bool = False):
        super().__init__()
        self.embed, self.rnn, self.bag = nn.Embedding(11, 6), nn.GRU(6, 6, batch_first=True), bag
        self.out = nn.Linear(6, 3)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids)
        return self.out(x.mean(1) if self.bag else self.rnn(x)[0][:, -1])


class Answer(NamedTuple):
    """What a model of a package returns."""

    loss: Tensor | None
    logits: Tensor


def rotation(size: int, gain: float) -> Tensor:
    """A matrix that all singular values of are a gain."""
    return gain * torch.linalg.qr(torch.randn(size, size, dtype=torch.float64))[0]
