"""The unrecorded training step against torch.nn's own for the same cell, side by side, one thread.

    python -m benchmarks.training_step

A step is a forward pass over the sequence, the mean square of the last hidden state as loss, and
backward to every weight. The two are timed in turn, A B A B ..., so that a drift of the machine
touches both; the ratio is the median of the pairs' ratios.
"""

from __future__ import annotations

import argparse
import json

import torch

from benchmarks.timing import compare, machine
from gradscope.cells.gru import GRU
from gradscope.cells.lstm import LSTM
from gradscope.cells.rnn import RNN

SIZES = [(200, 32, 128), (100, 20, 50)]
CELLS = {
    "rnn (tanh)": (RNN, torch.nn.RNN),
    "lstm": (LSTM, torch.nn.LSTM),
    "gru": (GRU, torch.nn.GRU),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for time, batch, hidden in SIZES:
        x = torch.randn(time, batch, 2, device=options.device)
        for name, (ours_class, theirs_class) in CELLS.items():
            theirs = theirs_class(2, hidden).to(options.device)
            ours = ours_class(2, hidden_size=hidden).to(options.device)
            ours.load_state_dict(theirs.state_dict())

            def our_step(ours=ours, x=x, batch=batch):
                ours.zero_grad(set_to_none=True)
                ours.outputs(x, ours.initial_state(batch))[0][-1].square().mean().backward()

            def their_step(theirs=theirs, x=x):
                theirs.zero_grad(set_to_none=True)
                theirs(x)[0][-1].square().mean().backward()

            result = compare(our_step, their_step, options.repeats, options.device)
            rows.append({"cell": name, "time": time, "batch": batch, "hidden": hidden, **result})
    if options.json:
        print(json.dumps({"machine": machine(options.device), "rows": rows}, indent=1))
        return
    print(machine(options.device))
    print(f"{'cell':<12}{'(time, batch, hidden)':<24}{'gradscope':>12}{'torch.nn':>12}{'ratio':>8}")
    for row in rows:
        size = f"({row['time']}, {row['batch']}, {row['hidden']})"
        print(
            f"{row['cell']:<12}{size:<24}{row['a_ms']:>9.2f} ms{row['b_ms']:>9.2f}"
            f" ms{row['ratio']:>8.2f}"
        )


if __name__ == "__main__":
    main()
