"""The text and the JSON of ``gradscope list``."""

import json

import pytest

from gradscope.cli._catalogue import KINDS, entries
from gradscope.cli._listing import Page, listed_json, listing, refilled
from gradscope.components import registry
from gradscope.errors import UnknownNameError
from gradscope.experiment.shipped import shipped


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_listed(kind):
    assert listing(kind).splitlines()[0] == kind
    assert listing(KINDS[kind]) == listing(kind)


def test_all_that_exists_is_a_page_of_names():
    page = listing(width=80)
    for kind in KINDS:
        section = page.split(f"{kind}\n", 1)[1].split("\n\n")[0]
        assert " ".join(section.split()) == ", ".join(one.name for one in entries(kind))
    assert len(page.splitlines()) < 110  # what each is, and its options, would take hundreds


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("kind", [None, *KINDS])
def test_every_line_of_a_list_fits(width, kind):
    assert max(map(len, listing(kind, width=width).splitlines())) <= width


@pytest.mark.parametrize("kind", KINDS)
def test_in_full_all_but_formulas_and_examples_fits_80_columns(kind):
    for one in entries(kind):
        for line in Page(80).entry(one).splitlines():
            assert len(line) <= 80 or line.startswith(("    ", "File:")), (one.name, line)


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_every_component_has_its_options_and_their_defaults_below_it(kind):
    listed = " ".join(listing(kind).split())
    for name in registry.names(kind):
        fields = registry.options(registry.get(kind, name)).model_fields
        for key in fields:
            assert f"{key}=" in listed.split(f" {name} ", 1)[1]


def test_a_component_in_full():
    lines = listing("task", "copy_memory").splitlines()
    assert lines[0] == "task copy_memory"
    assert any(line.startswith("Solved: ") for line in lines)
    assert any(line.startswith("  length: int = 100    ") for line in lines)
    assert "No options." in listing("init", "np_rnn")
    assert "  recurrent_init: an init = uniform" in listing("cell", "rnn")
    assert "'arjovsky'" in listing("task", "copy_memory")


def test_a_name_without_its_kind():
    assert listing("lstm_variant") == listing("cell", "lstm_variant")
    assert listing("success_rate") == listing("measure", "success_rate")
    assert listing("training") == listing("key", "training")
    both = listing("clipping")
    assert both == f"{listing('plot', 'clipping')}\n\n\n{listing('experiment', 'clipping')}"


def test_an_option_by_its_name():
    text = listing("peepholes")
    assert text.startswith("option peepholes\n\nof cell lstm_variant:\n    whether the gates see")


def test_an_experiment_in_full():
    full = listing("experiment", "bptt_sum")
    assert full.splitlines()[0] == "experiment bptt_sum"
    for title in ("Question: ", "Answer: ", "Source: "):
        assert f"\n{title}" in full
    assert f"File: {shipped()['lecture/04_bptt_sum']}" in full
    assert full.endswith("Run:  gradscope run bptt_sum")
    assert listing("experiments", "04_bptt_sum") == full.replace(" bptt_sum", " 04_bptt_sum")


def test_required_options_say_so():
    from gradscope.clips import Clip, register

    @register("demanding")
    class Demanding(Clip):
        """Needs a number."""

        factor: float

        def __call__(self, gradients, norm):
            return norm

    assert "factor=(required)" in listing("clip")
    assert "factor: float = (required)" in listing("clip", "demanding")


def test_json_has_what_the_text_has():
    known = {(one.kind, one.name) for kind in KINDS for one in entries(kind)}
    everything = json.loads(listed_json())
    assert {(one["kind"], one["name"]) for one in everything} == known
    (lstm,) = json.loads(listed_json("cell", "lstm"))
    assert lstm["options"][0] == {
        "name": "hidden_size",
        "type": "int",
        "default": 64,
        "required": False,
        "about": "H, the number of units: length of the output h and of each gate",
    }
    assert [one["kind"] for one in json.loads(listed_json("gru"))] == ["cell", "remedy"]
    assert [one["name"] for one in json.loads(listed_json("peepholes"))] == ["lstm_variant"]
    assert {one["kind"] for one in json.loads(listed_json("probes"))} == {"probe"}


def test_formulas_stay_as_they_are():
    text = "One two\nthree.\n\n    a = b\n      + c\n\n- first\n  item\n- second"
    assert refilled(text, 40) == "One two three.\n\n    a = b\n      + c\n\n- first item\n- second"


@pytest.mark.parametrize("function", [listing, listed_json])
def test_a_name_that_does_not_exist(function):
    with pytest.raises(UnknownNameError, match="did you mean 'lstm'"):
        function("lstn")
