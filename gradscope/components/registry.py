"""name -> class, for every kind of component, without a list kept by hand.

A component is one class in one file ``gradscope/<folder>/<name>.py``, decorated with
``register(kind, name)``; the file's stem, the registered name and the name in YAML are the same.
Names are read off the folder, so that knowing what exists imports nothing; a class is imported when
it is asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import pkgutil
from collections.abc import Callable
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, create_model

from gradscope.errors import ConfigError

#: kind -> the folder under gradscope/ that holds its components
FOLDERS = {
    "cell": "cells",
    "init": "inits",
    "task": "tasks",
    "clip": "clips",
    "optimizer": "optimizers",
    "probe": "probes",
    "plot": "plots",
    "finding": "findings",
}

_CLASSES: dict[tuple[str, str], type] = {}
_C = TypeVar("_C", bound=type)


class Component(BaseModel):
    """Base of every component that is nothing but its options: typed, frozen, and refusing what it
    does not know.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        validate_default=True,
        allow_inf_nan=False,
        arbitrary_types_allowed=True,
    )

    @property
    def name(self) -> str:
        """The name under which the component is registered."""
        return name_of(type(self))


def register(kind: str, name: str) -> Callable[[_C], _C]:
    """Class decorator: make the class known as ``name`` among the components of ``kind``.

    Raises:
        ValueError: if ``name`` is not the stem of the class's file, or is taken.
    """

    def decorate(cls: _C) -> _C:
        stem = cls.__module__.rsplit(".", 1)[-1]
        if cls.__module__.startswith("gradscope.") and stem != name:
            raise ValueError(
                f"{cls.__qualname__} is registered as {name!r} but its file is {stem}.py: use one"
                " name"
            )
        known = _CLASSES.get((kind, name))
        if known is not None and known.__module__ != cls.__module__:
            raise ValueError(
                f"the {kind} {name!r} is registered twice: {known.__module__} and {cls.__module__}"
            )
        cls._gradscope_name = name  # type: ignore[attr-defined]
        _CLASSES[kind, name] = cls
        return cls

    return decorate


def names(kind: str) -> list[str]:
    """All names of a kind, sorted: the files of its folder (nothing is imported) and what the user
    registered.
    """
    spec = importlib.util.find_spec("gradscope")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    folder = Path(spec.submodule_search_locations[0]) / FOLDERS[kind]
    files = {
        module.name
        for module in pkgutil.iter_modules([str(folder)])
        if not module.name.startswith("_")
    }
    return sorted(files | {name for known, name in _CLASSES if known == kind})


def get(kind: str, name: str) -> Any:
    """The class registered as ``name``.

    Raises:
        ConfigError: if there is none; the message suggests the nearest name and lists those that
            exist.
    """
    if (kind, name) not in _CLASSES:
        if name not in names(kind):
            raise ConfigError(f"there is no {kind} called {name!r}; {suggest(name, names(kind))}")
        importlib.import_module(f"gradscope.{FOLDERS[kind]}.{name}")
    return _CLASSES[kind, name]


def name_of(cls: type) -> str:
    """The registered name of a component's class."""
    return cls._gradscope_name  # type: ignore[attr-defined]


@cache
def options(cls: type) -> type[BaseModel]:
    """The pydantic model of a component's options.

    A ``Component`` is its own model. Any other class (a cell is a ``torch.nn.Module``) declares its
    options as the keyword-only parameters of its ``__init__``, with types and defaults.
    """
    if issubclass(cls, BaseModel):
        return cls
    fields: dict[str, Any] = {}
    for parameter in inspect.signature(cls.__init__, eval_str=True).parameters.values():  # type: ignore[misc]
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in _RUNTIME:
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
    model = create_model(
        f"{cls.__name__}Options", __base__=Component, __doc__=cls.__doc__, **fields
    )
    model._gradscope_name = name_of(cls)  # type: ignore[attr-defined]
    return model


#: keyword-only parameters that the caller's code supplies and that are not options
_RUNTIME = frozenset({"generator", "dtype", "device"})


def suggest(name: str, known: list[str]) -> str:
    """'did you mean ...?' where a name is near, then the names that exist, the nearest of them
    where they are many.
    """
    near = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    if len(known) > _MANY:
        nearest = get_close_matches(str(name), known, n=10, cutoff=0.0)
        return f"{hint}among {len(known)} known: {', '.join(nearest)}, ..."
    return f"{hint}known: {', '.join(known)}" if known else "it has no options"


#: names beyond which not all are listed
_MANY = 40
