"""Ledgers: what was written of a trial, and whether a file is it."""

import pytest
from pydantic import ValidationError

from gradscope.errors import DamagedError
from gradscope.results.ledger import FileEntry, Ledger, settings_digest
from gradscope.results.seals import sealed
from tests.results.conftest import entry

CONTENT = b"a shard"
LEDGER = Ledger(trial="aaa", settings="s", files={"tables/x/aaa.parquet": FileEntry.of(CONTENT)})


def test_round_trip(tmp_path):
    path = tmp_path / "aaa.json"
    path.write_bytes(LEDGER.content())
    assert Ledger.read(path) == LEDGER


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("tables/x/aaa.parquet", CONTENT, ""),
        ("tables/x/aaa.parquet", b"a sharp", "changed after it was written"),
        ("tables/x/aaa.parquet", b"a sh", "it ends after 4 of 7 bytes"),
        ("tables/x/aaa.parquet", CONTENT + b"!", "changed after it was written"),
        ("tables/x/aaa.parquet", None, "it is missing"),
        ("tables/y/aaa.parquet", None, ""),
        ("tables/y/aaa.parquet", CONTENT, "its trial's ledger does not know it"),
    ],
)
def test_what_is_wrong_with_a_file(name, content, problem):
    found = LEDGER.problem(name, content)
    assert (found == "") == (problem == "")
    assert problem in found


def test_another_trials_ledger_and_one_without_files_are_damaged(tmp_path):
    (tmp_path / "bbb.json").write_bytes(LEDGER.content())
    with pytest.raises(DamagedError, match="it is that of the trial aaa"):
        Ledger.read(tmp_path / "bbb.json")
    (tmp_path / "aaa.json").write_bytes(sealed({"trial": "aaa"}))
    with pytest.raises(DamagedError, match="it lacks 'files'"):
        Ledger.read(tmp_path / "aaa.json")
    with pytest.raises(FileNotFoundError):
        Ledger.read(tmp_path / "ccc.json")


def test_the_settings_digest_tells_trials_apart():
    one = entry("aaa", seed=0)
    assert settings_digest(one) == settings_digest(entry("aaa", "another label", seed=0))
    assert settings_digest(one) != settings_digest(entry("aaa", seed=1))
    assert settings_digest(one) != settings_digest(one.model_copy(update={"contents": "0"}))


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "tables/../../x", "tables/a/b/c", "x"])
def test_a_ledger_names_files_of_its_run_alone(name):
    with pytest.raises(ValidationError):
        Ledger(trial="a", files={name: FileEntry(1, "0")})
