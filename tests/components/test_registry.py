"""Names and classes: read off the folder, registered by others, taken out again."""

import subprocess
import sys
from pathlib import Path

import pytest

import gradscope
from gradscope.clips.none import NoClip
from gradscope.components import marks, registry
from gradscope.components.base import Component, name_of
from gradscope.components.options import component, dump
from gradscope.errors import UnknownNameError

COMPONENTS = [(kind, name) for kind in registry.FOLDERS for name in registry.names(kind)]
#: options without a default, for components that have some
NEEDED = {"task": {"length": 12}, "influence_balancing": {"length": 20, "lag": 5}}


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_the_files_of_the_folder_are_the_names(kind):
    folder = Path(gradscope.__file__).parent / registry.FOLDERS[kind]
    files = {path.stem for path in folder.glob("[!_]*.py")}
    assert files
    assert set(registry.names(kind)) == files
    assert registry.names(kind) == sorted(files)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda part: part)
def test_a_component_is_found_by_the_name_of_its_file(kind, name):
    cls = registry.get(kind, name)
    assert name_of(cls) == name
    assert cls.__module__ == f"gradscope.{registry.FOLDERS[kind]}.{name}"
    assert cls.component_kind == kind


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda part: part)
def test_every_component_is_documented_and_survives_yaml(kind, name):
    import yaml

    cls = registry.get(kind, name)
    assert len((cls.__doc__ or "").split("\n\n")[0]) > 20
    fields = registry.options(cls).model_fields
    assert not [
        key for key, field in fields.items() if not field.description and not field.metadata
    ], "options without a word"
    given = NEEDED.get(name, NEEDED.get(kind, {}))
    made = component(
        kind, {"name": name, **{key: value for key, value in given.items() if key in fields}}
    )
    written = yaml.safe_dump({"it": dump(made)})
    again = component(kind, marks.read(written, "it.yaml")["it"])
    assert again == made
    assert dump(again) == dump(made)


def test_knowing_what_exists_imports_none_of_it():
    code = (
        "import sys; from gradscope.components import registry; "
        "assert all(registry.names(kind) for kind in registry.FOLDERS); "
        "print([m for m in sys.modules if m.startswith(('torch', 'gradscope.cells'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


def test_an_unknown_name():
    with pytest.raises(UnknownNameError, match=r"no clip called 'nome'; did you mean 'none'\?"):
        registry.get("clip", "nome")


@pytest.mark.parametrize("name", ["_clip", "__init__", "none.py", "../clips/none", "", "NONE"])
def test_a_file_that_is_no_component_is_no_name(name):
    with pytest.raises(UnknownNameError):
        registry.get("clip", name)


def test_a_wrong_file_is_refused():
    class Wrong:
        pass

    Wrong.__module__ = "gradscope.cells.right"
    with pytest.raises(ValueError, match=r"its file is right\.py"):
        registry.register("cell", "wrong")(Wrong)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no kind of component called 'cel'; did you mean 'cell'"):
        registry.register("cel", "mine")


def test_a_users_own_component_is_known_by_name():
    @registry.register("clip", "test_only")
    class Mine(NoClip):
        """Nothing."""

    assert "test_only" in registry.names("clip")
    assert registry.get("clip", "test_only") is Mine
    assert component("clip", "test_only").name == "test_only"


def a_clip(module: str = __name__) -> type:
    class Mine(NoClip):
        """Nothing."""

    Mine.__module__ = module
    return Mine


def test_a_class_may_be_registered_again_by_who_makes_it_again():
    first = registry.register("clip", "test_only")(a_clip())
    second = registry.register("clip", "test_only")(a_clip())
    assert registry.get("clip", "test_only") is second is not first


def test_in_a_notebook_the_last_one_of_a_name_counts():
    class Other(NoClip):
        """Nothing."""

    Other.__module__ = "__main__"
    registry.register("clip", "test_only")(a_clip("__main__"))
    registry.register("clip", "test_only")(Other)
    assert registry.get("clip", "test_only") is Other


def test_a_name_that_another_has_is_refused():
    registry.register("clip", "test_only")(a_clip("one.module"))
    with pytest.raises(ValueError, match=r"registered twice: by .*Mine of one\.module and by"):
        registry.register("clip", "test_only")(a_clip("another.module"))
    with pytest.raises(ValueError, match="by gradscope itself"):
        registry.register("clip", "none")(a_clip())


def test_what_a_module_registered_is_taken_out_and_put_back():
    inner = registry.register("clip", "inner")(a_clip("parts.inner"))
    outer = registry.register("clip", "outer")(a_clip("parts"))
    other = registry.register("clip", "other")(a_clip("parts_of_others"))
    everything = {("clip", "inner"): inner, ("clip", "outer"): outer}
    assert registry.registered_by(["parts"]) == everything
    assert registry.registered_by(["parts.inner"]) == {("clip", "inner"): inner}
    taken = registry.forget(["parts", "nothing"])
    assert taken == everything
    assert registry.registered_by(["parts"]) == {}
    assert registry.get("clip", "other") is other
    for name in ("inner", "outer"):
        assert name not in registry.names("clip")
    registry.restore(taken)
    assert registry.get("clip", "inner") is inner
    assert name_of(inner) == "inner"


def test_a_component_is_the_model_of_its_options_and_a_cell_has_one():
    assert registry.options(NoClip) is NoClip
    lstm = registry.get("cell", "lstm")
    model = registry.options(lstm)
    assert issubclass(model, Component)
    assert model is registry.options(lstm)
    assert "forget_bias" in model.model_fields
    assert not {"input_size", "generator", "dtype", "name"} & set(model.model_fields)


# --- installed packages ------------------------------------------------------------------------


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A function that puts a package with components where Python finds it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(package: str, text: str) -> None:
        (tmp_path / f"{package}.py").write_text(text)
        about = tmp_path / f"{package}-1.5.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.5\n")
        (about / "entry_points.txt").write_text(f"[gradscope.components]\n{package} = {package}\n")

    registry.load_entry_points.cache_clear()
    yield install
    registry.load_entry_points.cache_clear()


CLIP = "from gradscope.clips import register\nfrom gradscope.clips.none import NoClip\n\n"
MINE = '@register("{name}")\nclass {name}(NoClip):\n    """Nothing."""\n\n'


def test_components_of_an_installed_package_are_known(installed):
    installed("parts_h", CLIP + MINE.format(name="from_parts"))
    assert "from_parts" in registry.names("clip")
    assert component("clip", "from_parts").name == "from_parts"
    assert registry.load_entry_points()["parts_h"] == "parts_h 1.5"


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("1 / 0", "ZeroDivisionError"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        (MINE.format(name="global_norm"), "by gradscope itself"),
    ],
)
def test_an_installed_package_that_fails_is_left_out_whole(end, said, installed):
    installed("parts_i", CLIP + MINE.format(name="from_broken") + end)
    installed("parts_j", CLIP + MINE.format(name="from_whole"))
    with pytest.warns(UserWarning, match=rf"'parts_i' are left out.*{said}"):
        names = registry.names("clip")
    assert "from_whole" in names
    assert "from_broken" not in names
    assert set(registry.load_entry_points()) >= {"parts_j"}
    assert "parts_i" not in registry.load_entry_points()
