"""N-gram models, the yardstick of a language model: what counting short contexts achieves."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def cross_entropies(
    train: Sequence[int], test: Sequence[int], vocabulary: int, order: int
) -> list[float]:
    """Nats per token of ``test`` under interpolated Witten-Bell n-grams of order 1, 2, ...,
    ``order`` fitted on ``train``.

    p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h)), with c the count of a string in ``train``,
    T(h) how many different tokens follow h there, h' the context h without its first token, and 1 /
    vocabulary at the end of the recursion.

    Reference: Witten and Bell (1991), The zero-frequency problem; Chen and Goodman (1999), An
    empirical study of smoothing.
    """
    probabilities, found = [1.0 / vocabulary] * len(test), []
    for length in range(1, order + 1):
        counts = Counter(zip(*(train[i:] for i in range(length)), strict=False))
        totals: Counter[tuple[int, ...]] = Counter()
        kinds: Counter[tuple[int, ...]] = Counter()
        for gram, count in counts.items():
            totals[gram[:-1]] += count
            kinds[gram[:-1]] += 1
        for place in range(length - 1, len(test)):
            gram = tuple(test[place - length + 1 : place + 1])
            if seen := totals[gram[:-1]]:
                different = kinds[gram[:-1]]
                probabilities[place] = (counts[gram] + different * probabilities[place]) / (
                    seen + different
                )
        found.append(-math.fsum(map(math.log, probabilities)) / len(test))
    return found
