"""The layers hold, and everything registered is found by its file's name."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from gradscope.components import registry

ROOT = Path(__file__).parent.parent


def test_layers_hold():
    result = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports"))],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_file_stem_is_the_registered_name(kind):
    for name in registry.names(kind):
        assert registry.name_of(registry.get(kind, name)) == name


COMPONENTS = [(kind, name) for kind in registry.FOLDERS for name in registry.names(kind)]
#: options without a default, for components that have some
NEEDED = {"task": {"length": 12}, "influence_balancing": {"length": 20, "lag": 5}}


@pytest.mark.parametrize(("kind", "name"), COMPONENTS, ids=lambda part: part)
def test_every_component_is_documented_and_survives_yaml(kind, name):
    import yaml

    from gradscope.components import marks
    from gradscope.components.options import component, dump

    cls = registry.get(kind, name)
    assert len((cls.__doc__ or "").split("\n\n")[0]) > 20
    fields = registry.options(cls).model_fields
    assert not [
        key for key, field in fields.items() if not field.description and not field.metadata
    ], "options without a word"
    given = NEEDED.get(name, NEEDED.get(kind, {}))
    one = component(
        kind, {"name": name, **{key: value for key, value in given.items() if key in fields}}
    )
    written = yaml.safe_dump({"it": dump(one)})
    again = component(kind, marks.read(written, "it.yaml")["it"])
    assert again == one
    assert dump(again) == dump(one)


def test_a_wrong_name_is_refused():
    class Wrong:
        pass

    Wrong.__module__ = "gradscope.cells.right"
    with pytest.raises(ValueError, match=r"its file is right\.py"):
        registry.register("cell", "wrong")(Wrong)


def test_a_users_own_component_is_known_by_name():
    from gradscope.clips.none import NoClip
    from gradscope.components.options import component

    @registry.register("clip", "test_only")
    class Mine(NoClip):
        """Nothing."""

    try:
        assert "test_only" in registry.names("clip")
        assert component("clip", "test_only").name == "test_only"
    finally:
        del registry._CLASSES["clip", "test_only"]


def test_public_names_exist():
    import gradscope

    for name in gradscope.__all__:
        assert getattr(gradscope, name) is not None
        assert name in dir(gradscope)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        gradscope.nothing  # noqa: B018


def test_nothing_calls_backward_but_trainings():
    """The loop of a trial, and that of a user's training which is run to be diagnosed."""
    allowed = {"train.py", "_trial.py"}
    for path in (ROOT / "gradscope").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "backward"
            ):
                assert path.name in allowed, path
