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


def test_the_commit_of_a_branch_loose_or_packed_or_none(repository, tmp_path):
    repository("init", "-q")
    assert git_revision() is None  # nothing committed
    (tmp_path / "file").write_text("a")
    repository("add", "file")
    repository("commit", "-q", "-m", "one")
    commit = repository("rev-parse", "HEAD")[:12]
    assert git_revision() == commit
    (tmp_path / "below").mkdir()
    assert git_revision(tmp_path / "below") == commit
    repository("pack-refs", "--all")
    assert git_revision() == commit
    repository("checkout", "-q", "--detach")
    assert git_revision() == commit
    repository("worktree", "add", "-q", "-b", "other", str(tmp_path / "tree"))
    assert git_revision(tmp_path / "tree") == commit


def test_no_program_is_run_for_it(repository, tmp_path):
    """Not even one that the repository's own settings name."""
    repository("init", "-q")
    (tmp_path / "file").write_text("a")
    repository("add", "file")
    repository("commit", "-q", "-m", "one")
    commit = repository("rev-parse", "HEAD")[:12]
    repository("config", "core.fsmonitor", f"touch {tmp_path / 'ran'};")
    assert git_revision() == commit
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "head", ["", "ref:", "ref: refs/heads/../../../etc/passwd", "zz", "a" * 39, "\xff"]
)
def test_a_damaged_repository_has_no_revision(repository, tmp_path, head):
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").write_text(head)
    assert git_revision() is None
    (tmp_path / ".git" / "HEAD").unlink()
    assert git_revision() is None
