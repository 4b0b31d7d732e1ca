"""Damage is found, told and set aside; the trials that it spoils are not recorded any more."""

import json
import shutil

import pytest

from gradscope.errors import RunDirectoryError
from gradscope.results import tables
from gradscope.results.damage import damage, manifest_or_none, migrate, set_aside, spoilt, told
from gradscope.results.preparation import prepare_directory
from tests.results.conftest import run_by_hand

TRIAL = "lstm201"


@pytest.fixture
def run(tmp_path):
    return run_by_hand(tmp_path / "run")


def found(run):
    return [(d.file, d.trial, d.spoils) for d in damage(run, run.manifest())]


def first_format(run):
    """The same run as the first version wrote it: no ledgers, no checksums."""
    shutil.rmtree(run.path / "ledger")
    content = json.loads(run.manifest_path.read_text())
    del content["sha256"]
    run.manifest_path.write_text(json.dumps({**content, "format": 1}))


def test_a_whole_run_has_none(run):
    assert found(run) == []
    assert set_aside(run, []) == []
    assert not (run.path / "damaged").exists()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-9]), "it ends after"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "changed after it was written"),
        (lambda path: path.unlink(), "is missing"),
        (lambda path: path.write_bytes(b""), "it ends after 0 of"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
)
def test_a_file_cut_short_changed_or_missing_spoils_its_trial(run, change, what):
    path = run.path / "tables" / "memory_horizon" / f"{TRIAL}.parquet"
    change(path)
    (only,) = damage(run, run.manifest())
    assert (only.file, only.trial) == (f"tables/memory_horizon/{TRIAL}.parquet", TRIAL)
    assert what in only.what
    assert told(run.path, [only]).endswith("1 trial will be run again")
    set_aside(run, [only])
    assert TRIAL not in run.done()
    assert len(run.done()) == 7
    assert TRIAL not in set(tables.load(run)["memory_horizon"]["trial"])


def test_shards_of_two_trials_swapped(run):
    folder = run.path / "tables" / "trials"
    one, other = folder / "lstm200.parquet", folder / f"{TRIAL}.parquet"
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)
    assert spoilt(damage(run, run.manifest())) == ["lstm200", TRIAL]


def test_a_ledger_that_is_damaged_or_anothers(run):
    ledger = run.path / "ledger" / f"{TRIAL}.json"
    shutil.copy(run.path / "ledger" / "lstm200.json", ledger)
    assert (f"ledger/{TRIAL}.json", TRIAL, True) in found(run)
    ledger.write_text("{}")
    assert (f"ledger/{TRIAL}.json", TRIAL, True) in found(run)
    with pytest.raises(RunDirectoryError, match=rf"ledger/{TRIAL}\.json: damaged"):
        tables.load(run)


def test_files_of_no_trial_are_named_and_spoil_nothing(run):
    folder = run.path / "tables" / "trials"
    shutil.copy(folder / f"{TRIAL}.parquet", folder / f"{TRIAL} (1).parquet")
    (run.path / "tables" / "extra").mkdir()
    shutil.copy(folder / f"{TRIAL}.parquet", run.path / "tables" / "extra" / f"{TRIAL}.parquet")
    assert found(run) == [
        (f"tables/extra/{TRIAL}.parquet", TRIAL, False),
        (f"tables/trials/{TRIAL} (1).parquet", "", False),
    ]
    set_aside(run, damage(run, run.manifest()))
    assert found(run) == []
    assert len(run.done()) == 8
    assert (run.path / "damaged" / "1" / "tables" / "trials" / f"{TRIAL} (1).parquet").is_file()


def test_what_a_killed_trial_left_is_no_damage(run):
    (run.path / "ledger" / f"{TRIAL}.json").unlink()
    assert found(run) == []


def test_settings_that_are_no_longer_those_of_the_manifest(run):
    ledger = run.ledger(TRIAL)
    run.write_ledger(ledger.model_copy(update={"settings": "0" * 64}))
    ((file, trial, spoils),) = found(run)
    assert (file, trial, spoils) == (f"ledger/{TRIAL}.json", TRIAL, True)


def test_nothing_is_set_aside_over_what_was_before(run):
    path = run.path / "tables" / "trials" / f"{TRIAL}.parquet"
    for content in (b"one", b"two"):
        path.write_bytes(content)
        run.write_ledger(run.ledger("lstm200").model_copy(update={"trial": TRIAL}))
        set_aside(run, damage(run, run.manifest()))
    kept = sorted((run.path / "damaged").rglob(f"trials/{TRIAL}.parquet"))
    assert [path.read_bytes() for path in kept] == [b"one", b"two"]


def test_a_manifest_that_is_damaged_or_lost_is_made_again(run):
    wanted = run.manifest()
    for change in (lambda path: path.write_text("{"), lambda path: path.unlink()):
        change(run.manifest_path)
        manifest, ((first),) = manifest_or_none(run)
        assert manifest is None
        assert first.file == "manifest.json"
        assert damage(run, None) == []
        prepare_directory(run, wanted, "cpu")
        assert len(run.done()) == 8
        assert len(tables.load(run)["trials"]) == 8


def test_a_run_of_the_first_format_is_read_and_migrated(run):
    whole = tables.load(run)["memory_horizon"]
    first_format(run)
    assert len(run.done()) == 8
    assert tables.load(run)["memory_horizon"].equals(whole)
    assert found(run) == []
    migrate(run)
    assert run.manifest().format == 2
    assert len(run.done()) == 8
    assert tables.load(run)["memory_horizon"].equals(whole)
    (run.path / "tables" / "trials" / f"{TRIAL}.parquet").write_bytes(b"x")
    assert spoilt(damage(run, run.manifest())) == [TRIAL]


def test_of_the_first_format_what_cannot_be_read_is_run_again(run):
    first_format(run)
    wanted = run.manifest()
    (run.path / "tables" / "memory_horizon" / f"{TRIAL}.parquet").write_bytes(b"PAR1 no")
    prepared = prepare_directory(run, wanted, "cpu")
    assert spoilt(prepared.damaged) == [TRIAL]
    assert len(run.done()) == 7


def test_a_seal_cannot_be_lost_by_calling_a_run_one_of_the_first_format(run):
    content = json.loads(run.manifest_path.read_text())
    run.manifest_path.write_text(json.dumps({**content, "format": 1}))
    with pytest.raises(RunDirectoryError, match="damaged"):
        run.manifest()
