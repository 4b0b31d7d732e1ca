"""Scalars for TensorBoard, read back as TensorBoard reads them."""

import pytest
from click.testing import CliRunner

from gradscope import GradscopeError
from gradscope.cli._group import main
from gradscope.results import export, tables
from gradscope.results.records import RunDirectory


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_was_recorded(tiny_run, tmp_path):
    result = CliRunner().invoke(main, ["export", str(tiny_run), "--tensorboard", str(tmp_path)])
    assert result.exit_code == 0, result.output
    assert "32 trials" in result.output
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    row = tables.load(RunDirectory(tiny_run))["training"].query(
        "configuration == 'LSTM · none' and length == 12 and seed == 1"
    )
    (folder,) = tmp_path.glob(f"LSTM___none-12-1-{row['trial'].iloc[0]}")
    events = EventAccumulator(str(folder))
    events.Reload()
    read = [event.value for event in events.Scalars("training/loss")]
    assert read == pytest.approx(row["loss"].tolist(), rel=1e-6)
    assert "memory_horizon/growth_rate" in events.Tags()["scalars"]


def test_without_tensorboard_the_message_names_the_extra(tiny_run, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(GradscopeError, match=r"gradscope\[tensorboard\]"):
        export.to_tensorboard(RunDirectory(tiny_run), tmp_path)
