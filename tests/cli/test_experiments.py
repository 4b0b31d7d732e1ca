"""What commands that take experiments share."""

import pytest

from gradscope.cli._experiments import check_names, files_of, override
from gradscope.errors import ConfigError, GradscopeError
from gradscope.experiment import Experiment
from tests.cli.conftest import GOOD


def test_a_folder_is_all_yaml_files_in_it_and_a_file_is_itself(tmp_path, experiment):
    (tmp_path / "b.yml").write_text(GOOD)
    (tmp_path / "notes.txt").touch()
    assert files_of(str(tmp_path)) == (tmp_path, [tmp_path / "b.yml", experiment])
    assert files_of(str(experiment)) == (None, [experiment])
    (tmp_path / "empty").mkdir()
    with pytest.raises(GradscopeError, match="holds no YAML file"):
        files_of(str(tmp_path / "empty"))


def test_an_override_is_a_key_and_a_yaml_value():
    assert override("training.steps=500") == ("training.steps", 500)
    assert override("sweep.seed=[0, 1]") == ("sweep.seed", [0, 1])
    for text in ("training.steps", "=3", "a={", "a=[*x]", "a=&x [*x]", "a=\x1b"):
        with pytest.raises(GradscopeError, match="--set"):
            override(text)


def test_names_are_compared_as_a_file_system_may(tmp_path):
    def named(name):
        return Experiment.parse(GOOD, default_name=name)

    files = [tmp_path / "a.yaml", tmp_path / "b.yaml"]
    check_names(files, [named("one"), named("two")])
    with pytest.raises(ConfigError, match=r"b.yaml: name: is named 'ONE', as a.yaml is"):
        check_names(files, [named("one"), named("ONE")])
