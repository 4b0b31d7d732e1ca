"""What these tests register and import is taken out again, so that no other test sees it."""

import sys

import pytest

from gradscope.components import plugins, registry


@pytest.fixture(autouse=True)
def _forgotten_afterwards(tmp_path_factory):
    path, temporary = list(sys.path), str(tmp_path_factory.getbasetemp())
    yield
    strangers = {cls.__module__ for cls in registry._classes.values()}
    registry.forget(name for name in strangers if not name.startswith("gradscope."))
    plugins._loaded.clear()
    plugins._digests.clear()
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(temporary):
            del sys.modules[name]
    sys.path[:] = path
