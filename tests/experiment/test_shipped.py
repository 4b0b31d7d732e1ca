"""Experiments that come with gradscope, found by name."""

from pathlib import Path

import pytest

from gradscope.errors import ConfigError
from gradscope.experiment import Experiment
from gradscope.experiment.shipped import folder, located, named, shipped

FILES = sorted(folder().rglob("*.yaml"))


def test_every_file_has_a_name():
    files = {name: path for name, path in shipped().items() if path.is_file()}
    assert sorted(files.values()) == FILES
    assert files["quickstart"].name == "quickstart.yaml"
    assert shipped()["lecture"].is_dir()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_experiment_is_good(path):
    experiment = Experiment.load(path)
    assert experiment.header.question
    assert experiment.trials


def test_a_name_may_leave_out_its_folder_and_number():
    expected = folder() / "lecture" / "04_bptt_sum.yaml"
    for name in ("lecture/04_bptt_sum", "04_bptt_sum", "bptt_sum"):
        assert located(name) == expected
    assert located("lecture/") == folder() / "lecture"


def test_a_path_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").write_text("task: adding")
    assert located("quickstart") == Path("quickstart")


def test_what_is_not_there_is_said_with_the_nearest_name():
    with pytest.raises(ConfigError, match="did you mean 'quickstart'"):
        located("quikstart")
    with pytest.raises(ConfigError, match=r"^no/such.yaml: there is no such file"):
        located("no/such.yaml")


def test_a_short_name_is_of_one_experiment_alone():
    assert named("quickstart") == folder() / "quickstart.yaml"
    assert named("bptt_sum") == named("lecture/04_bptt_sum")
    assert named("nothing") is None
