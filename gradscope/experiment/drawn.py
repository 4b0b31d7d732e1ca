"""The axis ``random`` of a sweep: points that are drawn, each from the sweep's own seed.

    random:
      trials: 40
      seed: 0
      optimizer.lr: {log: [1e-4, 1e-1]}
      cell.hidden_size: {int: [16, 128]}
      cell.activation: {choice: [tanh, relu]}

A value depends on the seed, its key and the number of its point alone: more trials keep the points
that there were, and a key more or less leaves the others as they were.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from pydantic import BaseModel

from gradscope.components.identity import sha256
from gradscope.components.marks import Mapping, Where
from gradscope.components.mistakes import Mistakes
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import ConfigError, UnknownNameError
from gradscope.experiment.choice import MOST_TRIALS, Choice, label_of, unknown

#: the axis' name, and its keys that are no keys of an experiment
NAME, _OWN = "random", ("trials", "seed")
#: how a value may be drawn, with an example of each
HOW = {
    "log": "{log: [1e-4, 1e-1]}",
    "uniform": "{uniform: [0.1, 10]}",
    "int": "{int: [16, 128]}",
    "choice": "{choice: [tanh, relu]}",
}
_EXAMPLES = ", ".join([*HOW.values()][:-1]) + f" or {HOW['choice']}"
#: significant digits of what is drawn by its logarithm, at least
_DIGITS = 3
#: values that a range has at least once it is rounded, evenly and by the logarithm
_EVEN, _STEPS = 1000, 100
#: width of a range, as a difference of logarithms, that floating-point numbers can tell from none
_LEAST = 1e-15
#: draws of a point that has not been drawn before
_TRIES = 10 * MOST_TRIALS


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, which are among them.

    Attributes:
        how: log, uniform or int.
        low: the least.
        high: the greatest.
        place: where it stands.
    """

    how: str
    low: float
    high: float
    place: Where

    def at(self, share: float) -> tuple[int | float, Where]:
        """The value below which a share of them lies, rounded, and its place.

        >>> Range("log", 1e-4, 1e-1, None).at(0.5)
        (0.00316, None)
        """
        if self.how == "int":
            low, high = int(self.low), int(self.high)
            return min(high, low + math.floor(share * (high - low + 1))), self.place
        if self.how == "log":
            width = max(math.log(self.high) - math.log(self.low), _LEAST)
            digits = max(_DIGITS, 1 + math.ceil(-math.log10(width / _STEPS)))
            value = float(f"{math.exp(math.log(self.low) + share * width):.{digits - 1}e}")
        else:
            width = self.high - self.low
            decimals = math.ceil(math.log10(_EVEN) - math.log10(width))
            value = round(self.low + share * width, decimals) + 0.0  # and no -0.0
        return min(max(value, float(self.low)), float(self.high)), self.place

    @property
    def count(self) -> float:
        """How many values there are; infinity for those that are rounded."""
        return int(self.high) - int(self.low) + 1 if self.how == "int" else math.inf


@dataclass(frozen=True)
class Among:
    """Values of any kind, each as likely as the others.

    Attributes:
        values: to choose from.
        places: where they stand.
    """

    values: Sequence[object]
    places: Sequence[Where]

    def at(self, share: float) -> tuple[object, Where]:
        """The value below which a share of them lies, and its place."""
        index = math.floor(share * len(self.values))
        return self.values[index], self.places[index]

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values)


def drawn(random: Mapping, model: type[BaseModel], place: Where) -> list[Choice]:
    """The points of the axis, whose labels are their values; all are different.

    Args:
        random: what the file says of it: trials, seed, and dotted keys with how they are drawn.
        model: the pydantic model of the settings.
        place: of it in the file.

    Raises:
        ConfigError: for what cannot be drawn; a ConfigErrors where several things are wrong.
    """
    mistakes, ways = Mistakes(), dict[str, Range | Among]()
    trials = seed = 0
    with mistakes.noted():
        if "trials" not in random.unread:
            trials = _whole(random, "trials", 1, MOST_TRIALS, place)
    with mistakes.noted():
        seed = _whole(random, "seed", 0, 2**63 - 1, place) if "seed" in random else 0
    keys = [key for key in random if key not in _OWN]
    for key in keys:
        with mistakes.noted():
            ways[key] = _way(key, random[key], random.places[key], model)
    if not keys and not random.unread:
        said = "draws nothing; give it a key, such as 'optimizer.lr: {log: [1e-4, 1e-1]}'"
        mistakes.add(ConfigError(said, where=place, key=f"sweep.{NAME}"))
    mistakes.raise_any()
    if random.unread:
        raise ConfigError("")  # which is told
    return _points(trials, seed, ways, place)


