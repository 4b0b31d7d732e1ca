"""What to say of a name that does not exist."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

#: names beyond which not all are listed
_MANY = 40
#: characters of a value, or of a name, that are shown
_LONG = 60


def nearest(name: object, known: Iterable[str], count: int = 1, cutoff: float = 0.5) -> list[str]:
    """The known names that are nearest to a name, whatever its case and its signs between words.

    >>> nearest("Global-Norm", ["none", "global_norm"])
    ['global_norm']
    """
    plain: dict[str, list[str]] = {}
    for other in known:
        plain.setdefault(_plain(other), []).append(other)
    near = get_close_matches(_plain(str(name)[:_LONG]), plain, n=count, cutoff=cutoff)
    return [other for match in near for other in plain[match]][:count]


def suggest(name: object, known: Iterable[str]) -> str:
    """'did you mean ...?' where a name is near, then the names that exist.

    Of more than 40 names the ten nearest are listed.

    >>> suggest("LSTN", ["gru", "lstm"])
    "did you mean 'lstm'? known: gru, lstm"
    """
    names = list(known)
    near = nearest(name, names)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if len(names) > _MANY:
        listed = ", ".join(nearest(name, names, 10, cutoff=0.0))
        return f"{hint}among {len(names)} known: {listed}, ..."
    return f"{hint}known: {', '.join(names)}" if names else "there are none"


def shown(value: object) -> str:
    """A value in a message, cut where it is long.

    >>> shown("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa..."
    >>> shown(10**5000)
    'a number of 5001 digits'
    """
    try:
        text = repr(dict(value)) if isinstance(value, Mapping) else repr(value)
    except ValueError:  # an integer beyond the digits that Python converts
        text = "a number of very many digits"
        if isinstance(value, int):
            text = f"a number of {int(value.bit_length() * math.log10(2)) + 1} digits"
    except RecursionError:
        text = "something nested very deeply"
    return text if len(text) <= _LONG else text[: _LONG - 3] + "..."


def _plain(name: str) -> str:
    return name.casefold().replace("-", "_").replace(" ", "_")
