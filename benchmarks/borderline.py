"""Where a diagnosis turns: illnesses planted from weak to strong, against what plain torch finds of
the same model.

    python -m benchmarks.borderline [--seeds 10]

A series strengthens one cause step by step. At each step stands in how many of the seeds the
finding is made, and in how many it is true by its own definition, computed with torch alone: states
kept in a loop in float64, torch.autograd for gradients, two neighbouring trajectories for chaos.
"""

from __future__ import annotations

import argparse
import copy
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.planted import (
    HIDDEN,
    INPUT,
    Reader,
    data,
    gates,
    gaussian,
    loss_of,
    lstm,
    recorded,
    recurrent,
)

Truth = Callable[[Reader, Tensor, Tensor], bool]


@dataclass(frozen=True)
class Series:
    """One illness at several strengths.

    Attributes:
        finding: which is looked for.
        cause: what is strengthened.
        doses: weak to strong.
        make: the recurrent module at a dose.
        true: whether a model has the illness.
        inputs: what the data are turned into.
        recorded: options of the recording at a dose.
    """

    finding: str
    cause: str
    doses: Sequence[float]
    make: Callable[[float], nn.RNNBase]
    true: Truth
    inputs: Callable[[Tensor], Tensor] = lambda x: x
    recorded: Callable[[float], dict[str, Any]] = lambda dose: {}


# --- the truth, by torch alone --------------------------------------------------------------------


def walked(model: Reader, x: Tensor) -> list[tuple[Tensor, ...]]:
    """The states (h, c) or (h,) from s_0 on, one call of the module for each step."""
    rnn: Any = model.rnn
    shape, kinds = (
        (rnn.num_layers, x.shape[1], rnn.hidden_size),
        2 if isinstance(rnn, nn.LSTM) else 1,
    )
    state = tuple(torch.zeros(shape, dtype=x.dtype, requires_grad=True) for _ in range(kinds))
    states = [state]
    for each in x:
        after = rnn(each[None], state if len(state) > 1 else state[0])[1]
        state = after if isinstance(after, tuple) else (after,)
        states.append(state)
    return states


def fall(model: Reader, x: Tensor, y: Tensor) -> Tensor:
    """ln ||dL/ds_{T-lag}|| - ln ||dL/ds_T|| at lag 0, 1, ..., T, median over the sequences."""
    states = walked(model, x)
    loss, every = (
        loss_of(model.out(states[-1][0][0]), y),
        [part for state in states for part in state],
    )
    found = torch.autograd.grad(loss, every, materialize_grads=True, allow_unused=True)
    parts = len(states[0])
    norms = torch.stack(
        [
            torch.cat(found[t * parts : (t + 1) * parts], -1)[0].norm(dim=-1)
            for t in range(len(states) - 1, -1, -1)
        ]
    )
    return (
        (norms / norms[0]).log().nanmedian(dim=1).values
    )  # a sequence that is right already sends nothing: 0 / 0


def vanishes(model: Reader, x: Tensor, y: Tensor) -> bool:
    curve = fall(model, x, y)
    return bool(curve[-1] < -math.log(1e3))


def explodes(model: Reader, x: Tensor, y: Tensor) -> bool:
    return bool(fall(model, x, y).max() >= math.log(1e3))


def parts(model: Reader, x: Tensor, y: Tensor, steps: int = 4000, small: float = 1e-8) -> bool:
    """lambda_1 > 0 over a long run on inputs like these, and large enough for neighbours to part
    tenfold on such a sequence; by two trajectories, pulled together again after every step."""
    with torch.no_grad():
        long = x.flatten(0, 1)[
            torch.randint(
                x.shape[0] * x.shape[1], (steps,), generator=torch.Generator().manual_seed(0)
            )
        ]
        h = torch.zeros(1, 1, model.rnn.hidden_size, dtype=x.dtype)
        near, grown = torch.full_like(h, small / model.rnn.hidden_size**0.5), 0.0
        for t, each in enumerate(long):
            pair = model.rnn(each.expand(1, 2, -1).contiguous(), torch.cat((h, h + near), 1))[1]
            h, near = pair[:, :1], pair[:, 1:] - pair[:, :1]
            size = float(near.norm())
            if size < 1e-300:
                return False
            grown += math.log(size / small) if t >= steps // 10 else 0.0
            near = near * (small / size)
    return grown / (steps - steps // 10) * len(x) > math.log(10)


def unheard(model: Reader, x: Tensor, y: Tensor) -> bool:
    x = x.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss_of(model(x)[0], y), x)
    norms = found.norm(dim=-1)
    curve = (norms / norms.amax(0)).nanmedian(dim=1).values
    return float((torch.cumsum((curve > 1e-3).int(), 0) == 0).double().mean()) >= 0.25


