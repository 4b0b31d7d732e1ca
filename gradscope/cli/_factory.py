"""What ``gradscope diagnose`` is given: a training, named as package.module:name."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor, nn

from gradscope.components import suggest
from gradscope.errors import GradscopeError
from gradscope.scope import TrainingSetup


def imported(spec: str, option: str) -> Any:
    """What ``package.module:name`` or ``path/to/file.py:name`` names.

    Raises:
        GradscopeError: if it cannot be imported, or has no such name.
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
    except Exception as error:
        raise GradscopeError(
            f"{option} {spec!r}: importing {module} failed: {type(error).__name__}: {error}"
        ) from error
    if not hasattr(loaded, name):
        names = [
            other
            for other, value in vars(loaded).items()
            if not other.startswith("_") and not inspect.ismodule(value)
        ]
        raise GradscopeError(f"{option} {spec!r}: {module} has no {name!r}; {suggest(name, names)}")
    return getattr(loaded, name)


def _module(name: str) -> ModuleType:
    sys.path.insert(0, str(Path.cwd()))
    return importlib.import_module(name)


def _file(name: str) -> ModuleType:
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(name)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, loaded)
    sys.path.insert(0, str(path.parent.resolve()))
    spec.loader.exec_module(loaded)
    return loaded


def made(factory: str) -> Any:
    """What the factory of that name gives.

    Raises:
        GradscopeError: if it is no function without arguments, or raises an error of its own.
    """
    make = imported(factory, "FACTORY")
    if not callable(make):
        raise GradscopeError(
            f"FACTORY {factory!r}: {type(make).__name__} is not a function without arguments"
        )
    try:
        return make()
    except GradscopeError:
        raise
    except Exception as error:
        raise GradscopeError(
            f"FACTORY {factory!r} raised {type(error).__name__}: {error}"
        ) from error


def training_of(factory: str, data: str | None, loss: str | None) -> TrainingSetup:
    """The training that a factory gives, with the data and the loss that are named.

    Args:
        factory: gives a ``TrainingSetup``, (model, data), (model, data, loss), or a model.
        data: names batches, instead of the factory's own.
        loss: names a function (model, batch) -> loss, or a criterion of (output, target).

    Raises:
        GradscopeError: for anything else, or without data.
    """
    batches = imported(data, "--data") if data else None
    training = _setup(made(factory), batches)
    if batches is not None:
        training.data = batches
    if loss:
        training.loss = imported(loss, "--loss")
    if isinstance(training.loss, nn.Module):  # a criterion of (output, target)
        training.loss = functools.partial(_by_criterion, training.loss)
    if not callable(training.loss):
        raise GradscopeError(
            f"the loss is a {type(training.loss).__name__}; it should be a function (model, batch) "
            "-> loss"
        )
    return training


def _setup(given: Any, data: Any) -> TrainingSetup:
    if isinstance(given, TrainingSetup):
        return given
    if isinstance(given, nn.Module):
        if data is None:
            raise GradscopeError(
                "the factory gives a model alone: name its batches with --data package.module:name"
            )
        return TrainingSetup(given, data)
    if isinstance(given, Sequence) and len(given) in (2, 3) and isinstance(given[0], nn.Module):
        return TrainingSetup(*given)
    raise GradscopeError(
        f"the factory gives a {type(given).__name__}; it should give a model, (model, data), "
        "(model, data, loss) or a gradscope.TrainingSetup"
    )


def _by_criterion(criterion: nn.Module, model: nn.Module, batch: Any) -> Tensor:
    x, y = batch
    return criterion(model(x), y)
