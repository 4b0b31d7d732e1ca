"""What to say of a name that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

#: names beyond which not all are listed
_MANY = 40


def suggest(name: object, known: Iterable[str]) -> str:
    """'did you mean ...?' where a name is near, then the names that exist.

    Of more than 40 names the ten nearest are listed.

    >>> suggest("lstn", ["gru", "lstm"])
    "did you mean 'lstm'? known: gru, lstm"
    """
    names = list(known)
    near = get_close_matches(str(name), names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if len(names) > _MANY:
        nearest = get_close_matches(str(name), names, n=10, cutoff=0.0)
        return f"{hint}among {len(names)} known: {', '.join(nearest)}, ..."
    return f"{hint}known: {', '.join(names)}" if names else "there are none"
