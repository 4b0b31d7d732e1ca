"""Mistakes: all that is wrong with a file, gathered so that it is told at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gradscope.errors import ConfigError, ConfigErrors


class Mistakes:
    """The mistakes found so far, each of them once.

    >>> mistakes = Mistakes()
    >>> with mistakes.noted():
    ...     raise ConfigError("is no number", key="seed")
    >>> mistakes.about("seed")
    True

    Attributes:
        found: in the order in which they were found.
    """

    def __init__(self) -> None:
        self.found: list[ConfigError] = []

    def add(self, error: ConfigError) -> None:
        """Take in an error, or each of several, unless it is known already or says nothing."""
        told = {"", *map(str, self.found)}
        self.found += {str(one): one for one in error.errors if str(one) not in told}.values()

    @contextmanager
    def noted(self) -> Iterator[None]:
        """A context that a ConfigError ends, but nothing beyond it."""
        try:
            yield
        except ConfigError as error:
            self.add(error)

    def about(self, *keys: str) -> bool:
        """Whether one of them is about one of these keys, or about a part of it."""
        return any(
            error.key == key or error.key.startswith((f"{key}.", f"{key}["))
            for error in self.found
            for key in keys
        )

    def raise_any(self) -> None:
        """Raise them all, in the order of their files; do nothing if there are none."""
        if not self.found:
            return
        places = {id(error): _position(error) for error in self.found}
        files = list(dict.fromkeys(file for file, _, _ in places.values()))

        def order(error: ConfigError) -> tuple[int, int, int]:
            file, line, column = places[id(error)]
            return files.index(file), line, column

        raise ConfigErrors.of(sorted(self.found, key=order))


def _position(error: ConfigError) -> tuple[str, int, int]:
    """File, line and column; 0 where they are not known."""
    file, *numbers = error.where.rsplit(":", 2)
    if len(numbers) == 2 and all(map(str.isdigit, numbers)):
        return file, int(numbers[0]), int(numbers[1])
    return error.where, 0, 0
