"""What the explorer shows, and of which tables it comes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gradscope.results.tables import Tables


@dataclass(frozen=True)
class Source:
    """Measurements of one sort: arrays of values over places, one of each for every facet.

    Attributes:
        tables: of which it comes, one of them at least.
        facets: columns that tell a trial's measurements of one train step apart.
        places: columns that say where in a measurement a value belongs; whole numbers.
        values: columns of values, the least needed last.
        chosen: what it is of its tables; None is all of the one.
    """

    tables: tuple[str, ...]
    facets: tuple[str, ...]
    places: tuple[str, ...]
    values: tuple[str, ...]
    chosen: Callable[[Tables], pd.DataFrame] | None = None

    def rows(self, tables: Tables) -> pd.DataFrame | None:
        """The rows of it; None where none of its tables is there."""
        if not any(name in tables for name in self.tables):
            return None
        return self.chosen(tables) if self.chosen else tables[self.tables[0]]


def _part(frame: pd.DataFrame, rows: pd.Series, columns: list[str]) -> pd.DataFrame:
    """Some rows, with names as categories: a large run has millions, and names are most of them."""
    places = np.flatnonzero(rows)
    names = frame[columns].select_dtypes("str").columns
    kept = {
        column: (frame[column].astype("category") if column in names else frame[column]).array
        for column in columns
    }
    return pd.DataFrame({name: values.take(places) for name, values in kept.items()}, copy=False)


def _eigenvalues(tables: Tables) -> pd.DataFrame:
    frame = tables["spectra"]
    columns = ["trial", "seed", "train_step", "kind", "matrix", "t", "index", "real", "imag"]
    return _part(frame, frame["kind"] != "product", columns)


def _singular_values(tables: Tables) -> pd.DataFrame:
    """Those of every lag: of the probe that resolves them all, and where it is wanting of spectra.

    A lag that both have is the former's.
    """
    parts, columns = [], ["trial", "seed", "train_step", "lag", "index", "log_value"]
    if "singular_values" in tables:
        parts.append(tables["singular_values"][columns])
    if "spectra" in tables:
        frame = tables["spectra"]
        products = _part(frame, frame["kind"] == "product", [*columns[:3], "t", "k", *columns[4:]])
        parts.append(products.assign(lag=products["t"] - products["k"])[columns])
    if len(parts) == 1:
        return parts[0]
    whole = pd.concat(parts, ignore_index=True)
    return whole.drop_duplicates(["trial", "train_step", "lag", "index"], keep="first")


SOURCES = {
    "norms": Source(
        ("jacobian_norms",),
        ("sequence", "block"),
        ("t", "k"),
        ("log_spectral_norm", "log_frobenius_norm"),
    ),
    "adjoints": Source(("adjoint_norms",), ("block", "tbptt_length"), ("t",), ("log_norm",)),
    "singular": Source(
        ("singular_values", "spectra"), ("lag",), ("index",), ("log_value",), _singular_values
    ),
    "eigenvalues": Source(
        ("spectra",), ("kind", "matrix", "t"), ("index",), ("real", "imag"), _eigenvalues
    ),
    "gates": Source(("gates",), ("gate",), ("unit", "t"), ("value",)),
    "saturation": Source(("saturation",), ("gate",), (), ("low", "high", "mean")),
}


def sources(tables: Tables) -> dict[str, pd.DataFrame]:
    """The rows of each source that the tables hold something of."""
    there = {name: source.rows(tables) for name, source in SOURCES.items()}
    return {name: rows for name, rows in there.items() if rows is not None and len(rows)}
