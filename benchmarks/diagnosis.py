"""How often a diagnosis is right: planted illnesses and healthy models, over seeds that no
threshold was set on.

    python -m benchmarks.diagnosis [--seeds 10]

Sensitivity of a finding: the share of the models with that illness planted in which it is found.
Specificity: the share of the healthy models in which it is not. The last row is of any finding at
all. Seeds start at 100; thresholds were set looking at seeds 0 and 1.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter

import torch

from benchmarks.planted import HEALTHY, PLANTED
from gradscope.findings import FINDINGS
from gradscope.results.statistics import share


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    seeds = range(100, 100 + parser.parse_args().seeds)
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    planted, hit, false, beside = Counter(), Counter(), Counter(), Counter()
    for kind, build in PLANTED.values():
        for seed in seeds:
            found = {finding.name for finding in build(seed).diagnose().findings}
            planted[kind] += 1
            hit[kind] += kind in found
            beside.update(found - {kind})
    healthy = wrong = 0
    for build in HEALTHY.values():
        for seed in seeds:
            found = {finding.name for finding in build(seed).diagnose().findings}
            healthy, wrong = healthy + 1, wrong + bool(found)
            false.update(found)
    print(
        f"{len(PLANTED)} planted models of {len(planted)} kinds and {len(HEALTHY)} healthy ones,"
        f" {len(seeds)} seeds each\n"
    )
    print(
        "| finding | planted | found | sensitivity (95%) | healthy | wrongly found | specificity"
        " (95%) | beside another illness |"
    )
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind in FINDINGS.names():
        print(_row(kind, planted[kind], hit[kind], healthy, false[kind], beside[kind]))
    print(_row("any", sum(planted.values()), sum(hit.values()), healthy, wrong, 0))


def _row(kind: str, planted: int, hit: int, healthy: int, false: int, beside: int) -> str:
    ranges = [
        f"{found.centre:.0%} ({found.low:.0%}–{found.high:.0%})"
        for found in (share(hit, planted), share(healthy - false, healthy))
    ]
    return (
        f"| {kind.replace('_', ' ')} | {planted} | {hit} | {ranges[0]} | {healthy} | {false} |"
        f" {ranges[1]} | {beside} |"
    )


if __name__ == "__main__":
    main()
