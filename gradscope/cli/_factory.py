"""The training that ``gradscope diagnose`` is given, by a name such as package.module:name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, cast

from torch import Tensor, nn

from gradscope.components import suggest
from gradscope.errors import GradscopeError
from gradscope.scope import TrainingSetup
from gradscope.scope._training import Batch, Loss, default_loss


def imported(spec: str, option: str) -> Any:
    """The object that ``package.module:name`` or ``path/to/file.py:name`` names.

    Args:
        spec: the name.
        option: where it was given, for an error: "--data".

    Raises:
        GradscopeError: if the module cannot be imported, or has no such name.
    """
    module, colon, name = spec.rpartition(":")
    if not colon or not module or not name:
        raise GradscopeError(
            f"{option} {spec!r}: should be package.module:name or path/to/file.py:name"
        )
    try:
        loaded = _file(module) if module.endswith(".py") else _module(module)
    except FileNotFoundError:
        raise GradscopeError(f"{option} {spec!r}: there is no file {module}") from None
    except GradscopeError:
        raise
    except (Exception, SystemExit) as error:
        raise GradscopeError(
            f"{option} {spec!r}: importing {module} failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(loaded, name):
        known = [
            attribute
            for attribute, value in vars(loaded).items()
            if not attribute.startswith("_") and not inspect.ismodule(value)
        ]
        raise GradscopeError(f"{option} {spec!r}: {module} has no {name!r}; {suggest(name, known)}")
    return getattr(loaded, name)


def _module(name: str) -> ModuleType:
    """Import a module of that name, which may lie in the working directory."""
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _file(name: str) -> ModuleType:
    """Import a file, unless it has been imported; it may import its neighbours.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    path = Path(name).resolve()
    if not path.exists():
        raise FileNotFoundError(name)
    namesake = sys.modules.get(path.stem)
    if namesake is not None and getattr(namesake, "__file__", None) == str(path):
        return namesake
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.parent))
    sys.modules.setdefault(path.stem, loaded)
    try:
        spec.loader.exec_module(loaded)
    except BaseException:
        if sys.modules[path.stem] is loaded:
            del sys.modules[path.stem]
        raise
    return loaded


def made(factory: str) -> Any:
    """What the factory of that name returns.

    Raises:
        GradscopeError: if it is not a function without arguments, or raises an error of its own.
    """
    make = imported(factory, "FACTORY")
    if not callable(make):
        raise GradscopeError(
            f"FACTORY {factory!r}: should be a function without arguments, is of type "
            f"{type(make).__name__}"
        )
    try:
        return make()
    except GradscopeError:
        raise
    except (Exception, SystemExit) as error:
        raise GradscopeError(
            f"FACTORY {factory!r} raised {type(error).__name__}: {error}"
        ) from error


def training_of(factory: str, data: str | None, loss: str | None) -> TrainingSetup:
    """The training that a factory returns, with the data and the loss that are named.

    Args:
        factory: names a function that returns a ``TrainingSetup``, (model, data), (model, data,
            loss), or a model.
        data: names batches that take the place of the factory's; None keeps those.
        loss: names a function (model, batch) -> loss, or a criterion of (output, target), that
            takes the place of the factory's; None keeps that.

    Raises:
        GradscopeError: for anything else, or without data.
    """
    given = made(factory)
    model, its_data, its_loss = _parts(given)
    chosen_data = _checked_data(imported(data, "--data") if data else its_data)
    chosen_loss = _checked_loss(imported(loss, "--loss") if loss else its_loss)
    if isinstance(given, TrainingSetup):
        return replace(given, data=chosen_data, loss=chosen_loss)
    return TrainingSetup(model, chosen_data, chosen_loss)


def model_of(factory: str) -> nn.Module:
    """The model that a factory returns, alone or with data.

    Raises:
        GradscopeError: as ``training_of``.
    """
    return _parts(made(factory))[0]


def _parts(given: Any) -> tuple[nn.Module, Any, Any]:
    """The model, the data and the loss of what a factory returned; without data, None.

    Raises:
        GradscopeError: if it holds no model.
    """
    if isinstance(given, TrainingSetup):
        return given.model, given.data, given.loss
    if isinstance(given, nn.Module):
        return given, None, default_loss
    if isinstance(given, Sequence) and len(given) in (2, 3) and isinstance(given[0], nn.Module):
        return given[0], given[1], given[2] if len(given) == 3 else default_loss
    raise GradscopeError(
        f"the factory returns an object of type {type(given).__name__}; it should return a model, "
        "(model, data), (model, data, loss) or a gradscope.TrainingSetup"
    )


def _checked_data(data: Any) -> Iterable[Batch] | Callable[[], Iterator[Batch]]:
    """The data, if they can be batches.

    Raises:
        GradscopeError: if they cannot.
    """
    if data is None:
        raise GradscopeError(
            "the factory returns a model alone; name its batches with --data package.module:name"
        )
    if not (callable(data) or isinstance(data, Iterable)):
        raise GradscopeError(
            f"the data are of type {type(data).__name__}; they should be batches, such as a list "
            "or a DataLoader, or a function that gives them"
        )
    return cast(Iterable[Batch], data)  # of a function, more cannot be known


def _checked_loss(loss: Any) -> Loss:
    """The loss as a function (model, batch) -> loss.

    Raises:
        GradscopeError: if it cannot be called.
    """
    if isinstance(loss, nn.Module):  # a criterion of (output, target)
        return functools.partial(_by_criterion, loss)
    if not callable(loss):
        raise GradscopeError(
            f"the loss is of type {type(loss).__name__}; it should be a function (model, batch) "
            "-> loss"
        )
    return cast(Loss, loss)


def _by_criterion(criterion: nn.Module, model: nn.Module, batch: Any) -> Tensor:
    """A criterion of (output, target) as a loss of (model, batch)."""
    x, y = batch
    return criterion(model(x), y)
