"""What of a large run goes into a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from gradscope.report.explorer.sources import SOURCES

#: train steps of which no eye misses any, and those with which one still sees a training
_MANY_STEPS, _FEW_STEPS = 12, 4
_COARSEST = 64


@dataclass(frozen=True)
class Share:
    """How much of a run is kept.

    Attributes:
        steps: train steps, evenly spread over the training.
        seeds: the least ones.
        stride: of a map over (t, k) every so many-th row and column; the last row always.
        frobenius: whether there is a second norm.
    """

    steps: int
    seeds: int
    stride: int = 1
    frobenius: bool = True


def thinned(
    frames: Mapping[str, pd.DataFrame], most: int
) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """The rows that fit, and what was left out, in words.

    Args:
        frames: rows of each source.
        most: bytes for values.
    """
    steps = np.unique(np.concatenate([frame["train_step"].unique() for frame in frames.values()]))
    seeds = np.unique(np.concatenate([frame["seed"].unique() for frame in frames.values()]))
    everything = Share(len(steps), len(seeds))
    share, keep = everything, dict[str, np.ndarray]()
    for share in _shares(everything):  # counted before it is copied: a large run is of millions
        keep = {name: _kept(frame, name, share, steps, seeds) for name, frame in frames.items()}
        if sum(_bytes(frames[name], name, share, rows) for name, rows in keep.items()) <= most:
            break
    kept = {
        name: frame if keep[name].all() else frame[keep[name]]
        for name, frame in ((name, _values(frame, name, share)) for name, frame in frames.items())
    }
    return kept, _words(share, everything)


def _shares(share: Share) -> Iterator[Share]:
    """Ever less, what is missed least first."""
    yield share
    share = replace(share, frobenius=False)
    yield share
    while share.steps > _MANY_STEPS:
        share = replace(share, steps=max(_MANY_STEPS, share.steps // 2))
        yield share
    while share.seeds > 1:
        share = replace(share, seeds=share.seeds // 2)
        yield share
    while share.stride < _COARSEST:
        steps = min(share.steps, max(_FEW_STEPS, share.steps // 2))
        share = replace(share, stride=2 * share.stride, steps=steps)
        yield share


def _kept(
    frame: pd.DataFrame, name: str, share: Share, steps: np.ndarray, seeds: np.ndarray
) -> np.ndarray:
    """Which rows are."""
    keep = np.ones(len(frame), dtype=bool)
    if share.seeds < len(seeds):
        keep &= frame["seed"].isin(seeds[: share.seeds]).to_numpy()
    if share.steps < len(steps):
        step = frame["train_step"].to_numpy()
        keep &= np.isin(step, _spread(steps, share.steps)) | (step == _greatest(frame, step))
    if share.stride > 1 and name == "norms":
        t, k = frame["t"].to_numpy(), frame["k"].to_numpy()
        rows, columns = (np.unique(values)[:: share.stride] for values in (t, k))
        keep &= (np.isin(t, rows) | (t == _greatest(frame, t))) & np.isin(k, columns)
    return keep


def _greatest(frame: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Of each row, the greatest value of its trial."""
    trials = pd.factorize(frame["trial"])[0]
    greatest = np.full(trials.max(initial=-1) + 1, values.min(initial=0))
    np.maximum.at(greatest, trials, values)
    return greatest[trials]


def _values(frame: pd.DataFrame, name: str, share: Share) -> pd.DataFrame:
    """The frame without the columns that are not."""
    less = name == "norms" and not share.frobenius
    return frame.drop(columns="log_frobenius_norm") if less else frame


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """So many of ascending points, as evenly spread as they come, both ends among them."""
    wanted = np.linspace(points[0], points[-1], count)
    return np.unique(points[np.abs(points[None] - wanted[:, None]).argmin(axis=1)])


def _bytes(frame: pd.DataFrame, name: str, share: Share, keep: np.ndarray) -> int:
    there = _values(frame.iloc[:0], name, share)
    return 4 * int(keep.sum()) * sum(column in there for column in SOURCES[name].values)


def _words(share: Share, everything: Share) -> list[str]:
    """What is not on the page, in the reader's words."""
    words = []
    if share.steps < everything.steps:
        of = f"{share.steps} of {everything.steps}"
        words.append(f"{of} measured train steps, and every last one")
    if share.seeds < everything.seeds:
        words.append(f"the first {share.seeds} of {everything.seeds} seeds")
    if share.stride > 1:
        every = "second" if share.stride == 2 else f"{share.stride}th"
        words.append(f"every {every} row and column of the maps")
    if not share.frobenius:
        words.append("spectral norms alone")
    return words
