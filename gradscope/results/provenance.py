"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

import gradscope

#: packages that decide the numbers
_PACKAGES = ("torch", "numpy", "pandas", "scipy", "pyarrow")


def versions() -> dict[str, str]:
    """Of Python, of gradscope and of the packages that decide the numbers."""
    known = {"python": sys.version.split()[0], "gradscope": gradscope.__version__}
    for package in _PACKAGES:
        try:
            known[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return known


def hardware() -> dict[str, str | int | None]:
    """The machine in a few words: system, machine, processor, cpus."""
    processor = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            models = (line.split(":", 1)[1].strip() for line in lines if "model name" in line)
            processor = next(models, processor)
    except OSError:
        pass
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "processor": processor,
        "cpus": os.cpu_count(),
    }


def git_revision(folder: Path | None = None) -> str | None:
    """Twelve digits of the commit that a folder's repository stands at; None outside of one.

    Read from the repository's files: git itself would run programs that the repository's own
    settings name.

    Args:
        folder: None is the working directory.
    """
    try:
        place = (Path.cwd() if folder is None else folder).resolve()
        for above in (place, *place.parents):
            if (above / ".git").exists():
                return _head(above / ".git")
    except (OSError, ValueError):
        pass
    return None


def _head(git: Path) -> str | None:
    """The commit of HEAD, directly, by a branch's own file, or by the packed ones."""
    if git.is_file():  # of a worktree or a submodule
        git = git.parent / _line(git).removeprefix("gitdir:").strip()
    head = _line(git / "HEAD")
    if not head.startswith("ref:"):
        return _digits(head)
    branch = head.removeprefix("ref:").strip()
    common = git / _line(git / "commondir") if (git / "commondir").is_file() else git
    for root in (git, common):
        loose = (root / branch).resolve()
        if loose.is_relative_to(root.resolve()) and loose.is_file():
            return _digits(_line(loose))
    packed = common / "packed-refs"
    if packed.is_file():
        for line in packed.read_text(encoding="utf-8").splitlines():
            commit, _, name = line.partition(" ")
            if name == branch:
                return _digits(commit)
    return None


def _line(path: Path) -> str:
    """The first line of a short file."""
    with open(path, encoding="utf-8") as stream:
        return stream.readline(4096).strip()


def _digits(commit: str) -> str | None:
    """The first twelve digits of a commit's name, if it is one."""
    whole = re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", commit)
    return commit[:12] if whole else None
