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
    files = {path.relative_to(root).with_suffix("").as_posix(): path for path in _yaml_in(root)}
    folders = {path.parent for path in files.values()} - {root}
    return files | {path.relative_to(root).as_posix(): path for path in sorted(folders)}


def located(name: str | Path) -> Path:
    """The file, or folder, that somebody means: a path, or the name of a shipped experiment.

    A path that exists goes first. The name of a shipped experiment may leave out its folder, and
    the number in front of it.

    Raises:
        ConfigError: if there is neither; the message suggests what there is.
    """
    path = Path(name)
    if path.exists():
        return path
    known = shipped()
    wanted = str(name).removesuffix("/")
    if wanted in known:
        return known[wanted]
    ends = [place for full, place in known.items() if wanted in _short_names(full)]
    if len(ends) == 1:
        return ends[0]
    if path.suffix or len(path.parts) > 1:
        files = path.parent.glob("*.y*ml") if path.parent.is_dir() else ()
        near = sorted(str(file) for file in files)
        hint = suggest(str(path), near) if near else "check the path"
        raise ConfigError(f"there is no such file; {hint}", where=str(path))
    raise ConfigError(
        f"there is no such file, and no experiment of that name comes with gradscope; "
        f"{suggest(wanted, known)}",
        where=wanted,
    )


def _short_names(full: str) -> set[str]:
    last = full.rpartition("/")[2]
    number, _, rest = last.partition("_")
    return {last, rest} if number.isdigit() and rest else {last}


def _yaml_in(root: Path) -> list[Path]:
    return sorted(root.rglob("*.yaml"))
