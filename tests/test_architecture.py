"""The layers hold, and everything registered is found by its file's name."""

import subprocess
import sys
from pathlib import Path

import pytest

from gradscope import registry

ROOT = Path(__file__).parent.parent


def test_layers_hold():
    result = subprocess.run([str(Path(sys.executable).with_name("lint-imports"))], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", registry.FOLDERS)
def test_file_stem_is_the_registered_name(kind):
    for name in registry.names(kind):
        assert registry.name_of(registry.get(kind, name)) == name


def test_a_wrong_name_is_refused():
    class Wrong:
        pass

    Wrong.__module__ = "gradscope.cells.right"
    with pytest.raises(ValueError, match=r"its file is right\.py"):
        registry.register("cell", "wrong")(Wrong)


def test_a_users_own_component_is_known_by_name():
    from gradscope.clips.none import NoClip
    from gradscope.options import component

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


def test_nothing_calls_backward_but_train():
    for path in (ROOT / "gradscope").rglob("*.py"):
        if path.name != "train.py":
            assert ".backward()" not in path.read_text(), path
