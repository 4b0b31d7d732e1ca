"""What the influence profile says where the answer is known, and of small language models.

    python -m benchmarks.today.influence [--only copy language cost] [--models LSTM] [--updates 450]

copy: y_t = x_{t-k} of numbers drawn uniformly, learned by a GRU and by one block of attention; the
Temporal Range should be k. language: a character model on the standard library's text, a
transformer and an LSTM, before and after training: which law its influence falls by. cost: a
profile in forward passes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
from collections.abc import Callable

import numpy as np
import torch
from scipy import optimize
from torch import Tensor, nn
from torch.nn import functional as F

import gradscope
from benchmarks.timing import machine, once
from gradscope.tasks.char_lm import CharLM

Influence = gradscope.Influence


class Recurrent(nn.Module):
    """Numbers or tokens in, numbers or logits out, by a recurrence."""

    def __init__(self, read: nn.Module, rnn: nn.RNNBase, out: int):
        super().__init__()
        self.read, self.rnn, self.out = read, rnn, nn.Linear(rnn.hidden_size, out)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.rnn(self.read(x))[0])


class Attending(nn.Module):
    """The same by causal attention, with learned positions."""

    def __init__(self, read: nn.Module, out: int, *, width: int, layers: int, time: int):
        super().__init__()
        self.read, self.where = read, nn.Embedding(time, width)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, 4, 4 * width, dropout=0.0, batch_first=True, norm_first=True
            )
            for _ in range(layers)
        )
        self.norm, self.out = nn.LayerNorm(width), nn.Linear(width, out)

    def forward(self, x: Tensor) -> Tensor:
        time = x.shape[1]
        mask = torch.ones(time, time).triu(1).bool()
        h = self.read(x) + self.where.weight[:time]
        for block in self.blocks:
            h = block(h, mask, is_causal=True)
        return self.out(self.norm(h))


def trained(
    model: nn.Module, loss_of: Callable[[nn.Module], Tensor], updates: int, lr: float
) -> float:
    """Train by Adam at one cycle of the rate; the mean loss of the last tenth."""
    optimizer = torch.optim.Adam(model.parameters(), lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, updates)
    losses = []
    for _ in range(updates):
        loss = loss_of(model)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
    return float(np.mean(losses[-max(1, updates // 10) :]))


# --- copying --------------------------------------------------------------------------------------


def copy() -> None:
    print("\n| model | k | loss | before | Temporal Range | over k | effective context |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, k, updates in (
        ("GRU", 2, 600),
        ("GRU", 4, 1000),
        ("GRU", 8, 2000),
        ("attention", 4, 1500),
        ("attention", 12, 1500),
    ):
        torch.manual_seed(0)
        time = max(24, 3 * k)
        if kind == "GRU":
            model, rate = Recurrent(nn.Identity(), nn.GRU(1, 48, batch_first=True), 1), 1e-2
        else:
            model, rate = Attending(nn.Linear(1, 32), 1, width=32, layers=1, time=time), 3e-3

        def loss_of(model: nn.Module, k: int = k, time: int = time) -> Tensor:
            x = 2 * torch.rand(64, time, 1) - 1
            return F.mse_loss(model(x)[:, k:], x[:, :-k])

        x = 2 * torch.rand(16, time, 1) - 1
        before = gradscope.influence(model, x)
        loss = trained(model, loss_of, updates, rate)
        found = gradscope.influence(model, x)
        print(
            f"| {kind} | {k} | {loss:.1e} | {before.temporal_range} | {found.temporal_range} | "
            f"{found.temporal_range.lag / k:.3f} | {found.effective_context} |",
            flush=True,
        )


# --- language -------------------------------------------------------------------------------------


def windows(text: Tensor, count: int, time: int, generator: torch.Generator) -> Tensor:
    """Stretches of a text, from random places on."""
    starts = torch.randint(len(text) - time, (count,), generator=generator)
    return torch.stack([text[start : start + time] for start in starts.tolist()])


def language(kinds: list[str], updates: int, time: int) -> None:
    """A character model of each kind, before and after training, on held-out text."""
    text = CharLM(length=time).text()
    symbols, generator = len(text.symbols), torch.Generator().manual_seed(0)
    held_out = windows(text.test, 16, time, generator)
    shuffled = held_out[:, torch.randperm(time, generator=generator)]
    print(f"\n{symbols} characters, {time} in a window, {updates} updates of 16 windows")
    print("\n| model | loss | influence | law from lag 1 on | p by the paper's form |")
    print("| --- | ---: | --- | --- | ---: |")
    for kind in kinds:
        torch.manual_seed(0)
        model = language_model(kind, symbols, time)

        def loss_of(model: nn.Module) -> Tensor:
            x = windows(text.train, 16, time + 1, generator)
            return F.cross_entropy(model(x[:, :-1]).flatten(0, 1), x[:, 1:].flatten())

        with torch.no_grad():
            first = float(F.cross_entropy(model(held_out)[:, :-1].mT, held_out[:, 1:]))
        tell(f"{kind}, random", first, gradscope.influence(model, held_out, positions=24))
        trained(model, loss_of, updates, 2e-3 if kind == "transformer" else 5e-3)
        with torch.no_grad():
            last = float(F.cross_entropy(model(held_out)[:, :-1].mT, held_out[:, 1:]))
        found = gradscope.influence(model, held_out, positions=24, layers=kind == "transformer")
        tell(f"{kind}, trained", last, found)
        tell(f"{kind}, shuffled text", np.nan, gradscope.influence(model, shuffled, positions=24))
        if found.layers is not None:
            print(found.layers, flush=True)


def language_model(kind: str, symbols: int, time: int) -> nn.Module:
    """A small one of a kind, of some 170,000 weights."""
    if kind == "LSTM":
        rnn = nn.LSTM(64, 160, batch_first=True)
        return Recurrent(nn.Embedding(symbols, 64), rnn, symbols)
    return Attending(nn.Embedding(symbols, 64), symbols, width=64, layers=3, time=time)


def tell(name: str, loss: float, found: Influence) -> None:
    """A row of the table."""
    law = str(found).split("decay")[1].split("memory horizon")[0]
    law = " ".join(law.split())
    reach = f"mean lag {found.temporal_range}, 90% within {found.effective_context}"
    print(f"| {name} | {loss:.3f} | {reach} | {law} | {with_a_floor(found)} |", flush=True)


def with_a_floor(found: Influence) -> str:
    """p of G(r) = gamma + beta (1 + r)^-p, as 2606.29139 fits median norms over that of lag 0."""
    seen = found.profile.seen
    lags, norms = found.lags[seen][1:], np.exp(found.profile.log_medians[seen])
    y = norms[1:] / norms[0]

    def form(lag: np.ndarray, gamma: float, beta: float, p: float) -> np.ndarray:
        return gamma + beta * (1 + lag) ** -p

    bounds = ([0, 0, 0], [np.inf, np.inf, 8])
    (gamma, beta, p), _ = optimize.curve_fit(form, lags, y, (y.min(), y.max(), 1), bounds=bounds)
    share = 1 - np.var(y - form(lags, gamma, beta, p)) / np.var(y)
    return f"{p:.2f} (R² {share:.2f}, floor {gamma / y.max():.2f} of lag 1)"


# --- cost -----------------------------------------------------------------------------------------


def cost() -> None:
    """A profile of a transformer over 128 tokens of 8 examples, in passes of its own."""
    torch.manual_seed(0)
    model, x = language_model("transformer", 100, 128), torch.randint(0, 100, (8, 128))

    def step() -> None:
        model.zero_grad()
        model(x).square().mean().backward()

    for function in (step, lambda: gradscope.influence(model, x)):
        function()
    passes = np.median([once(step) for _ in range(5)])
    whole = np.median([once(lambda: gradscope.influence(model, x)) for _ in range(3)])
    print(
        f"\na training step's passes {1e3 * passes:.0f} ms; a profile (12 outputs, 2 cotangents) "
        f"{whole:.2f} s, {whole / passes:.1f} times as much"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = ("copy", "language", "cost")
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts))
    kinds = ("transformer", "LSTM")
    parser.add_argument("--models", nargs="+", choices=kinds, default=list(kinds))
    parser.add_argument("--updates", type=int, default=450, help="of a language model")
    parser.add_argument("--time", type=int, default=128, help="characters in a window")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    if "copy" in options.only:
        copy()
    if "language" in options.only:
        language(options.models, options.updates, options.time)
    if "cost" in options.only:
        cost()


if __name__ == "__main__":
    main()
