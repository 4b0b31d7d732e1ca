"""A tiny recursive model on 4 x 4 Sudoku: what its one-cycle gradient leaves out, and whether its
failures are the chaotic ones.

    python -m benchmarks.today.loops [--seeds 2] [--updates 300] [--clues 6]

One network of two mixer layers (width 64) updates two latents, z_L = net(z_L, z_H + x) twice and
z_H = net(z_H, z_L) once a cycle, three cycles a supervision, two supervisions an update with the
latents carried over, detached. `last cycle` trains as published: gradients are on in the last cycle
of each supervision alone. `all cycles` has them on in all three. Puzzles have 6 clues of 16 and one
solution; those of a fifth of the 288 grids are for the test. At each recording gradscope holds the
gradient in use of one supervision, 9 calls, against the one through all of them, at the same
weights. Exponents are of each of 128 test puzzles over 8 supervisions (72 calls), the first third
left out.
"""

from __future__ import annotations

import argparse
import itertools
import time

import numpy as np
import torch
from torch import Tensor, nn

import gradscope
from benchmarks.timing import machine

WIDTH, CELLS, BATCH = 64, 16, 32
CYCLES, INNER, SUPERVISIONS = 3, 2, 2


# --- puzzles --------------------------------------------------------------------------------------


def grids() -> Tensor:
    """All 288 grids, digits 1 to 4."""
    rows = list(itertools.permutations((1, 2, 3, 4)))
    found = [np.array(four) for four in itertools.product(rows, repeat=4) if _is_grid(four)]
    return torch.tensor(np.stack(found)).flatten(1)


def _is_grid(rows: tuple[tuple[int, ...], ...]) -> bool:
    if any(len({row[i] for row in rows}) < 4 for i in range(4)):
        return False
    blocks = [rows[r][c : c + 2] + rows[r + 1][c : c + 2] for r in (0, 2) for c in (0, 2)]
    return all(len(set(block)) == 4 for block in blocks)


def puzzles(
    solutions: Tensor, known: Tensor, count: int, clue_count: int, generator: torch.Generator
):
    """Clues, 0 where there is none, and solutions; each has one among all grids."""
    clues, answers = [], []
    while len(clues) < count:
        answer = solutions[int(torch.randint(len(solutions), (), generator=generator))]
        shown = torch.randperm(CELLS, generator=generator)[:clue_count]
        if int((known[:, shown] == answer[shown]).all(1).sum()) == 1:
            puzzle = torch.zeros_like(answer)
            puzzle[shown] = answer[shown]
            clues.append(puzzle)
            answers.append(answer)
    return torch.stack(clues), torch.stack(answers) - 1


# --- the model ------------------------------------------------------------------------------------


class Layer(nn.Module):
    """Mixes cells, then widths; normalised behind each."""

    def __init__(self) -> None:
        super().__init__()
        self.across = nn.Sequential(nn.Linear(CELLS, 64), nn.SiLU(), nn.Linear(64, CELLS))
        self.within = nn.Sequential(nn.Linear(WIDTH, 128), nn.SiLU(), nn.Linear(128, WIDTH))

    def forward(self, h: Tensor) -> Tensor:
        h = nn.functional.rms_norm(h + self.across(h.mT).mT, (WIDTH,))
        return nn.functional.rms_norm(h + self.within(h), (WIDTH,))


