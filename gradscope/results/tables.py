"""Run directories -> tidy DataFrames, with the statistics that the report and ``gradscope show``
print.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gradscope.components.registry import suggest
from gradscope.errors import GradscopeError, RunDirectoryError
from gradscope.experiment.schema import MEASURES
from gradscope.results.records import RunDirectory

#: ln ||ds_T/ds_0|| beyond which a gradient is said to vanish (below -) or to explode (above +): a
#: factor of a thousand
STRONG = float(np.log(1e3))


class UnknownTableError(GradscopeError, KeyError):
    """A table that was not measured."""

    __str__ = Exception.__str__


class Tables(Mapping[str, pd.DataFrame]):
    """The tables of a run by name; every row carries trial, configuration, length and seed.

    Attributes:
        manifest: of the run directory.
        configurations: labels in the order of the sweep.
        longest: configuration to its greatest task length, None where its task has none.
        axes: configuration to its labels on the sweep's axes.
        lengths: task lengths, ascending; empty where the task has none.
        moments: names of the first and the last measurement: before training and end of training,
            or, of a model that gradscope did not train, whatever its manifest says.
    """

    def __init__(
        self,
        frames: dict[str, pd.DataFrame],
        manifest: dict[str, Any],
        seconds: dict[str, dict[str, float]],
    ):
        self._frames, self.manifest, self.seconds = frames, manifest, seconds
        self.moments: tuple[str, str] = tuple(
            manifest.get("moments") or ("before training", "end of training")
        )
        self.configurations = list(
            dict.fromkeys(trial["configuration"] for trial in manifest["trials"])
        )
        self.longest: dict[str, int | None] = {}
        for trial in manifest["trials"]:
            label, length = trial["configuration"], trial["settings"]["task"].get("length")
            known = self.longest.get(label)
            self.longest[label] = length if known is None else max(known, length or known)
        found = {trial["settings"]["task"].get("length") for trial in manifest["trials"]}
        self.axes = {
            trial["configuration"]: (
                [v for axis, v in trial["axes"].items() if axis not in ("seed", "task.length")]
                or [""]
            )
            for trial in manifest["trials"]
        }
        self.lengths = sorted(length for length in found if length is not None)

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._frames:
            raise UnknownTableError(
                f"there is no table {name!r}; {suggest(name, list(self._frames))}"
            )
        return self._frames[name]

    def __repr__(self) -> str:
        return "Tables: " + (
            ", ".join(f"{name} ({len(frame)} rows)" for name, frame in self._frames.items())
            or "none"
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._frames)

    def __len__(self) -> int:
        return len(self._frames)

    def at_longest(self, frame: str | pd.DataFrame) -> pd.DataFrame:
        """The rows of a table (or of one of its parts) at each configuration's greatest task
        length.
        """
        frame = self[frame] if isinstance(frame, str) else frame
        greatest = frame["configuration"].map(self.longest).fillna(-1)
        return frame[frame["length"] == greatest]

    @property
    def where(self) -> str:
        """' at length 50', for a heading; '' where there is but one length, ' at the greatest
        length' where they differ.
        """
        greatest = set(self.longest.values())
        if len(self.lengths) < 2:
            return ""
        return (
            f" at length {greatest.pop()}"
            if len(greatest) == 1
            else " at each one's greatest length"
        )

    def same_time(self, frame: pd.DataFrame) -> bool:
        """Whether all sequences of a table with columns t and to_end (t - T) are of one length T."""
        return (frame["t"] - frame["to_end"]).nunique() <= 1

    def first_and_last(self, name: str) -> pd.DataFrame:
        """Each trial's first and last measurement in a probe's table, told apart by the column
        ``when``.
        """
        frame = self[name]
        by_trial = frame.groupby("trial")["train_step"]
        last = by_trial.transform("max")
        first, ever = (by_trial.transform("min"), -1) if self.manifest.get("moments") else (0, 0)
        early = frame[(frame["train_step"] == first) & ((first < last) | (ever == 0))].assign(
            when=self.moments[0]
        )
        late = frame[(frame["train_step"] == last) & (last > ever)].assign(when=self.moments[1])
        return pd.concat([early, late])


def load(run: RunDirectory) -> Tables:
    """All tables of a run.

    Raises:
        RunDirectoryError: if the directory is no run's, or holds no finished trial.
    """
    manifest = run.manifest()
    done = run.done()
    listed = [trial for trial in manifest["trials"] if trial["id"] in done]
    if not listed:
        raise RunDirectoryError(f"{run.path}: no trial is recorded yet; 'gradscope run' does that")
    about = pd.DataFrame(
        {
            "trial": [trial["id"] for trial in listed],
            "configuration": [trial["configuration"] for trial in listed],
            "length": [trial["settings"]["task"].get("length", -1) for trial in listed],
            "seed": [trial["settings"]["seed"] for trial in listed],
            "task": [trial["settings"]["task"]["name"] for trial in listed],
        }
    )
    frames = {}
    for name in run.tables():
        table = run.read(name, about["trial"])
        if table is not None:
            frame = table.to_pandas()
            if name == "lengths":  # its own length is that of the test
                frame = frame.rename(columns={"length": "test_length"})
            frames[name] = about.merge(frame, on="trial", how="right")
    return Tables(frames, manifest, {k: v for k, v in run.timing().items() if k in done})


def wilson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a proportion.

    Reference: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    interval = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def summary(tables: Tables) -> pd.DataFrame:
    """One row for each configuration and length.

    Columns: trials, solved, success_rate with its 95% Wilson interval (success_low, success_high),
    diverged_fraction, final_loss, wrong_fraction, a language model's bits per character or word and
    perplexity, and loss_over_baseline (medians over trials that did not diverge), steps_to_solve
    (median over solved trials), memory_horizon and growth_rate (medians over trials and sequences,
    block state, last measurement; *_initial: before training), clipped_fraction (mean over trials
    of the share of updates that the clip changed).
    """
    horizons = tables.first_and_last("memory_horizon") if "memory_horizon" in tables else None
    rows = []
    for (label, length), group in tables["trials"].groupby(["configuration", "length"], sort=False):
        count, solved = len(group), int((group["outcome"] == "solved").sum())
        low, high = wilson(solved, count)
        row: dict[str, Any] = {
            "configuration": label,
            "length": length,
            "trials": count,
            "solved": solved,
            "success_rate": solved / count,
            "success_low": low,
            "success_high": high,
            "diverged_fraction": (group["outcome"] == "diverged").mean(),
            "final_loss": group["final_loss"].median(),
            "baseline": group["baseline"].iloc[0],
            "loss_over_baseline": (group["final_loss"] / group["baseline"]).median(),
            "steps_to_solve": group["steps_to_solve"].median(),
            "wrong_fraction": group["wrong_fraction"].median(),
            **{
                name: group[name].median()
                for name in UNITS
                if name in group and group[name].notna().any()
            },
        }
        if horizons is not None:
            own = horizons[horizons["trial"].isin(group["trial"]) & (horizons["block"] == "state")]
            for when, suffix in zip(tables.moments, ("_initial", ""), strict=True):
                at = own[own["when"] == when]
                row[f"memory_horizon{suffix}"] = at["horizon"].median() if len(at) else np.nan
                row[f"growth_rate{suffix}"] = median(at["growth_rate"])
                row[f"log_norm{suffix}"] = median(at["log_norm"])
                row["steps"] = at["time"].median() if len(at) else row.get("steps", np.nan)
        if "training" in tables:
            own = tables["training"][tables["training"]["trial"].isin(group["trial"])]
            row["clipped_fraction"] = (
                (own["clip_coefficient"] < 1).groupby(own["trial"]).mean().mean()
            )
        rows.append(row)
    frame = pd.DataFrame(rows)
    frame["configuration"] = pd.Categorical(
        frame["configuration"], tables.configurations, ordered=True
    )
    return (
        frame.sort_values(["configuration", "length"])
        .astype({"configuration": str})
        .reset_index(drop=True)
    )


def median(values: pd.Series) -> float:
    """The median, infinities in their order; of an even number with one infinite middle, that
    infinity.
    """
    ordered = np.sort(values.dropna().to_numpy(dtype=float))
    if not len(ordered):
        return float("nan")
    low, high = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return float(low) if low == high else float((low + high) / 2)


#: a language model's loss in the field's units
UNITS = ("bits_per_character", "bits_per_word", "perplexity")

#: summary column -> (heading, unit) in print
HEADINGS = {
    "configuration": ("configuration", ""),
    "length": ("length", "steps"),
    "success": ("solved", "95% interval"),
    "final_loss": ("final test loss", ""),
    "loss_over_baseline": ("loss / baseline", ""),
    "bits_per_character": ("bits per character", ""),
    "bits_per_word": ("bits per word", ""),
    "perplexity": ("perplexity", ""),
    "wrong_fraction": ("wrong", "of answers"),
    "steps_to_solve": ("steps to solve", "updates"),
    "memory_horizon": ("memory horizon", "steps"),
    "growth_rate": ("growth rate", "nats/step"),
    "clipped_fraction": ("clipped", "of updates"),
    "diverged_fraction": ("diverged", "of trials"),
}


def formatted(frame: pd.DataFrame) -> pd.DataFrame:
    """The summary in print: rounded strings under headings; without lengths or divergence where
    there are none.
    """
    columns: dict[str, list[str]] = {}
    for key, (heading, unit) in HEADINGS.items():
        title = f"{heading} ({unit})" if unit else heading
        if key == "success":
            columns[title] = [
                f"{row.solved}/{row.trials} ({row.success_low:.0%}–{row.success_high:.0%})"
                for row in frame.itertuples()
            ]
        elif key == "diverged_fraction" and not frame[key].any():
            continue
        elif key in ("clipped_fraction", "diverged_fraction", "wrong_fraction") and key in frame:
            columns[title] = ["–" if pd.isna(value) else f"{value:.0%}" for value in frame[key]]
        elif key == "length" and (frame["length"] < 0).all():
            continue
        elif key in frame:
            columns[title] = [
                value if isinstance(value, str) else number(value) for value in frame[key]
            ]
    return pd.DataFrame(columns)


def number(value: float) -> str:
    """Three significant digits; – for what is not known."""
    if pd.isna(value):
        return "–"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"
    return text.replace("-", "−")


def fate(log_factor: float) -> str:
    """vanishes, explodes or stays in range: what ||ds_T/ds_0|| does over a sequence; the border is
    a factor of a thousand.
    """
    if np.isnan(log_factor):
        return "is not measured"
    return (
        "vanishes"
        if log_factor <= -STRONG
        else "explodes"
        if log_factor >= STRONG
        else "stays in range"
    )


_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def factor(log_value: float) -> str:
    """e^log_value as a power of ten."""
    if np.isinf(log_value):
        return "0" if log_value < 0 else "∞"
    exponent = log_value / np.log(10)
    return (
        f"{10**exponent:.2g}"
        if abs(exponent) < 3
        else "10" + f"{exponent:.0f}".translate(_SUPERSCRIPTS)
    )


def verdict(tables: Tables) -> list[str]:
    """The run in sentences, from the data alone."""
    frame, where = tables.at_longest(summary(tables)), tables.where
    sentences = []
    for name, chosen in (
        (f"Solved{where} by every seed", frame["solved"] == frame["trials"]),
        (
            f"Solved{where} by some seeds",
            (frame["solved"] > 0) & (frame["solved"] < frame["trials"]),
        ),
        (f"Solved{where} by no seed", frame["solved"] == 0),
    ):
        if chosen.any():
            detail = [
                f"{row.configuration} ({row.solved}/{row.trials})"
                for row in frame[chosen].itertuples()
            ]
            sentences.append(f"{name}: {_listed(detail)}.")
    if diverged := [
        f"{row.configuration} ({row.diverged_fraction:.0%} of trials)"
        for row in frame.itertuples()
        if row.diverged_fraction > 0
    ]:
        sentences.append(
            f"Diverged (a loss or gradient that is no longer a number): {_listed(diverged)}."
        )
    return sentences + (_fates(frame) if "growth_rate" in frame else [])


def _listed(names: list[str], most: int = 12) -> str:
    """The first of them, and how many more there are."""
    return (
        ", ".join(names)
        if len(names) <= most
        else f"{', '.join(names[: most - 2])} and {len(names) - most + 2} more"
    )


def _fates(frame: pd.DataFrame) -> list[str]:
    sentences = []
    steps = sorted({round(value) for value in frame["steps"].dropna()})
    over = (
        f"the {steps[0]} steps of a sequence"
        if len(steps) == 1
        else f"a sequence ({steps[0]} to {steps[-1]} steps)"
        if steps
        else ""
    )
    for column, when in (
        ("log_norm_initial", "Before training"),
        ("log_norm", "At the end of training"),
    ):
        fates: dict[str, list[str]] = {}
        for row in frame.to_dict("records"):
            if not pd.isna(row[column]):
                fates.setdefault(fate(row[column]), []).append(
                    f"{row['configuration']} (×{factor(row[column])})"
                )
        said = [
            f"{how} for {_listed(fates[how])}"
            for how in ("vanishes", "stays in range", "explodes")
            if how in fates
        ]
        if said:
            sentences.append(
                f"{when}, over {over}, the gradient of the last state with respect to the "
                f"first, ‖∂s_T/∂s_0‖, {'; it '.join(said)}."
            )
    return sentences


def held_against(tables: Tables) -> pd.DataFrame:
    """The experiment's predictions beside what was measured: claim, measured, predicted, held
    (True, False or None: unknown), and every: whether it holds for every seed against every seed,
    and not of medians or rates alone.
    """
    frame, rows = summary(tables), []
    for expected in tables.manifest.get("expect", []):
        measured = _measure(frame, tables, expected["configuration"], expected)
        bound = expected["above"] if expected["above"] is not None else expected["below"]
        against = (
            _measure(frame, tables, bound, expected) if isinstance(bound, str) else float(bound)
        )
        length = (
            expected["length"]
            if expected["length"] is not None
            else tables.longest[expected["configuration"]]
        )
        where = f" at length {length}" if len(tables.lengths) > 1 else ""
        known = not (np.isnan(measured) or np.isnan(against))
        held = (
            (measured > against if expected["above"] is not None else measured < against)
            if known
            else None
        )
        rows.append(
            {
                "claim": expected["claim"],
                "measured": (
                    f"{expected['measure'].replace('_', ' ')} of"
                    f" {expected['configuration']}{where}: {number(measured)}"
                ),
                "predicted": (
                    ("above " if expected["above"] is not None else "below ")
                    + (f"{bound}: {number(against)}" if isinstance(bound, str) else number(against))
                ),
                "held": held,
                "every": bool(held) and _apart(tables, expected, bound),
            }
        )
    return pd.DataFrame(rows, columns=["claim", "measured", "predicted", "held", "every"])


def _apart(tables: Tables, expected: dict[str, Any], bound: str | float) -> bool:
    """Whether each seed by itself lies on the predicted side of the bound, and of each seed of a
    configuration it names.
    """
    own = _by_seed(tables, expected["configuration"], expected)
    against = _by_seed(tables, bound, expected) if isinstance(bound, str) else [float(bound)]
    if any(np.isnan([*own, *against])):
        return False
    return min(own) > max(against) if expected["above"] is not None else max(own) < min(against)


def _by_seed(tables: Tables, label: str, expected: dict[str, Any]) -> list[float]:
    trials = tables["trials"][tables["trials"]["configuration"] == label]
    length = expected["length"] if expected["length"] is not None else tables.longest[label]
    chosen = trials if length is None else trials[trials["length"] == length]
    found = []
    for trial in chosen["trial"]:
        alone = Tables(
            {name: frame[frame["trial"] == trial] for name, frame in tables.items()},
            tables.manifest,
            {},
        )
        found.append(_measure(summary(alone), tables, label, expected))
    return found


def _measure(frame: pd.DataFrame, tables: Tables, label: str, expected: dict[str, Any]) -> float:
    assert expected["measure"] in MEASURES
    length = expected["length"] if expected["length"] is not None else tables.longest[label]
    own = frame[
        (frame["configuration"] == label)
        & ((frame["length"] == length) if length is not None else True)
    ]
    return (
        float(own[expected["measure"]].iloc[0])
        if len(own) and expected["measure"] in own
        else float("nan")
    )


def recording_cost(tables: Tables) -> dict[str, float]:
    """Seconds in all trials together: total, probes, evaluation."""
    return {
        key: sum(seconds.get(key, 0.0) for seconds in tables.seconds.values())
        for key in ("total", "probes", "evaluation")
    }
