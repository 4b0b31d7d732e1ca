"""What attaching costs: a training step recorded, against the step alone, beside torchlens and
plain hooks.

    python -m benchmarks.attaching [--device cuda] [--repeats 15]

The model: nn.LSTM of two layers, 256 units, time 200, batch 32, 64 inputs, a loss at every step.
Each row is a training step (forward, backward, Adam) with something recorded in it, over the same
step alone, called in turn. Plain hooks keep the output and its gradient, by register_forward_hook
and register_hook: nothing within the module. torchlens records its own way.
"""

from __future__ import annotations

import argparse
import warnings

import torch
from torch import nn

import gradscope
from benchmarks.timing import compare, machine, once

TIME, BATCH, INPUT, HIDDEN = 200, 32, 64, 256


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.out = nn.LSTM(INPUT, HIDDEN, 2), nn.Linear(HIDDEN, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.lstm(x)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Model().to(options.device)
    x, y = (
        torch.randn(TIME, BATCH, INPUT).to(options.device),
        torch.randint(10, (TIME * BATCH,)).to(options.device),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x).flatten(0, 1), y).backward()
        optimizer.step()

    def recorded(scope: gradscope.Scope):
        def run() -> None:
            with scope.record():
                step()

        return run

    kept: list[torch.Tensor] = []

    def hooked() -> None:
        kept.clear()

        def keep(module: nn.Module, args: object, output: tuple) -> None:
            kept.append(output[0].detach().clone())
            output[0].register_hook(lambda g: kept.append(g.detach().clone()))

        handle = model.lstm.register_forward_hook(keep)
        step()
        handle.remove()

    rows = {
        "gradscope, all sequences": recorded(gradscope.attach(model)),
        "gradscope, 8 sequences": recorded(gradscope.attach(model, sequences=8)),
        "plain hooks": hooked,
    }
    if lens := _torchlens(model, x, y, optimizer):
        rows["torchlens"] = lens
    print(f"{machine(options.device)}\n")
    print(
        "| recorded | step alone (ms) | recorded step (ms) | ratio |\n| --- | ---: | ---: | ---: |"
    )
    for name, run in rows.items():
        found = compare(run, step, options.repeats, options.device)
        print(f"| {name} | {found['b_ms']:.0f} | {found['a_ms']:.0f} | {found['ratio']:.2f} |")
    scope = gradscope.attach(model)

    def every() -> None:
        with scope.every(100):
            step()

    blocks = 200
    plain = spaced = 0.0
    for _ in range(blocks // 50):  # in turn, so that a machine that slows down does so for both
        plain += sum(once(step, options.device) for _ in range(50))
        spaced += sum(once(every, options.device) for _ in range(50))
    print(
        f"| gradscope, every 100th step | {1e3 * plain / blocks:.0f} | {1e3 * spaced / blocks:.0f}"
        f" | {spaced / plain:.3f} |"
    )


def _torchlens(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, optimizer: torch.optim.Optimizer
):
    """A step within torchlens' trace of the forward and backward pass; None where it is not
    installed.
    """
    try:
        import torchlens
    except ImportError:
        return None

    def run() -> None:
        optimizer.zero_grad()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            trace = torchlens.trace(model, x)
            output = trace[trace.output_layers[0]].out
            trace.log_backward(nn.functional.cross_entropy(output.flatten(0, 1), y))
        optimizer.step()

    return run


if __name__ == "__main__":
    main()
