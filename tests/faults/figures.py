"""The figures of docs/reliability.md, from what a run of the fault suite wrote down.

    python -m tests.faults.figures FOLDER SHARE

prints them; the folder has a file of each round. Once the rounds are a tenth of a whole run
together, it puts them into the page as well.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- figures: made by `make faults` -->", "<!-- end of figures -->"
#: share of a whole run from which on the page has its figures
LARGE = 0.1


def table_of(rounds: list[str], share: float) -> str:
    """What was tried in all rounds, and how often."""
    counts: Counter[str] = Counter()
    for line in "".join(rounds).splitlines():
        entry = json.loads(line)
        counts[entry["what"]] += entry["count"]
    often = f", {len(rounds)} rounds of it" if len(rounds) > 1 else ""
    rows = [f"| {what} | {count:,} |" for what, count in sorted(counts.items())]
    day = datetime.now(UTC).date().isoformat()
    return "\n".join(
        [
            f"On {day}, with `make faults SHARE={share:g}`{often}, each of these went as promised:",
            "",
            "| what was tried | times |",
            "| --- | --- |",
            *rows,
        ]
    )


def main() -> None:
    folder, share = Path(sys.argv[1]), float(sys.argv[2])
    rounds = [path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.jsonl"))]
    table = table_of(rounds, share)
    print(table)
    if share * len(rounds) >= LARGE:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        after = rest.partition(END)[2]
        PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
