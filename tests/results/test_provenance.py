"""Where and with what a run was made."""

import os
import subprocess
import sys
from importlib import metadata

import pytest

import gradscope
from gradscope.results import provenance
from gradscope.results.provenance import git_revision, hardware, versions


def test_versions_are_those_of_what_runs():
    known = versions()
    assert known["python"] == ".".join(map(str, sys.version_info[:3]))
    assert known["gradscope"] == gradscope.__version__
    for package in ("torch", "numpy", "pandas", "scipy", "pyarrow"):
        assert known[package] == metadata.version(package)


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGES", ("numpy", "nothing-of-that-name"))
    assert set(versions()) == {"python", "gradscope", "numpy"}


def test_hardware_in_a_few_words():
    known = hardware()
    assert set(known) == {"system", "machine", "processor", "cpus"}
    assert known["cpus"] == os.cpu_count()
    assert all(isinstance(known[part], str) for part in ("system", "machine", "processor"))


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A git repository with one committed file, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for variable in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(variable, raising=False)

    def git(*arguments: str) -> str:
        who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        done = subprocess.run(["git", *who, *arguments], check=True, capture_output=True, text=True)
        return done.stdout.strip()

    return git


def test_no_repository_no_revision(repository):
    assert git_revision() is None


def test_a_revision_says_whether_there_are_changes(repository, tmp_path):
    repository("init", "-q")
    assert git_revision() is None  # nothing committed
    (tmp_path / "file").write_text("a")
    repository("add", "file")
    repository("commit", "-q", "-m", "one")
    revision = git_revision()
    assert revision is not None
    assert repository("rev-parse", "HEAD").startswith(revision)
    assert len(revision) == 12
    (tmp_path / "stranger").write_text("b")
    assert git_revision() == revision
    (tmp_path / "file").write_text("c")
    assert git_revision() == f"{revision}+"


@pytest.mark.parametrize("error", [FileNotFoundError, subprocess.TimeoutExpired("git", 5)])
def test_without_git_there_is_no_revision(error, monkeypatch):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert git_revision() is None
