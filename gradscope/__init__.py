"""gradscope: an instrument for vanishing and exploding gradients in recurrent networks.

In the order in which data flows:

    config      YAML -> Experiment -> Trials             tasks     one long-dependency task per file
    cells       s_t = F(x_t, s_{t-1}), one per file      model     embedding, a stack of cells, readout
    trace       the tensors of one unroll                dynamics  Jacobians, products, adjoints, horizons
    clips       rules that bound a gradient              probes    measurements of a training in progress
    train       the BPTT / TBPTT loop of one trial       sweep     trials over an executor
    records     a run directory on disk                  tables    run directories -> DataFrames
    plots       DataFrames -> figures                    report    one self-contained HTML page
    attached    the same probes on any torch model       findings  one illness of gradients per file
    diagnosis   findings, ranked, and their remedies     conversion  torch's modules to our cells, and back

On a model of your own: ``gradscope.attach(model)``. The mathematics is at the top level too:
``gradscope.unroll``, ``gradscope.step_jacobians``, ``gradscope.adjoints``, ...
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

__version__ = "0.1.0"

#: where the top level's names come from; imported when first asked for, so that ``import
#: gradscope`` is quick
_SOURCES = (
    "dynamics",
    "cells",
    "dynamics.trace",
    "errors",
    "experiment.schema",
    "cells._conversion",
    "scope",
)


def _names(source: str) -> list[str]:
    module = importlib.import_module(f"gradscope.{source}")
    own = [
        name
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__
    ]
    return [name for name in getattr(module, "__all__", own) if not name.startswith("_")]


def __getattr__(name: str) -> Any:
    if name == "__all__":
        return sorted(
            {"__version__", *(public for source in _SOURCES for public in _names(source))}
        )
    # a submodule on its way to being imported is asked for here first: it must not bring the others
    # along
    if not name.startswith("_") and importlib.util.find_spec(f"gradscope.{name}") is None:
        for source in _SOURCES:
            if name in _names(source):
                return getattr(importlib.import_module(f"gradscope.{source}"), name)
    raise AttributeError(f"module 'gradscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__getattr__("__all__")})
