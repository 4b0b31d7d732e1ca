"""Component: the base of everything that an experiment file names and that is only its options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from gradscope.errors import ConfigError


class Component(BaseModel):
    """Typed, frozen options; an option that does not exist, or of a wrong type, is refused.

    A subclass of a kind's base class (``Task``, ``Clip``, ``Probe``, ...) declares its options as
    fields with a description, and is made known by that kind's ``register``.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )

    #: the kind of component that subclasses are, set by the kind's base class
    component_kind: ClassVar[str] = ""
    #: whether what a run records may depend on components of this kind
    in_runs: ClassVar[bool] = True
    #: of options of a class that is no component itself, such as a cell's: that class
    made_class: ClassVar[type | None] = None

    @property
    def identity(self) -> tuple[str, Mapping[str, object]]:
        """The name, and further options, by which recorded trials know this component.

        They differ from its own where some of its options have become a component since, and where
        an option names a file, which counts by its contents.
        """
        cls = class_of(type(self))
        return getattr(cls, "former_name", "") or self.name, getattr(cls, "former_options", {})

    @property
    def name(self) -> str:
        """The name under which the component is registered."""
        return name_of(type(self))


#: registered class -> name; kept by the registry
NAMES: dict[type, str] = {}


def name_of(cls: type) -> str:
    """The registered name of a component's class, or of the model of its options.

    Raises:
        ConfigError: for a class that is not registered, or no longer, as its file has been loaded
            again since.
    """
    made = class_of(cls)
    if made not in NAMES:
        raise ConfigError(
            f"the class {made.__qualname__} is not registered, or its file has been loaded again "
            "since; decorate the class with the register of its kind, or make the component anew"
        )
    return NAMES[made]


def is_registered(cls: type) -> bool:
    """Whether the class, or the model of options, belongs to a registered component."""
    return class_of(cls) in NAMES


def class_of(cls: type) -> type:
    """The class that a model of options is for; any other class itself."""
    return getattr(cls, "made_class", None) or cls


def components_in(value: object) -> Iterator[Component]:
    """All components that a value holds, at any depth, itself among them."""
    if isinstance(value, Component):
        yield value
    if isinstance(value, BaseModel):
        parts = [getattr(value, name) for name in type(value).model_fields]
    elif isinstance(value, Mapping):
        parts = list(value.values())
    else:
        parts = list(value) if isinstance(value, list | tuple) else []
    for part in parts:
        yield from components_in(part)
