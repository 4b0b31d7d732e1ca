"""Name -> class, for every kind of component, without a list kept by hand.

A component of gradscope's own is one class in one file ``gradscope/<folder>/<name>.py``; the file's
stem, the registered name and the name in YAML are the same. Names are read off the folder, so that
knowing what exists imports nothing; a class is imported when it is asked for. Components of others
come from installed packages, by the entry point group ``gradscope.components``, and from files, by
``load_plugin``.

This module knows components by kind and name alone. Rooms use the typed view of a kind that its
package exports, such as ``gradscope.probes.PROBES``, so that imports show who depends on whom.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from pydantic import BaseModel, create_model

from gradscope.components.base import NAMES, Component
from gradscope.components.suggestions import shown, suggest
from gradscope.errors import UnknownNameError

#: kind -> the folder under gradscope/ that holds its components
FOLDERS: Mapping[str, str] = MappingProxyType(
    {
        "cell": "cells",
        "init": "inits",
        "task": "tasks",
        "clip": "clips",
        "optimizer": "optimizers",
        "probe": "probes",
        "plot": "plots",
        "finding": "findings",
        "remedy": "remedies",
    }
)

#: installed packages name their modules with components under this group
ENTRY_POINTS = "gradscope.components"

#: keyword-only parameters that the caller's code supplies and that are not options
_RUNTIME = frozenset({"generator", "dtype", "device"})
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PACKAGE = __name__.partition(".")[0]

_classes: dict[tuple[str, str], type] = {}
_C = TypeVar("_C", bound=type)


def register(kind: str, name: str) -> Callable[[_C], _C]:
    """Class decorator: make the class known as ``name`` among the components of ``kind``.

    Raises:
        ValueError: for an unknown kind, a name that is no word, is taken, or differs from the file
            of one of gradscope's own; for a class that is not of that kind, has another name
            already, or leaves a part of its base class open.
    """
    if kind not in FOLDERS:
        raise ValueError(f"there is no kind of component called {kind!r}; {suggest(kind, FOLDERS)}")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            f"a component's name is one word of letters, digits and _ that begins with a letter, "
            f"got {name!r}"
        )

    def decorate(cls: _C) -> _C:
        _check(cls, kind, name)
        _classes[kind, name] = cls
        NAMES[cls] = name
        return cls

    return decorate


def _check(cls: type, kind: str, name: str) -> None:
    if not isinstance(cls, type):
        raise ValueError(f"{name!r} is registered as a {kind} but is no class: {cls!r}")
    stem = cls.__module__.rpartition(".")[2]
    if is_own(cls) and stem != name:
        raise ValueError(
            f"{cls.__qualname__} is registered as {name!r} but its file is {stem}.py: use one name"
        )
    if getattr(cls, "component_kind", "") != kind:
        raise ValueError(
            f"{cls.__qualname__} is registered as a {kind} but does not derive from the base class "
            f"of {_PACKAGE}.{FOLDERS[kind]}"
        )
    if lacking := _left_open(cls):
        raise ValueError(f"the {kind} {name!r} does not define {', '.join(lacking)}")
    if NAMES.get(cls, name) != name:
        raise ValueError(f"{cls.__qualname__} is registered already, as {NAMES[cls]!r}")
    if other := _holder(cls, kind, name):
        raise ValueError(
            f"the {kind} {name!r} is registered twice: by {other} and by {_origin(cls)}; "
            "choose another name"
        )


def is_own(cls: type) -> bool:
    """Whether a class is gradscope's own."""
    return _within(cls, _PACKAGE)


def _within(cls: type, module: str) -> bool:
    """Whether a class is of a module, or of one below it."""
    return cls.__module__ == module or cls.__module__.startswith(f"{module}.")


def _left_open(cls: type) -> list[str]:
    """Abstract methods that a class does not define, and facts that its base leaves to it."""
    facts = getattr(cls, "__class_vars__", ())
    methods = getattr(cls, "__abstractmethods__", ())
    return sorted({*methods, *(fact for fact in facts if not hasattr(cls, fact))})


def _holder(cls: type, kind: str, name: str) -> str:
    """Who has the name already; "" for nobody, and for an earlier version of the class itself."""
    if name in _own_names(kind) and not is_own(cls):
        return f"{_PACKAGE} itself"
    known = _classes.get((kind, name))
    if known is None:
        return ""
    again = known.__qualname__ == cls.__qualname__ or cls.__module__ == "__main__"
    return "" if known.__module__ == cls.__module__ and again else _origin(known)


