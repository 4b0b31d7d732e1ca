"""Kind: the typed view of one kind of component, which its package exports."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar, cast

from gradscope.components import registry
from gradscope.components.base import Component
from gradscope.components.options import component

_C = TypeVar("_C")
_O = TypeVar("_O", bound=Component)
_T = TypeVar("_T", bound=type)


class Kind(Generic[_C, _O]):
    """Every component of one kind: ``PROBES: Kind[Probe, Probe] = Kind("probe")``.

    The two types are that of the components and that of their options, one and the same for all
    but cells, which are made of their options and an input size.
    """

    def __init__(self, name: str):
        self.name = name

    def __repr__(self) -> str:
        return f"{self.name}: {', '.join(self.names())}"

    def register(self, name: str) -> Callable[[_T], _T]:
        """Class decorator: make a class known under this name.

        Raises:
            ValueError: as ``gradscope.components.registry.register``.
        """
        return registry.register(self.name, name)

    def names(self) -> list[str]:
        """All names, sorted; none of gradscope's own components is imported for it."""
        return registry.names(self.name)

    def get(self, name: str) -> type[_C]:
        """The class of that name.

        Raises:
            UnknownNameError: if there is none.
        """
        return cast(type[_C], registry.get(self.name, name))

    def classes(self) -> Iterator[type[_C]]:
        """All classes, by name."""
        return map(self.get, self.names())

    def make(self, value: object, *, place: object = None, key: str = "") -> _O:
        """A component, or its options, from its name or a mapping with ``name`` and options.

        Args:
            value: the name, the mapping, or what has been made already.
            place: where it stands in a file, for an error.
            key: its dotted key, for an error.

        Raises:
            ConfigError: for a name or an option that does not exist, or a wrong value.
        """
        return cast(_O, component(self.name, value, place=place, key=key))
