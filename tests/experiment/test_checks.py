"""Files, truncation and lengths of one trial; the messages are in test_bad_input."""

import pytest

from gradscope.components import marks
from gradscope.components.mistakes import Mistakes
from gradscope.errors import ConfigError
from gradscope.experiment import Experiment
from gradscope.experiment.checks import checked, place_of

LM = "task: {name: char_lm, corpus: %s, length: 5}\ncell: rnn\n"


@pytest.fixture
def folder(tmp_path):
    """A folder with an experiment and a text, which is not the present one."""
    path = tmp_path / "questions"
    path.mkdir()
    (path / "my.txt").write_text("a text that a model can learn " * 20)
    return path


def corpus_of(experiment: Experiment) -> str:
    return experiment.trials[0].settings.task.corpus


def test_a_path_is_relative_to_its_file(folder, monkeypatch, tmp_path):
    (folder / "lm.yaml").write_text(LM % "my.txt")
    (folder / "up.yaml").write_text(LM % "../questions/my.txt")
    expected = str(folder / "my.txt")
    for place in (tmp_path, folder):
        monkeypatch.chdir(place)
        for name in ("lm.yaml", "up.yaml"):
            assert corpus_of(Experiment.load(folder / name)) == expected
    monkeypatch.chdir(folder)
    assert corpus_of(Experiment.load("lm.yaml")) == expected


def test_an_absolute_path_and_a_known_name_stay(folder):
    (folder / "lm.yaml").write_text(LM % (folder / "my.txt"))
    assert corpus_of(Experiment.load(folder / "lm.yaml")) == str(folder / "my.txt")
    (folder / "stdlib").write_text("not this one")
    (folder / "lm.yaml").write_text(LM % "stdlib")
    assert corpus_of(Experiment.load(folder / "lm.yaml")) == "stdlib"


def test_a_path_in_a_sweep_is_relative_to_the_file_as_well(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (folder / "other.txt").write_text("another text that is long enough " * 20)
    (folder / "lm.yaml").write_text(LM % "my.txt" + "sweep: {task.corpus: [my.txt, other.txt]}")
    experiment = Experiment.load(folder / "lm.yaml")
    assert [trial.settings.task.corpus for trial in experiment.trials] == [
        str(folder / "my.txt"),
        str(folder / "other.txt"),
    ]
    assert experiment.configurations == ["my.txt", "other.txt"]


def test_an_override_is_relative_to_where_it_was_typed(folder, monkeypatch, tmp_path):
    (folder / "lm.yaml").write_text(LM % "stdlib")
    (tmp_path / "here.txt").write_text("a text beside the one who types " * 20)
    monkeypatch.chdir(tmp_path)
    loaded = Experiment.load(folder / "lm.yaml", {"task.corpus": "here.txt"})
    assert corpus_of(loaded) == str(tmp_path / "here.txt")
    whole = {"task": marks.read("value: {name: char_lm, corpus: here.txt}", "--set")["value"]}
    assert corpus_of(Experiment.load(folder / "lm.yaml", whole)) == str(tmp_path / "here.txt")


def test_without_a_file_paths_are_relative_to_the_present_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    content = {"task": {"name": "char_lm", "corpus": "my.txt", "length": 9}, "cell": "rnn"}
    assert corpus_of(Experiment.of(content)) == str(folder / "my.txt")
    assert corpus_of(Experiment.parse(LM % "my.txt")) == str(folder / "my.txt")


def test_a_folder_of_images_is_relative_to_its_file(folder):
    (folder / "digits.yaml").write_text("task: {name: digits, data: nowhere}\ncell: rnn")
    with pytest.raises(ConfigError) as caught:
        Experiment.load(folder / "digits.yaml")
    assert str(folder / "nowhere") in str(caught.value)


@pytest.mark.parametrize("content", [b"caf\xe9 " * 100, b" \n"])
def test_a_text_that_cannot_be_read_is_refused_with_its_place(folder, content):
    (folder / "my.txt").write_bytes(content)
    (folder / "lm.yaml").write_text(LM % "my.txt")
    with pytest.raises(ConfigError) as caught:
        Experiment.load(folder / "lm.yaml")
    assert str(caught.value).startswith(f"{folder / 'lm.yaml'}:1:31: task.corpus: ")


def test_what_depends_on_a_mistake_is_not_checked():
    text = "task: {name: adding, length: 9}\ncell: rnn\ntraining: {tbptt_stride: 3}\n"
    section = marks.read(text + "evaluation: {lengths: [1]}", "file.yaml")
    settings = Experiment.parse("task: {name: adding, length: 9}\ncell: rnn").trials[0].settings
    wrong = settings.model_copy(
        update={
            "training": settings.training.model_copy(update={"tbptt_stride": 3}),
            "evaluation": settings.evaluation.model_copy(update={"lengths": [1]}),
        }
    )
    for key, count in (("", 2), ("training.steps", 1), ("evaluation.every", 1), ("task", 1)):
        mistakes = Mistakes()
        if key:
            mistakes.add(ConfigError("wrong", key=key))
        checked(wrong, section, mistakes)
        assert len(mistakes.found) == count + bool(key), key


def test_the_nearest_place_that_is_known():
    section = marks.read("a:\n  b: {c: 1}\nd: x", "file.yaml")
    assert str(place_of(section, "a", "b", "c")) == "file.yaml:2:10"
    assert str(place_of(section, "a", "b", "z")) == "file.yaml:2:6"
    assert str(place_of(section, "d", "z")) == "file.yaml:3:4"
    assert str(place_of(section, "z")) == "file.yaml:1:1"