def _points(trials: int, seed: int, ways: dict[str, Range | Among], place: Where) -> list[Choice]:
    """So many different points.

    Raises:
        ConfigError: if there are not so many.
    """
    there = math.prod(way.count for way in ways.values())
    points: dict[str, Choice] = {}
    for index in range(trials if there >= trials else 0):
        for attempt in range(_TRIES):
            at = {key: way.at(_share(seed, index, attempt, key)) for key, way in ways.items()}
            changes = tuple((key, value, where) for key, (value, where) in at.items())
            label = ", ".join(label_of(key, value) for key, value, _ in changes)
            if label not in points:
                points[label] = Choice(label, changes)
                break
        else:
            there = len(points)
            break
    if there < trials:
        raise ConfigError(
            f"asks for {trials:,} trials, and there are {there:,.0f} different points; ask for at "
            "most as many, or give wider ranges",
            where=place,
            key=f"sweep.{NAME}",
        )
    return [*points.values()]


def _share(seed: int, index: int, attempt: int, key: str) -> float:
    """A number from 0 to 1 that depends on nothing else."""
    return int(sha256([seed, index, attempt, key])[:13], 16) / 16**13


def without(random: Mapping, touches: Callable[[str], bool]) -> Mapping | None:
    """The axis without the keys that are touched; None where it draws no other."""
    kept = Mapping(random.path, random.place)
    kept.unread |= random.unread
    for key, value in random.items():
        if key in _OWN or not touches(key):
            kept.put(key, value, random.places[key])
    drew, draws = (any(key not in _OWN for key in one) for one in (random, kept))
    return kept if draws or not drew else None


def ranges(sweep: object) -> set[str]:
    """The keys of a sweep whose values are drawn from a range."""
    random = sweep.get(NAME) if isinstance(sweep, Mapping) else None
    if not isinstance(random, Mapping):
        return set()
    return {key for key, said in random.items() if isinstance(said, dict) and "choice" not in said}


# --- what the file says ---------------------------------------------------------------------------


def _whole(random: Mapping, key: str, least: int, most: int, place: Where) -> int:
    path = f"sweep.{NAME}.{key}"
    if key not in random:
        raise ConfigError(
            f"is missing; say how many points are drawn, such as '{key}: 40'", where=place, key=path
        )
    value = random[key]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        bounds = f"from {least:,} to {most:,}" if key == "trials" else f"from {least:,}"
        raise ConfigError(
            f"should be a whole number {bounds}, got {shown(value)}",
            where=random.places[key],
            key=path,
        )
    return value


def _way(key: str, said: object, place: Where, model: type[BaseModel]) -> Range | Among:
    """How the values of a key are drawn."""
    path = f"sweep.{NAME}.{key}"
    if key.split(".")[0] not in model.model_fields:
        own = f"beside {' and '.join(_OWN)}"
        raise unknown(key, model, place=place, path=path, but=own)
    if not isinstance(said, Mapping) or len(said) != 1:
        raise ConfigError(
            f"should say how it is drawn: {_EXAMPLES}; got {shown(said)}", where=place, key=path
        )
    [(how, values)] = said.items()
    if how not in HOW:
        raise UnknownNameError(
            f"cannot be drawn by {shown(how)}; {suggest(how, HOW)}", where=place, key=path
        )
    place, path = said.places[how], f"{path}.{how}"
    if how == "choice":
        return _among(values, place, path)
    return _range(how, values, place, path)


def _range(how: str, values: object, place: Where, path: str) -> Range:
    bounds = values if isinstance(values, list) else []
    low, high = bounds if len(bounds) == 2 else (None, None)
    wanted = ""
    if not (_is_bound(low) and _is_bound(high)):
        wanted = f"should be two numbers, as in {HOW[how]}"
    elif how == "int" and not (isinstance(low, int) and isinstance(high, int)):
        wanted = f"should be two whole numbers, as in {HOW[how]}; others are {HOW['uniform']}"
    elif not low < high:
        wanted = "should be the lower bound and then the higher one"
    elif how == "log" and low <= 0:
        wanted = f"should have bounds above 0, which have logarithms; others are {HOW['uniform']}"
    else:
        return Range(how, low, high, place)
    raise ConfigError(f"{wanted}, got {shown(values)}", where=place, key=path)


def _is_bound(value: object) -> TypeGuard[int | float]:
    """Whether it is a number, finite, and such that the distance of two is."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _among(values: object, place: Where, path: str) -> Among:
    if not isinstance(values, list) or not values:
        raise ConfigError(
            f"should be a list of values, as in {HOW['choice']}, got {shown(values)}",
            where=place,
            key=path,
        )
    places = getattr(values, "places", [place] * len(values))
    labels = [label_of(path, value) for value in values]
    for index, label in enumerate(labels):
        if label in labels[:index]:
            raise ConfigError(
                f"names {shown(values[index])} twice; each value is as likely as the others",
                where=places[index],
                key=path,
            )
    return Among(values, places)
