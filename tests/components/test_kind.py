"""Kind: the typed view of one kind of component."""

import importlib

import pytest

from gradscope.cells import CELLS, Cell
from gradscope.clips import CLIPS, Clip
from gradscope.clips.none import NoClip
from gradscope.components import Kind, name_of, registry
from gradscope.errors import ConfigError, UnknownNameError
from gradscope.probes import PROBES

#: what the package of each kind calls its view
VIEWS = {kind: f"{folder.upper()}" for kind, folder in registry.FOLDERS.items()}


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_every_package_exports_the_view_of_its_kind(kind):
    package = importlib.import_module(f"gradscope.{registry.FOLDERS[kind]}")
    view = getattr(package, VIEWS[kind])
    assert isinstance(view, Kind)
    assert view.name == kind
    assert view.names() == registry.names(kind)
    assert package.register.__self__ is view


def test_names_and_classes_go_together():
    assert [name_of(cls) for cls in CLIPS.classes()] == CLIPS.names()
    assert all(issubclass(cls, Clip) for cls in CLIPS.classes())
    assert all(issubclass(cls, Cell) for cls in CELLS.classes())
    assert CLIPS.get("none") is NoClip
    assert repr(CLIPS) == f"clip: {', '.join(CLIPS.names())}"


def test_a_name_that_does_not_exist():
    with pytest.raises(UnknownNameError, match=r"no cell called 'lstn'; did you mean 'lstm'\?"):
        CELLS.get("lstn")


def test_make_takes_a_name_a_mapping_or_what_is_made():
    clip = CLIPS.make({"name": "global_norm", "max_norm": 2.0})
    assert clip.max_norm == 2.0
    assert CLIPS.make(clip) is clip
    assert CLIPS.make("none") == NoClip()
    options = CELLS.make({"name": "lstm", "hidden_size": 7})
    assert CELLS.make(options) is options


def test_make_refuses_a_component_of_another_kind():
    with pytest.raises(ConfigError, match="clip: should be a clip, got the probe 'spectra'"):
        CLIPS.make(PROBES.make("spectra"), key="clip")
    with pytest.raises(ConfigError, match="should be a probe, got the cell 'lstm'"):
        PROBES.make(CELLS.make("lstm"))


def test_make_tells_the_place_that_it_is_given():
    with pytest.raises(UnknownNameError) as caught:
        CELLS.make("lstn", place="file.yaml:3:7", key="cell")
    assert str(caught.value).startswith("file.yaml:3:7: cell.name: there is no cell called 'lstn'")


def test_register_is_of_that_kind():
    @CLIPS.register("test_only")
    class Mine(NoClip):
        """Nothing."""

    assert "test_only" in CLIPS.names()
    assert CLIPS.make("test_only").name == "test_only"
    assert isinstance(CLIPS.make("test_only"), Mine)
    assert "test_only" not in PROBES.names()
