"""Writes ``measured.csv``, what experiments/fights.yaml measured of the remedies:  python -m
gradscope.diagnosis.measured RUN.
"""

from __future__ import annotations

import sys

from gradscope.plots.league import League
from gradscope.remedies.remedies import MEASURED
from gradscope.results import tables
from gradscope.results.records import RunDirectory, write_atomically


def write(run: RunDirectory) -> None:
    """The league table of a run: entrant, task, length, trials, solved, and test loss over the
    memoryless baseline with its 95% bootstrap interval (ratio, low, high)."""
    loaded, manifest = tables.load(run), run.manifest()
    frame = League().data(loaded)[
        ["entrant", "task", "length", "trials", "solved", "ratio", "low", "high"]
    ]
    version = manifest["provenance"][-1]["versions"]
    about = (
        f"# {manifest['name']}: {len(loaded['trials'])} trials, {manifest['created']}, torch"
        f" {version['torch']}, gradscope {version['gradscope']}\n"
    )
    write_atomically(MEASURED, (about + frame.to_csv(index=False, float_format="%.5g")).encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "usage: python -m gradscope.diagnosis.measured RUN      (a run of"
            " experiments/fights.yaml)"
        )
    write(RunDirectory(sys.argv[1]))
