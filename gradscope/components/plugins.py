"""Components from a user's own files: ``--with my_cells.py``, or ``gradscope.load_plugin(path)``.

Plugins are loaded by who runs a command or calls Python, never by an experiment file. A run records
the path and SHA-256 of each, loads them in its workers, and refuses to go on with a changed one.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from gradscope.components import registry
from gradscope.components.base import Component
from gradscope.errors import PluginError

_PREFIX = "gradscope_plugin_"


@dataclass(frozen=True)
class Plugin:
    """A loaded file.

    Attributes:
        path: of the file, absolute.
        sha256: of its content as it was loaded.
        components: (kind, name) of all that it registers.
        module: under which it stands in ``sys.modules``.
    """

    path: Path
    sha256: str
    components: tuple[tuple[str, str], ...]
    module: str

    def __str__(self) -> str:
        return f"{self.path}: " + ", ".join(" ".join(part) for part in self.components)


_loaded: dict[Path, Plugin] = {}


def load_plugin(path: str | Path) -> Plugin:
    """Run a Python file that registers components; from then on they are known by name.

        # my_clips.py
        from gradscope.clips import Clip, register

        @register("half")
        class Half(Clip):
            \"\"\"Halves every gradient.\"\"\"

            def __call__(self, gradients, norm):
                for gradient in gradients:
                    gradient.mul_(0.5)
                return norm.new_tensor(0.5)

    The file runs once; one that has changed since is run again, and its components take the place
    of the old ones.

    Args:
        path: of the file.

    Raises:
        PluginError: if the file is not there, fails, or registers nothing; the message names file
            and line.
    """
    place = Path(path).expanduser().resolve()
    content = _read(place, path)
    digest = hashlib.sha256(content).hexdigest()
    known = _loaded.get(place)
    if known is not None and known.sha256 == digest:
        return known
    name = _PREFIX + hashlib.sha256(str(place).encode()).hexdigest()[:12]
    registry.forget(name)
    _loaded.pop(place, None)
    _run(name, place, content)
    registered = registry.registered_by(name)
    if not registered:
        raise PluginError(
            f"{path}: registers no component; decorate a class with the register of its kind, such "
            "as 'from gradscope.clips import Clip, register'"
        )
    _loaded[place] = Plugin(place, digest, tuple(registered), name)
    return _loaded[place]


def plugins_of(components: Iterable[Component]) -> list[Plugin]:
    """The files that some of these components come from."""
    modules = {(part.made_class or type(part)).__module__ for part in components}
    return [plugin for plugin in _loaded.values() if plugin.module in modules]


def _read(place: Path, given: str | Path) -> bytes:
    if place.suffix != ".py":
        raise PluginError(f"{given}: should be a Python file that ends in .py")
    try:
        return place.read_bytes()
    except FileNotFoundError:
        near = sorted(other.name for other in place.parent.glob("*.py"))
        hint = f"; there are {', '.join(near[:8])}" if near else ""
        raise PluginError(f"{given}: there is no such file{hint}") from None
    except OSError as error:
        raise PluginError(f"{given}: cannot be read: {error.strerror or error}") from None


def _run(name: str, place: Path, content: bytes) -> None:
    """Run the file as the module ``name``; what it may have registered is taken out if it fails."""
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(place.parent) not in sys.path:  # so that the file may import its neighbours
        sys.path.append(str(place.parent))
    try:
        exec(compile(content, str(place), "exec"), module.__dict__)
    except Exception as error:
        registry.forget(name)
        del sys.modules[name]
        raise PluginError(_where(error, place)) from error


def _where(error: Exception, place: Path) -> str:
    """``file:line: what went wrong``, the line being the file's own."""
    if isinstance(error, SyntaxError) and error.filename == str(place):
        return f"{place}:{error.lineno}:{error.offset}: not valid Python: {error.msg}"
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == str(place)]
    line = f":{own[-1].lineno}" if own else ""
    return f"{place}{line}: {type(error).__name__}: {error}"
