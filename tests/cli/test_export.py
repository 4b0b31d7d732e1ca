"""gradscope export."""

import sys

import pytest

from tests.cli.conftest import invoke, refused


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_every_trial_is_written_for_tensorboard(recorded, tmp_path):
    result = invoke("export", recorded, "--tensorboard", tmp_path / "logs")
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"2 trials -> {tmp_path}/logs; look with: tensorboard")
    events = (tmp_path / "logs").rglob("events.*")
    assert len({path.parent for path in events}) == 2  # settings have a file beside the scalars'


def test_without_tensorboard_the_message_names_the_extra(recorded, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert "[tensorboard]" in refused("export", recorded, "--tensorboard", tmp_path / "logs")


def test_bad_input(recorded, tmp_path):
    message = refused("export", tmp_path / "nowhere", "--tensorboard", tmp_path / "logs")
    assert "does not exist" in message
    assert "Missing option '--tensorboard'" in invoke("export", recorded).output
