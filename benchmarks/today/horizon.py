"""How far gradients through simulators tell the truth: Lorenz, a double pendulum, a damped one.

    python -m benchmarks.today.horizon [--starts 1000] [--out FOLDER]

Each is a step by the classical Runge-Kutta method, in float64, from starts that have settled; signs
are held against central differences of as many starts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

import gradscope
from benchmarks.timing import machine, once

Flow = Callable[[Tensor], Tensor]


def runge_kutta(flow: Flow, dt: float) -> Flow:
    """One step of the classical method, of order 4."""

    def step(s: Tensor) -> Tensor:
        first = flow(s)
        second = flow(s + dt / 2 * first)
        third = flow(s + dt / 2 * second)
        fourth = flow(s + dt * third)
        return s + dt / 6 * (first + 2 * second + 2 * third + fourth)

    return step


def lorenz(s: Tensor) -> Tensor:
    """sigma 10, rho 28, beta 8/3."""
    x, y, z = s.unbind(-1)
    return torch.stack((10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z), dim=-1)


def double_pendulum(s: Tensor) -> Tensor:
    """Two unit masses on two unit rods, g = 9.81; angles from the vertical, and their rates."""
    a, b, u, v = s.unbind(-1)
    sine, cosine = (a - b).sin(), (a - b).cos()
    below = 2 - cosine**2
    du = (-(u**2) * sine * cosine + 9.81 * (b.sin() * cosine - 2 * a.sin()) - v**2 * sine) / below
    dv = (v**2 * sine * cosine + 2 * (9.81 * (a.sin() * cosine - b.sin()) + u**2 * sine)) / below
    return torch.stack((u, v, du, dv), dim=-1)


def damped_pendulum(s: Tensor) -> Tensor:
    """Friction 0.5: small swings shrink by e in 4 units of time."""
    angle, rate = s.unbind(-1)
    return torch.stack((rate, -angle.sin() - 0.5 * rate), dim=-1)


def settled(step: Flow, start: Tensor, steps: int) -> Tensor:
    with torch.no_grad():
        for _ in range(steps):
            start = step(start)
    return start


def starts_of(name: str, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(count, 4, dtype=torch.float64, generator=generator)
    if name == "Lorenz":
        return drawn[:, :3] + torch.tensor([0.0, 0.0, 25.0])
    if name == "double pendulum":  # let go at rest, both rods pointing up rather than down
        return torch.cat((2.6 + 0.3 * drawn[:, :2], torch.zeros_like(drawn[:, 2:])), -1)
    return drawn[:, :2]


def run(name: str, flow: Flow, dt: float, time: int, starts: int, out: Path | None) -> None:
    step = runge_kutta(flow, dt)
    start = settled(step, starts_of(name, starts), 1000 if name == "Lorenz" else 0)
    found: list[gradscope.GradientHorizon] = []
    seconds = once(lambda: found.append(gradscope.horizon(step, start, time)))
    result = found[0]
    print(f"\n## {name}, dt = {dt}, {seconds:.0f} s\n\n{result}")
    rate = result.lyapunov_exponent
    print(
        f"  exponent per unit of time: {rate.centre / dt:.4f} "
        f"({rate.low / dt:.4f} to {rate.high / dt:.4f})"
    )
    frame = result.to_frame()
    columns = ["horizon", "log_norm", "sign_agreement", "local_agreement", "log_variance"]
    print(
        frame[frame["horizon"].isin([1, 10, 100, 200, 316, 501, 794, 1000, 1259, time])][
            columns
        ].to_string(index=False)
    )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        result.plot().savefig(out / f"{name.replace(' ', '_')}.png")


def forward(dt: float = 0.01) -> None:
    """The exponents of the Lorenz system by tangents, which share nothing with the above."""
    step = runge_kutta(lorenz, dt)
    start = settled(step, starts_of("Lorenz", 100), 1000)
    found = gradscope.lyapunov_exponents(step, start, 10_000, k=3)
    low, high = (found.intervals / dt).unbind(-1)
    for value, a, b in zip(found.exponents / dt, low, high, strict=True):
        print(f"  {value:.4f} ({a:.4f} to {b:.4f})")


#: system: its flow, step in units of time, and steps
SYSTEMS: dict[str, tuple[Flow, float, int]] = {
    "Lorenz": (lorenz, 0.01, 2000),
    "double pendulum": (double_pendulum, 0.01, 2000),
    "damped pendulum": (damped_pendulum, 0.05, 1000),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--starts", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--only", choices=[*SYSTEMS, "tangents"], default=None)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(machine())
    for name, (flow, dt, time) in SYSTEMS.items():
        if arguments.only in (None, name):
            run(name, flow, dt, time, arguments.starts, arguments.out)
    if arguments.only in (None, "tangents"):
        print("\n## Lorenz by tangents, 100 starts of 10,000 steps; published .9056, 0, -14.5723\n")
        forward()


if __name__ == "__main__":
    main()
