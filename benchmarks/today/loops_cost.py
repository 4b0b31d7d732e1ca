"""What looking for loops costs where there is none: CPU time of a recorded training step with and
without it.

    python -m benchmarks.today.loops_cost

The model: an nn.LSTM between two residual stacks of six blocks, width 128, time 50, batch 32.
Process time, medians of 7 runs in turn.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

import gradscope
from benchmarks.timing import machine

TIME, BATCH, WIDTH = 50, 32, 128


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        blocks = [
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.GELU())
            for _ in range(12)
        ]
        self.blocks, self.lstm = nn.ModuleList(blocks), nn.LSTM(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks[:6]:
            x = x + block(x)
        x, _ = self.lstm(x)
        for block in self.blocks[6:]:
            x = x + block(x)
        return x.square().mean()


def taken(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(machine("cpu"))
    model, x = Stacked(), torch.randn(TIME, BATCH, WIDTH)

    def step() -> None:
        model.zero_grad()
        model(x).backward()

    def recorded(scope: gradscope.Scope) -> None:
        with scope.record():
            step()

    looking, without = gradscope.attach(model), gradscope.attach(model, loops=False)
    pairs = [
        (taken(lambda: recorded(looking)), taken(lambda: recorded(without)), taken(step))
        for _ in range(8)
    ][1:]
    a, b, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other, _ in pairs)
    print(
        f"a step {1e3 * plain:.0f} ms, recorded {1e3 * b:.0f} ms, looking for loops {1e3 * a:.0f} "
        f"ms (ratio {ratio:.3f})"
    )


if __name__ == "__main__":
    main()