def _origin(cls: type) -> str:
    """Where a class comes from: its name and its file, where there is one."""
    file = getattr(sys.modules.get(cls.__module__), "__file__", None)
    return f"{cls.__qualname__} of {file or cls.__module__}"


#: what a module registered, by kind and name
Registered = dict[tuple[str, str], type]


def registered_by(modules: Iterable[str]) -> Registered:
    """Everything that these modules, and those below them, registered."""
    modules = tuple(modules)
    return {
        key: cls for key, cls in _classes.items() if any(_within(cls, module) for module in modules)
    }


def modules_of_others() -> set[str]:
    """The modules that registered components and are not gradscope's own."""
    return {cls.__module__ for cls in _classes.values() if not is_own(cls)}


def forget(modules: Iterable[str]) -> Registered:
    """Take out what modules registered, so that a changed version may come in its place."""
    taken = registered_by(modules)
    for key, cls in taken.items():
        del _classes[key], NAMES[cls]
    return taken


def restore(taken: Registered) -> None:
    """Put back what ``forget`` took out."""
    for (kind, name), cls in taken.items():
        _classes[kind, name] = cls
        NAMES[cls] = name


@cache
def _own_names(kind: str) -> frozenset[str]:
    folder = Path(__file__).parent.parent / FOLDERS[kind]
    modules = pkgutil.iter_modules([str(folder)])
    return frozenset(module.name for module in modules if not module.name.startswith("_"))


@cache
def load_entry_points() -> Mapping[str, str]:
    """Import the components of installed packages, once; name of the entry point -> distribution.

    A package whose import fails is named in a warning, and all its components are left out.
    """
    loaded: dict[str, str] = {}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        try:
            point.load()
        except Exception as error:
            forget([point.module])
            warnings.warn(
                f"components of the installed package {point.value!r} are left out: importing it "
                f"failed with {type(error).__name__}: {error}",
                stacklevel=2,
            )
            continue
        distribution = point.dist
        loaded[point.name] = f"{distribution.name} {distribution.version}" if distribution else ""
    return MappingProxyType(loaded)


def names(kind: str) -> list[str]:
    """All names of a kind, sorted; of gradscope's own components none is imported for it."""
    load_entry_points()
    return sorted(_own_names(kind) | {name for known, name in _classes if known == kind})


def get(kind: str, name: str) -> type:
    """The class registered as ``name``.

    Raises:
        UnknownNameError: if there is none; the message suggests the nearest name.
    """
    if (kind, name) not in _classes:
        if name in _own_names(kind):
            importlib.import_module(f"{_PACKAGE}.{FOLDERS[kind]}.{name}")
        elif name not in names(kind):
            raise UnknownNameError(
                f"there is no {kind} called {shown(name)}; {suggest(name, names(kind))}"
            )
    return _classes[kind, name]


@cache
def options(cls: type) -> type[Component]:
    """The model of a component's options.

    A ``Component`` is its own model. Any other class (a cell is a ``torch.nn.Module``) declares its
    options as the keyword-only parameters of its ``__init__``, with types and defaults; its base
    class says in ``options_base`` what such models have in common.

    Raises:
        ValueError: for an option without a type, or called 'name', which is the component's own.
    """
    if not issubclass(cls, BaseModel):
        return _model(cls)
    assert issubclass(cls, Component)
    _check_options(cls, cls.model_fields)
    return cls


def has_option(kind: str, key: str) -> bool:
    """Whether any component of a kind has an option of that name."""
    return any(key in options(get(kind, name)).model_fields for name in names(kind))


def _check_options(cls: type, names: Iterable[str]) -> None:
    if "name" in names:
        raise ValueError(
            f"{cls.__qualname__} has an option called 'name', which is the component's own; "
            "call it otherwise"
        )


def _model(cls: type) -> type[Component]:
    fields = {}
    for parameter in inspect.signature(cls.__init__, eval_str=True).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in _RUNTIME:
            if parameter.annotation is parameter.empty:
                raise ValueError(
                    f"the option {parameter.name!r} of {cls.__qualname__} has no type; write one, "
                    f"such as '{parameter.name}: float = 1.0'"
                )
            default = ... if parameter.default is parameter.empty else parameter.default
            fields[parameter.name] = (parameter.annotation, default)
    _check_options(cls, fields)
    base: type[Component] = getattr(cls, "options_base", Component)
    model = create_model(f"{cls.__name__}Options", __base__=base, __doc__=cls.__doc__, **fields)
    model.made_class = cls
    return model
