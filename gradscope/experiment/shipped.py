"""Experiments that come with gradscope, found by name."""

from __future__ import annotations

from pathlib import Path

import gradscope
from gradscope.components import suggest
from gradscope.errors import ConfigError


def folder() -> Path:
    """Where they lie: beside the package in a checkout, inside it where it is installed."""
    package = Path(gradscope.__file__).parent
    installed = package / "shipped"
    return installed if installed.is_dir() else package.parent / "experiments"


def shipped() -> dict[str, Path]:
    """Name to file, such as ``quickstart`` or ``lecture/04_bptt_sum``; name to folder as well."""
    root = folder()
    paths = sorted(root.rglob("*.yaml"))
    files = {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}
    folders = {path.parent for path in paths} - {root}
    return files | {path.relative_to(root).as_posix(): path for path in sorted(folders)}


def named(name: str) -> Path | None:
    """The shipped experiment, or folder of experiments, of that name; None if there is none.

    The name may leave out the folder and the number in front of it: ``lecture/04_bptt_sum`` is
    found as ``04_bptt_sum`` and as ``bptt_sum``.
    """
    known = shipped()
    if name in known:
        return known[name]
    matches = [path for full, path in known.items() if name in _short_names(full)]
    return matches[0] if len(matches) == 1 else None


def located(name: str | Path) -> Path:
    """The file, or folder, that somebody means: a path, or the name of a shipped experiment.

    A path that exists takes precedence.

    Raises:
        ConfigError: if there is neither; the message suggests what there is.
    """
    path = Path(name)
    if path.exists():
        return path
    wanted = str(name).removesuffix("/")
    by_name = named(wanted)
    if by_name is not None:
        return by_name
    if path.suffix or len(path.parts) > 1:
        neighbours = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
        files = sorted(str(file) for file in neighbours)
        hint = suggest(str(path), files) if files else "check the path"
        raise ConfigError(f"there is no such file; {hint}", where=str(path))
    raise ConfigError(
        f"there is no such file, and no experiment of that name comes with gradscope; "
        f"{suggest(wanted, shipped())}",
        where=wanted,
    )


def _short_names(full: str) -> set[str]:
    """``04_bptt_sum`` and ``bptt_sum`` of ``lecture/04_bptt_sum``."""
    last = full.rpartition("/")[2]
    number, _, rest = last.partition("_")
    return {last, rest} if number.isdigit() and rest else {last}
