"""Components from a user's own files: ``--with my_cells.py``, or ``gradscope.load_plugin(path)``.

Plugins are loaded by who runs a command or calls Python, never by an experiment file. A run records
the path and SHA-256 of each, loads them in its workers, and refuses to go on with a changed one.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gradscope.components import registry
from gradscope.components.sources import Source, digest, not_python, sources_of
from gradscope.errors import PluginError

_PREFIX = "gradscope_plugin_"


@dataclass(frozen=True)
class Plugin:
    """A loaded file, or package, of components.

    Attributes:
        path: of the file, or of the package's folder; absolute.
        sha256: of the file as it was loaded. Where there are several, because it is a package or
            imports files beside it, of the list of their own.
        components: (kind, name) of all that it registers.
        modules: that its code is, as in ``sys.modules``; its own first.
    """

    path: Path
    sha256: str
    components: tuple[tuple[str, str], ...]
    modules: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.path}: " + ", ".join(" ".join(part) for part in self.components)


_loaded: dict[Path, Plugin] = {}
#: SHA-256 of every file that a plugin is made of, as it was loaded
_digests: dict[Path, str] = {}


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

    The file may import files beside it. It runs once; where it, or one of those, has changed since,
    it is run again and its components take the place of the old ones. If it fails, everything stays
    as it was.

    Args:
        path: of the file, or of a folder with an ``__init__.py``.

    Raises:
        PluginError: if there is no such file, if it fails, or if it registers nothing; the message
            names file and line.
    """
    place = _located(path)
    sources = sources_of(place, _module_name(place))
    sha256, known = digest(sources), _loaded.get(place)
    if known is not None and known.sha256 == sha256:
        return known
    shared = [load_plugin(s.path) for s in sources if s.path in _loaded and s.path != place]
    private = [s for s in sources if s.path == place or s.path not in _loaded]
    stale = known is not None or any(_digests.get(s.path, s.sha256) != s.sha256 for s in private)
    names = [source.module for source in private]
    with _all_or_nothing(names, sources):
        if stale:
            registry.forget(names)
            for name in names:
                sys.modules.pop(name, None)
        for other in shared:  # one file is one module, whether it is loaded or imported
            sys.modules[other.path.stem] = sys.modules[other.modules[0]]
        _run(private[0])
        modules = (*names, *(name for other in shared for name in other.modules))
        _loaded[place] = Plugin(place, sha256, _components(place, modules), modules)
    _digests.update({source.path: source.sha256 for source in sources})
    return _loaded[place]


def plugins_of_runs() -> list[Plugin]:
    """The loaded plugins that a run may depend on.

    All but those that hold nothing but components which look at a run or a model from outside: one
    component may ask for another by its name, so that more may be used than an experiment names.
    """
    return [
        plugin
        for plugin in _loaded.values()
        if any(_is_in_runs(kind, name) for kind, name in plugin.components)
    ]


def modules_of_plugins() -> set[str]:
    """The modules of all loaded plugins, as in ``sys.modules``."""
    return {name for plugin in _loaded.values() for name in plugin.modules}


def _is_in_runs(kind: str, name: str) -> bool:
    return bool(getattr(registry.get(kind, name), "in_runs", True))


def _located(path: str | Path) -> Path:
    place = Path(path).expanduser().resolve()
    if place.name == "__init__.py":
        return place.parent
    if place.is_dir() and not (place / "__init__.py").is_file():
        files = ", ".join(sorted(file.name for file in place.glob("*.py"))[:8])
        hint = f"name a file in it: {files}" if files else "name a Python file"
        raise PluginError(f"{place}: is a folder without an __init__.py; {hint}")
    if not place.is_dir() and place.suffix != ".py":
        raise PluginError(f"{place}: should be a Python file, whose name ends in .py")
    return place


def _module_name(place: Path) -> str:
    """A name that no other file has; a file that has been imported already keeps its own."""
    file = getattr(sys.modules.get(place.stem), "__file__", None)
    if file is not None and Path(file).resolve() in (place, place / "__init__.py"):
        return place.stem
    return _PREFIX + hashlib.sha256(str(place).encode()).hexdigest()[:12]


@contextmanager
def _all_or_nothing(names: Sequence[str], sources: Sequence[Source]) -> Iterator[None]:
    """Undo what modules of these names have done if an error ends it, and say where that was."""
    modules = {name: sys.modules[name] for name in names if name in sys.modules}
    registered = registry.registered_by(names)
    try:
        yield
    except BaseException as error:
        registry.forget(names)
        for name in names:
            sys.modules.pop(name, None)
        registry.restore(registered)
        sys.modules.update(modules)
        if isinstance(error, PluginError) or not isinstance(error, Exception | SystemExit):
            raise
        raise PluginError(_where(error, sources)) from error


def _run(source: Source) -> None:
    """Import the file as a module of its own name, unless it has been imported by that name."""
    if source.module in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(source.module, source.path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[source.module] = module
    folder = str(source.path.parent)
    if source.path.name != "__init__.py" and folder not in sys.path:  # to import its neighbours
        sys.path.append(folder)
    importlib.invalidate_caches()
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        code = compile(source.content, str(source.path), "exec", dont_inherit=True)
        exec(code, module.__dict__)
    finally:
        sys.dont_write_bytecode = before


def _components(place: Path, modules: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """What the modules have registered, each with options that can be made."""
    registered = registry.registered_by(modules)
    if not registered:
        raise PluginError(
            f"{place}: registers no component; decorate a class with the register of its kind, "
            "such as 'from gradscope.clips import Clip, register'"
        )
    for cls in registered.values():
        try:
            registry.options(cls)
        except Exception as error:
            at = f"{inspect.getfile(cls)}:{inspect.getsourcelines(cls)[1]}"
            raise PluginError(f"{at}: {_said(error)}") from error
    return tuple(registered)


def _where(error: BaseException, sources: Sequence[Source]) -> str:
    """``file:line: what went wrong``, the line being that in the plugin's own files."""
    files = {str(source.path) for source in sources}
    if isinstance(error, SyntaxError) and error.filename in files:
        return not_python(error, Path(error.filename))
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename in files]
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else str(sources[0].path)
    return f"{at}: {_said(error)}"


def _said(error: BaseException) -> str:
    """The class of an error and the first line of what it says."""
    said = str(error).splitlines()
    return f"{type(error).__name__}: {said[0]}" if said else type(error).__name__
