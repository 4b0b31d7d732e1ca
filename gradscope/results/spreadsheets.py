"""CSV that a spreadsheet reads as text and numbers, never as formulas."""

from __future__ import annotations

import pandas as pd

#: what a spreadsheet may take for the beginning of a formula
_FORMULA = ("=", "+", "-", "@", "\t")


def csv_of(frame: pd.DataFrame) -> str:
    """A table as CSV, without its index.

    Texts that begin as a formula would, such as ``=1+1``, get an apostrophe in front; numbers,
    negative ones too, stay what they are.

    >>> csv_of(pd.DataFrame({"label": ["=A1", "tanh"], "rate": [-0.5, 1.0]}))
    "label,rate\\n'=A1,-0.5\\ntanh,1.0\\n"
    """
    texts = frame.select_dtypes(exclude="number").columns
    dangerous = [name for name in texts if any(map(_is_formula, frame[name].unique()))]
    safe = frame.assign(**{str(name): frame[name].map(_defused) for name in dangerous})
    return safe.rename(columns=_defused).to_csv(index=False)


def _defused(value: object) -> object:
    return f"'{value}" if _is_formula(value) else value


def _is_formula(value: object) -> bool:
    return isinstance(value, str) and value.startswith(_FORMULA)