class Net(nn.Module):
    """The network that is called on its own output."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([Layer(), Layer()])

    def forward(self, h: Tensor, injection: Tensor) -> Tensor:
        h = h + injection
        for layer in self.layers:
            h = layer(h)
        return h


class Recursive(nn.Module):
    """Two latents, one network."""

    def __init__(self, *, all_cycles: bool):
        super().__init__()
        self.embed, self.place = nn.Embedding(5, WIDTH), nn.Parameter(torch.randn(CELLS, WIDTH))
        self.net, self.head = Net(), nn.Linear(WIDTH, 4)
        self.register_buffer("start", torch.randn(2, WIDTH))
        self.all_cycles = all_cycles

    def begin(self, clues: Tensor) -> tuple[Tensor, Tensor]:
        high, low = (part.expand(len(clues), CELLS, WIDTH) for part in self.start)
        return high, low

    def forward(self, clues: Tensor, high: Tensor, low: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = self.embed(clues) + self.place
        for cycle in range(CYCLES):
            on = torch.is_grad_enabled() and (self.all_cycles or cycle == CYCLES - 1)
            with torch.set_grad_enabled(on):
                for _ in range(INNER):
                    low = self.net(low, high + x)
                high = self.net(high, low)
        return self.head(high), high.detach(), low.detach()


def loss_of(scores: Tensor, answers: Tensor) -> Tensor:
    return nn.functional.cross_entropy(scores.flatten(0, 1), answers.flatten())


# --- measuring ------------------------------------------------------------------------------------


def trained(seed: int, updates: int, clues: int, *, all_cycles: bool, known: Tensor):
    """The model, its test puzzles, and rows (update, cosine, norm ratio) along the training."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(known), generator=generator)
    apart = len(known) // 5
    pool = puzzles(known[order[apart:]], known, 5_000, clues, generator)
    test = puzzles(known[order[:apart]], known, 128, clues, generator)
    torch.manual_seed(seed)
    model = Recursive(all_cycles=all_cycles)
    optimizer, rows = torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.1), []
    for update in range(updates + 1):
        if update % (updates // 5) == 0:
            rows.append((update, *_gradients(model, *(part[:16] for part in test))))
        chosen = torch.randint(len(pool[0]), (BATCH,), generator=generator)
        given, answers = pool[0][chosen], pool[1][chosen]
        high, low = model.begin(given)
        for _ in range(SUPERVISIONS):
            scores, high, low = model(given, high, low)
            optimizer.zero_grad()
            loss_of(scores, answers).backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    return model, test, rows


def _gradients(model: Recursive, clues: Tensor, answers: Tensor) -> list[float]:
    """Of one supervision: cosine and norm ratio of the last cycle's gradient with that of all.

    By rows K = 3 (the last cycle) of the sliding truncation, whichever way the model is trained.
    """
    scope = gradscope.attach(model, loops=["net"], probes=[])
    with scope.record():
        loss_of(model(clues, *model.begin(clues))[0], answers).backward()
    bias = gradscope.truncation_bias(scope.trace("net"), lengths=[1, INNER + 1])
    model.zero_grad()
    return [*bias.cosines.tolist(), *bias.norm_ratios.tolist()]


def exponents(model: Recursive, clues: Tensor, answers: Tensor) -> tuple[Tensor, Tensor]:
    """The largest exponent of each puzzle over 8 supervisions, and whether it was solved."""
    scope = gradscope.attach(model, loops=["net"], probes=[])
    with scope.record(), torch.no_grad():
        high, low = model.begin(clues)
        for _ in range(8):
            scores, high, low = model(clues, high, low)
    trace = scope.trace("net")
    spectrum = gradscope.largest_lyapunov_exponent(trace, burn_in=trace.time // 3, blocks=4)
    return spectrum.finite_time[:, 0], (scores.argmax(-1) == answers).all(-1)


def auc(failed: Tensor, solved: Tensor, seed: int = 0) -> tuple[float, float, float]:
    """P(exponent of a failure > that of a success), with a bootstrap interval of 95%."""

    def area(a: np.ndarray, b: np.ndarray) -> float:
        return float((a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean())

    one, other, rng = failed.numpy(), solved.numpy(), np.random.default_rng(seed)
    drawn = [area(rng.choice(one, len(one)), rng.choice(other, len(other))) for _ in range(1000)]
    return area(one, other), *(float(q) for q in np.quantile(drawn, [0.025, 0.975]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--updates", type=int, default=300)
    parser.add_argument("--clues", type=int, default=6)
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine('cpu')}\n")
    known = grids()
    for seed, all_cycles in itertools.product(range(options.seeds), (False, True)):
        begun = time.monotonic()
        model, test, rows = trained(
            seed, options.updates, options.clues, all_cycles=all_cycles, known=known
        )
        name = "all cycles" if all_cycles else "last cycle"
        for update, one, cycle, one_ratio, cycle_ratio in rows:
            print(
                f"{name}, seed {seed}, update {update}: cosine of the last call's gradient "
                f"{one:.3f} (norm {one_ratio:.3f}), of the last cycle's {cycle:.3f} "
                f"(norm {cycle_ratio:.3f})",
                flush=True,
            )
        values, solved = exponents(model, *test)
        said = f"{name}, seed {seed}: {int(solved.sum())} of {len(solved)} test puzzles solved"
        if solved.any() and not solved.all():
            area, low, high = auc(values[~solved], values[solved])
            said += (
                f"; largest exponent {values[~solved].mean():+.4f} of failures, "
                f"{values[solved].mean():+.4f} of successes; AUC {area:.3f} ({low:.3f} to "
                f"{high:.3f})"
            )
        print(f"{said}; {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
