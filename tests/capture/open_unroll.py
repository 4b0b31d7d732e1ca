"""torch's recurrences written down plainly, every state a tensor of its own: a slow twin."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...] | Tensor
#: (suffix, sequence) -> its states s_0 ... s_n in the order in which they are made
Chains = dict[tuple[str, int], list[Tensor]]


def open_step(
    rnn: nn.RNNBase, weights: Mapping[str, Tensor], suffix: str, x: Tensor, s: Tensor
) -> Tensor:
    """One step of torch's equations."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    weight = {name: weights.get(f"{name}_{suffix}") for name in names}
    shown = rnn.proj_size or rnn.hidden_size
    u = nn.functional.linear(x, weight["weight_ih"], weight["bias_ih"])
    v = nn.functional.linear(s[:, :shown], weight["weight_hh"], weight["bias_hh"])
    if isinstance(rnn, nn.LSTM):
        i, f, g, o = (u + v).chunk(4, 1)
        c = f.sigmoid() * s[:, shown:] + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
        return torch.cat((h if weight["weight_hr"] is None else h @ weight["weight_hr"].T, c), 1)
    if isinstance(rnn, nn.GRU):
        (r, z, n), (a, b, m) = u.chunk(3, 1), v.chunk(3, 1)
        r, z = (r + a).sigmoid(), (z + b).sigmoid()
        return (1 - z) * (n + r * m).tanh() + z * s
    return (u + v).tanh() if rnn.nonlinearity == "tanh" else (u + v).relu()


def open_unroll(
    rnn: nn.RNNBase, x: Tensor, start: State, lengths: list[int]
) -> tuple[Tensor, State, Chains]:
    """(output, last states, states of every layer, direction and sequence)."""
    weights = dict(rnn.named_parameters())
    shown = rnn.proj_size or rnn.hidden_size
    parts = start if isinstance(start, tuple) else (start,)
    below = [[x[t, b : b + 1] for t in range(length)] for b, length in enumerate(lengths)]
    chains: Chains = {}
    lasts: list[Tensor] = []
    for layer in range(rnn.num_layers):
        above: list[list[list[Tensor]]] = [[[] for _ in range(length)] for length in lengths]
        for direction in ("", "_reverse") if rnn.bidirectional else ("",):
            suffix, ends = f"l{layer}{direction}", []
            for b, length in enumerate(lengths):
                initial = [part[len(lasts), b : b + 1] for part in parts]
                chain = [torch.cat(initial, 1).requires_grad_()]
                for t in reversed(range(length)) if direction else range(length):
                    chain.append(open_step(rnn, weights, suffix, below[b][t], chain[-1]))
                    chain[-1].retain_grad()
                    above[b][t].append(chain[-1][:, :shown])
                chains[suffix, b] = chain
                ends.append(chain[-1])
            lasts.append(torch.cat(ends))
        below = [[torch.cat(shown_at, 1) for shown_at in sequence] for sequence in above]
    last = torch.stack(lasts)
    if isinstance(rnn, nn.LSTM):
        return _padded(below), (last[..., :shown], last[..., shown:]), chains
    return _padded(below), last, chains


def _padded(sequences: list[list[Tensor]]) -> Tensor:
    """(time, batch, size), zero beyond each sequence's end."""
    zero = torch.zeros_like(sequences[0][0])
    steps = range(max(map(len, sequences)))
    rows = [[part[t] if t < len(part) else zero for part in sequences] for t in steps]
    return torch.stack([torch.cat(row) for row in rows])
