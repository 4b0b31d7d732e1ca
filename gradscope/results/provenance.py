"""Where and with what a run was made."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from importlib import metadata

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


def git_revision() -> str | None:
    """Of the working directory, with '+' where it has changes; None outside a repository."""
    try:
        head = _git("rev-parse", "--short=12", "HEAD")
        if head.returncode:
            return None
        changed = _git("status", "--porcelain", "-uno").stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if changed else "")


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=5)
