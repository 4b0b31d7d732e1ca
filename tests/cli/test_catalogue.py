"""The text of ``gradscope list``."""

import pytest

from gradscope.cli._catalogue import text
from gradscope.components import registry
from gradscope.errors import UnknownNameError
from gradscope.experiment.shipped import shipped

KINDS = [*registry.FOLDERS, "experiment"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_listed_alone_as_among_all(kind):
    assert text(kind) in text()
    assert text(kind).splitlines()[0] == kind
    assert text(registry.FOLDERS.get(kind, "experiments")) == text(kind)


def test_every_line_fits_a_page():
    assert max(map(len, text().splitlines())) <= 100


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_every_component_has_its_options_and_their_defaults_below_it(kind):
    listed = " ".join(text(kind).split())
    for name in registry.names(kind):
        fields = registry.options(registry.get(kind, name)).model_fields
        for key in fields:
            assert f"{key}=" in listed.split(f" {name} ", 1)[1]


def test_a_component_in_full():
    lines = text("task", "copy_memory").splitlines()
    assert lines[0] == "task copy_memory"
    assert any(line.startswith("Solved: ") for line in lines)
    assert any(line.startswith("  length: int = 100    ") for line in lines)
    assert "No options." in text("init", "np_rnn")
    assert "  recurrent_init: an init = uniform" in text("cell", "rnn")
    assert "'arjovsky'" in text("task", "copy_memory")


def test_required_options_say_so():
    from gradscope.clips import Clip, register

    @register("demanding")
    class Demanding(Clip):
        """Needs a number."""

        factor: float

        def __call__(self, gradients, norm):
            return norm

    assert "factor=(required)" in text("clip")
    assert "factor: float = (required)" in text("clip", "demanding")


def test_an_experiment_in_full():
    full = text("experiment", "bptt_sum")
    assert full.splitlines()[0] == "experiment bptt_sum"
    for title in ("Question: ", "Answer: ", "Source: "):
        assert f"\n{title}" in full
    assert f"File: {shipped()['lecture/04_bptt_sum']}" in full
    assert full.endswith("Run:  gradscope run bptt_sum")
    assert text("experiments", "04_bptt_sum") == full.replace(" bptt_sum", " 04_bptt_sum")


@pytest.mark.parametrize("name", ["nothing_like_it", "lecture"])
def test_a_name_of_no_experiment(name):
    with pytest.raises(UnknownNameError, match=f"no experiment called '{name}'.*quickstart"):
        text("experiment", name)


def test_a_kind_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="no kind of component called 'cels'; did you mean"):
        text("cels")
