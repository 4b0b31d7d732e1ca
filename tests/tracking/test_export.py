"""Scalars for TensorBoard, read back as TensorBoard reads them."""

import sys

import pytest

from gradscope.errors import MissingPackageError, RunDirectoryError
from gradscope.results import tables
from gradscope.results.preparation import prepare_directory
from gradscope.results.records import RunDirectory
from gradscope.tracking import export
from tests.results.conftest import entry, horizons, outcome, wanted


def events_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder))
    events.Reload()
    return events


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_was_recorded(tiny_run, tmp_path):
    assert export.to_tensorboard(RunDirectory(tiny_run), tmp_path) == 32
    row = tables.load(RunDirectory(tiny_run))["training"].query(
        "configuration == 'LSTM · none' and length == 12 and seed == 1"
    )
    (folder,) = tmp_path.glob(f"LSTM___none-12-1-{row['trial'].iloc[0]}")
    events = events_of(folder)
    read = [event.value for event in events.Scalars("training/loss")]
    assert read == pytest.approx(row["loss"].tolist(), rel=1e-6)
    assert "memory_horizon/growth_rate" in events.Tags()["scalars"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_infinite_horizons_are_left_out_and_so_are_other_blocks(tmp_path):
    run = RunDirectory(tmp_path / "run")
    prepare_directory(run, wanted(entry("aaa", "a/b c", length=20)), "cpu")
    steps: dict[str, list[object]] = {
        "train_step": [1, 2],
        "loss": [0.5, 0.25],
        "grad_norm_preclip": [4.0, 2.0],
        "grad_norm_postclip": [1.0, 1.0],
        "clip_coefficient": [0.25, 0.5],
    }
    tests: dict[str, list[object]] = {"train_step": [2], "loss": [0.5], "wrong_fraction": [1.0]}
    run.write_trial(
        "aaa",
        {
            "trials": outcome(0.5),
            "training": steps,
            "evaluation": tests,
            "memory_horizon": horizons(-10.0, 5.0),
        },
        {},
    )
    assert export.to_tensorboard(run, tmp_path / "logs") == 1
    events = events_of(tmp_path / "logs" / "a_b_c-20-0-aaa")
    read = {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }
    assert read == {
        "training/loss": [(1, 0.5), (2, 0.25)],
        "training/grad_norm_preclip": [(1, 4.0), (2, 2.0)],
        "training/grad_norm_postclip": [(1, 1.0), (2, 1.0)],
        "training/clip_coefficient": [(1, 0.25), (2, 0.5)],
        "evaluation/loss": [(2, 0.5)],
        "evaluation/wrong_fraction": [(2, 1.0)],
        "memory_horizon/growth_rate": [(0, -0.5), (6, 0.25)],
        "memory_horizon/horizon": [(0, 2.0)],
        "final/final_loss": [(6, 0.5)],
        "final/wrong_fraction": [(6, 0.5)],
        "final/solved": [(6, 0.0)],
        "final/diverged": [(6, 0.0)],
    }


def test_without_tensorboard_the_message_names_the_extra(tiny_run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackageError, match=r"gradscope-dynamics\[tensorboard\]"):
        export.to_tensorboard(RunDirectory(tiny_run), tmp_path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_is_no_run_is_not_exported(tmp_path):
    with pytest.raises(RunDirectoryError):
        export.to_tensorboard(RunDirectory(tmp_path / "nowhere"), tmp_path / "logs")
    assert not (tmp_path / "logs").exists()