def shut(model: Reader, x: Tensor, y: Tensor) -> bool:
    rnn: Any = model.rnn
    states = walked(model, x)
    before = torch.stack([state[0][0] for state in states[:-1]])
    u = nn.functional.linear(x, rnn.weight_ih_l0, rnn.bias_ih_l0) + nn.functional.linear(
        before, rnn.weight_hh_l0, rnn.bias_hh_l0
    )
    return float(torch.sigmoid(u[..., HIDDEN : 2 * HIDDEN]).mean()) < 0.15


def flat(model: Reader, x: Tensor, y: Tensor) -> bool:
    h = model.rnn(x)[0]
    return float((1 - h * h <= 0.1).double().mean()) > 0.6


def dead(model: Reader, x: Tensor, y: Tensor) -> bool:
    h = model.rnn(x)[0]
    return float((h <= 0).flatten(0, 1).all(0).double().mean()) >= 0.3


# --- the series -----------------------------------------------------------------------------------


def biased(bias: float) -> nn.RNNBase:
    return lstm(bias)


def tanh(gain: float) -> nn.RNNBase:
    return recurrent(nn.RNN(INPUT, HIDDEN), gaussian(gain))


def relu(gain: float) -> nn.RNNBase:
    return recurrent(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), gaussian(gain))


def shutting(bias: float) -> nn.RNNBase:
    module = lstm()
    gates(module, f=bias)
    return module


def larger(factor: float) -> nn.RNNBase:
    module = nn.RNN(INPUT, HIDDEN)
    for parameter in module.parameters():
        parameter.data.mul_(factor)
    return module


def dying(share: float) -> nn.RNNBase:
    module = recurrent(nn.RNN(INPUT, HIDDEN, nonlinearity="relu"), torch.eye)
    module.bias_ih_l0.data[: round(share * HIDDEN)] = -100.0
    return module


SERIES = [
    Series(
        "vanishing", "LSTM, forget bias", (3.5, 3, 2.5, 2.25, 2, 1.75, 1.5, 1, 0), biased, vanishes
    ),
    Series(
        "vanishing",
        "tanh, gain of W_hh",
        (1.6, 1.4, 1.3, 1.2, 1.1, 1.0, 0.9, 0.7),
        tanh,
        vanishes,
        lambda x: 0.1 * x,
    ),
    Series(
        "exploding",
        "ReLU, gain of W_hh",
        (1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 2, 2.5),
        relu,
        explodes,
    ),
    Series(
        "chaotic",
        "tanh, gain of W_hh",
        (0.8, 1.0, 1.1, 1.2, 1.3, 1.5, 2, 3),
        tanh,
        parts,
        lambda x: 0.1 * x,
    ),
    Series(
        "unheard_inputs",
        "LSTM, forget bias",
        (3.5, 2.5, 2, 1.75, 1.5, 1.25, 1, 0.5),
        biased,
        unheard,
    ),
    Series(
        "forget_gates_shut", "LSTM, forget bias", (0, -1, -1.5, -1.75, -2, -2.5, -4), shutting, shut
    ),
    Series("saturated_units", "tanh, weights times", (1, 3, 5, 6, 7, 8, 10, 20), larger, flat),
    Series(
        "dead_units", "ReLU, share with bias -100", (0, 0.1, 0.2, 0.25, 0.3, 0.35, 0.5), dying, dead
    ),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(200, 200 + parser.parse_args().seeds)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print(f"{len(seeds)} seeds; in each field: found / true\n")
    both: dict[tuple[bool, bool], int] = dict.fromkeys(
        ((True, True), (True, False), (False, True), (False, False)), 0
    )
    for series in SERIES:
        print(
            f"| {series.finding.replace('_', ' ')}: {series.cause} | "
            + " | ".join(f"{dose:g}" for dose in series.doses)
            + " |"
        )
        print("| --- |" + " ---: |" * len(series.doses))
        fields = []
        for dose in series.doses:
            counts = [_pair(series, dose, seed) for seed in seeds]
            for pair in counts:
                both[pair] += 1
            fields.append(
                f"{sum(found for found, _ in counts)} / {sum(true for _, true in counts)}"
            )
        print("| found / true | " + " | ".join(fields) + " |\n", flush=True)
    true, false = both[True, True] + both[False, True], both[True, False] + both[False, False]
    print(
        f"found in {both[True, True]} of {true} models where it is true, and in {both[True, False]}"
        f" of {false} where it is not"
    )


def _pair(series: Series, dose: float, seed: int) -> tuple[bool, bool]:
    """(found, true)."""
    x, y = data(seed)
    x, model = series.inputs(x), Reader(series.make(dose))
    true = series.true(copy.deepcopy(model).double(), x.double(), y)
    scope = recorded(model, x, y, **series.recorded(dose))
    return series.finding in {finding.name for finding in scope.diagnose().findings}, true


if __name__ == "__main__":
    main()
