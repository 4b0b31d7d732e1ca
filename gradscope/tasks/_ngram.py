"""N-gram models, to which language models are compared: prediction by counting short contexts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence


def cross_entropies(
    train: Sequence[int], test: Sequence[int], vocabulary: int, order: int
) -> list[float]:
    """Cross-entropies of interpolated Witten-Bell n-gram models of order 1, 2, ..., ``order``.

    p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h)), with c the count of a string in ``train``,
    T(h) how many different tokens follow h there, h' the context h without its first token, and
    1 / vocabulary at the end of the recursion.

    Args:
        train: the tokens to count.
        test: the tokens to predict.
        vocabulary: how many different tokens there are.
        order: of the largest model.

    Returns:
        Nats per token of ``test``, by order.

    Reference: Witten and Bell (1991), The zero-frequency problem; Chen and Goodman (1999), An
    empirical study of smoothing.
    """
    probabilities, by_order = [1.0 / vocabulary] * len(test), []
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
        by_order.append(-math.fsum(map(math.log, probabilities)) / len(test))
    return by_order
