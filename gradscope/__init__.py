"""gradscope: an instrument for vanishing and exploding gradients in recurrent networks.

In the order in which data flows:

    config      YAML -> Experiment -> Trials             tasks     one long-dependency task per file
    cells       s_t = F(x_t, s_{t-1}), one per file      model     embedding, a stack of cells, readout
    trace       the tensors of one unroll                dynamics  Jacobians, products, adjoints, horizons
    clips       rules that bound a gradient              probes    measurements of a training in progress
    train       the BPTT / TBPTT loop of one trial       sweep     trials over an executor
    records     a run directory on disk                  tables    run directories -> DataFrames
    plots       DataFrames -> figures                    report    one self-contained HTML page

The mathematics is at the top level too: ``gradscope.unroll``, ``gradscope.step_jacobians``, ``gradscope.adjoints``, ...
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

#: public name -> module; imported when first asked for, so that ``import gradscope`` is quick
_PUBLIC = {
    "Adjoints": "dynamics", "MemoryHorizon": "dynamics", "Scaled": "dynamics", "adjoints": "dynamics",
    "immediate_gradients": "dynamics", "jacobian_log_norms": "dynamics", "jacobian_product": "dynamics",
    "jacobian_products": "dynamics", "memory_horizon": "dynamics", "saturated": "dynamics", "step_jacobians": "dynamics",
    "unroll": "dynamics", "Trace": "trace", "Cell": "cells", "Stack": "cells", "GradscopeError": "errors",
    "ConfigError": "errors", "load": "config",
}  # fmt: skip

__all__ = [*sorted(_PUBLIC), "__version__"]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"gradscope.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module 'gradscope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
