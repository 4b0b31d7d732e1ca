"""What experiments/fights.yaml measured of the remedies, for ``gradscope/remedies/measured.csv``.

    python -m benchmarks.league RUN

RUN is the directory of a run of experiments/fights.yaml.
"""

from __future__ import annotations

import sys

from gradscope.plots.league import League
from gradscope.remedies import MEASURED
from gradscope.results.files import write_atomically
from gradscope.results.records import RunDirectory
from gradscope.results.tables import load

COLUMNS = ["entrant", "task", "length", "trials", "solved", "diverged", "ratio", "low", "high"]


def write(run: RunDirectory) -> None:
    """The league table of a run.

    Test loss over the memoryless baseline and its interval, as the summary has them, are ratio and
    (low, high).
    """
    tables, manifest = load(run), run.manifest()
    frame = League().data(tables)[COLUMNS]
    versions = manifest.provenance[-1].versions
    about = (
        f"# {manifest.name}: {len(tables['trials'])} trials, {manifest.created}, "
        f"torch {versions['torch']}, gradscope {versions['gradscope']}\n"
    )
    write_atomically(MEASURED, (about + frame.to_csv(index=False, float_format="%.5g")).encode())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(RunDirectory(sys.argv[1]))
