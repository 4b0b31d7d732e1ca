"""A user's own file of components: known by name, recorded by its bytes, refused if wrong."""

import hashlib
import os
import sys
import textwrap
from pathlib import Path

import pytest
import torch

from gradscope.cells import CELLS
from gradscope.clips import CLIPS
from gradscope.components import load_plugin, plugins, registry
from gradscope.components.base import class_of
from gradscope.components.options import component, dump
from gradscope.components.plugins import plugins_of_runs
from gradscope.errors import ConfigError, PluginError, UnknownNameError

CLIP = '''
from gradscope.clips import Clip, register

@register("{name}")
class {cls}(Clip):
    """Multiplies every gradient."""

    factor: float = {factor}

    def __call__(self, gradients, norm):
        for gradient in gradients:
            gradient.mul_(self.factor)
        return norm.new_tensor(self.factor)
'''


def clip_file(name: str = "half", factor: float = 0.5) -> str:
    return CLIP.format(name=name, cls=name.title(), factor=factor)


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


#: kind -> the file of a user's own component of that kind, called mine_<kind>
OF_EACH_KIND = {
    "cell": """
        from gradscope.cells import Cell, register
        import torch
        from torch import nn

        @register("mine_cell")
        class Leaky(Cell):
            '''s_t = (1 - leak) s_{t-1} + leak tanh(W s_{t-1} + x_t).'''

            def __init__(self, input_size, *, hidden_size: int = 4, leak: float = 0.5,
                         generator=None, dtype=None):
                super().__init__(input_size, hidden_size)
                self.leak = leak
                self.weight = nn.Parameter(torch.empty(hidden_size, hidden_size, dtype=dtype))
                self.read = nn.Parameter(torch.empty(hidden_size, input_size, dtype=dtype))
                self.reset_parameters(generator)

            def reset_parameters(self, generator=None):
                for weight in (self.weight, self.read):
                    nn.init.normal_(weight, std=0.3, generator=generator)

            def forward(self, x, s):
                return (1 - self.leak) * s + self.leak * torch.tanh(
                    s @ self.weight.mT + x @ self.read.mT)
        """,
    "init": """
        import torch
        from gradscope.inits import Init, register

        @register("mine_init")
        class Zeros(Init):
            '''All zero.'''

            def recurrent(self, size, generator):
                return torch.zeros(size, size, dtype=torch.float64)
        """,
    "task": """
        import torch
        from gradscope.tasks import Batch, Task, register

        @register("mine_task")
        class Echo(Task):
            '''Say at the end what came first.'''

            loss = "mse"
            criterion = "never"
            length: int = 5

            @property
            def input_size(self):
                return 1

            output_size = baseline = input_size

            def sample(self, batch_size, generator):
                x = torch.randn(self.length, batch_size, 1, generator=generator)
                return Batch(x, torch.tensor([self.length - 1]), x[:1])

            def wrong(self, outputs, targets):
                '''Off by more than one.'''
                return ((outputs - targets).abs() > 1).squeeze(-1)

            def solved(self, loss, wrong_fraction):
                return False
        """,
    "clip": """
        from gradscope.clips import Clip, register

        @register("mine_clip")
        class Nothing(Clip):
            '''Does nothing.'''

            def __call__(self, gradients, norm):
                return norm.new_tensor(1.0)
        """,
    "optimizer": """
        from torch import optim
        from gradscope.optimizers import Optimizer, register

        @register("mine_optimizer")
        class Adagrad(Optimizer):
            '''Duchi et al. (2011).'''

            lr: float = 0.01

            def build(self, parameters):
                return optim.Adagrad(parameters, lr=self.lr)
        """,
    "probe": """
        from gradscope.probes import Probe, register

        @register("mine_probe")
        class States(Probe):
            '''The norm of every state.'''

            def measure(self, trace):
                norms = trace.states.norm(dim=-1).mean(dim=-1)
                return {"t": range(len(norms)), "norm": norms.tolist()}
        """,
    "plot": """
        from matplotlib.figure import Figure
        from gradscope.plots import Plot, register

        @register("mine_plot")
        class Losses(Plot):
            '''The final losses.'''

            requires = ("trials",)
            title = "Losses"
            over = "seed"

            def data(self, tables):
                return tables["trials"]

            def draw(self, tables):
                return Figure()

            def caption(self, tables):
                return "Final losses."
        """,
    "finding": """
        from gradscope.findings import Check, register

        @register("mine_finding")
        class Always(Check):
            '''Something is always found.'''

            def examine(self, evidence):
                yield self.finding("everywhere", "it runs", severity=0.1, confidence=0.9,
                                   evidence={})
        """,
    "remedy": """
        from gradscope.remedies import Remedy, register

        @register("mine_remedy")
        class Wait(Remedy):
            '''Wait a little.'''
        """,
}


def test_there_is_a_file_for_each_kind():
    assert set(OF_EACH_KIND) == set(registry.FOLDERS)


def plugins_of(made: list[object]) -> list[plugins.Plugin]:
    """Which plugins some components come from."""
    modules = {class_of(type(part)).__module__ for part in made}
    return [plugin for plugin in plugins._loaded.values() if modules.intersection(plugin.modules)]


@pytest.mark.parametrize("kind", OF_EACH_KIND)
def test_a_component_of_each_kind_is_known_by_name(kind, tmp_path):
    assert f"mine_{kind}" not in registry.names(kind)
    path = written(tmp_path / "mine.py", textwrap.dedent(OF_EACH_KIND[kind]))
    plugin = load_plugin(path)
    assert plugin.components == ((kind, f"mine_{kind}"),)
    assert f"mine_{kind}" in registry.names(kind)
    made = component(kind, f"mine_{kind}")
    assert made.name == f"mine_{kind}"
    assert component(kind, dump(made)) == made
    assert plugins_of([made]) == [plugin]


def test_a_cell_takes_options_and_runs(tmp_path):
    load_plugin(written(tmp_path / "leaky.py", textwrap.dedent(OF_EACH_KIND["cell"])))
    options = CELLS.make({"name": "mine_cell", "leak": 1.0, "hidden_size": 3})
    cell = options.build(2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, s = torch.ones(5, 2, dtype=torch.float64), torch.zeros(5, 3, dtype=torch.float64)
    assert torch.equal(cell(x, s), torch.tanh(x @ cell.read.mT))
    with pytest.raises(UnknownNameError, match="no option 'leek'; did you mean 'leak'"):
        CELLS.make({"name": "mine_cell", "leek": 1.0})


def test_what_is_recorded_of_a_plugin(tmp_path):
    path = written(tmp_path / "mine.py", clip_file())
    plugin = load_plugin(path)
    assert plugin.path == path.resolve()
    assert plugin.path.is_absolute()
    assert plugin.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert str(plugin) == f"{path.resolve()}: clip half"
    gradients = [torch.ones(2)]
    CLIPS.make("half")(gradients, torch.tensor(1.0))
    assert gradients[0].tolist() == [0.5, 0.5]


def test_a_run_may_depend_on_all_but_what_looks_on_from_outside(tmp_path):
    half = load_plugin(written(tmp_path / "a.py", clip_file("half")))
    for kind in ("finding", "remedy"):
        load_plugin(written(tmp_path / f"{kind}.py", textwrap.dedent(OF_EACH_KIND[kind])))
    plot = load_plugin(written(tmp_path / "plot.py", textwrap.dedent(OF_EACH_KIND["plot"])))
    assert plugins_of_runs() == [half, plot]


# --- twice, and changed ------------------------------------------------------------------------


def test_loading_twice_runs_the_file_once(tmp_path):
    counter = tmp_path / "runs.txt"
    text = clip_file() + f"\nopen({str(counter)!r}, 'a').write('x')\n"
    path = written(tmp_path / "mine.py", text)
    first = load_plugin(path)
    made = CLIPS.make("half")
    assert load_plugin(path) is first
    assert load_plugin(str(path)) is first
    assert counter.read_text() == "x"
    assert CLIPS.make("half") == made


def test_a_changed_file_takes_the_place_of_the_old_one(tmp_path):
    path = written(tmp_path / "mine.py", clip_file())
    first, old = load_plugin(path), CLIPS.make("half")
    written(path, clip_file(factor=0.25))
    second = load_plugin(path)
    assert second.sha256 != first.sha256
    assert CLIPS.make("half").factor == 0.25
    written(path, clip_file("quarter", factor=0.25))
    assert load_plugin(path).components == (("clip", "quarter"),)
    assert "half" not in CLIPS.names()
    for use in (lambda: old.name, lambda: dump(old), lambda: CLIPS.make(old)):
        with pytest.raises(ConfigError, match="Half is not registered, or its file has been"):
            use()


@pytest.mark.parametrize(
    "broken", ["def (", "import nothing_of_that_name", "x = 1 / 0", "", "raise SystemExit(3)"]
)
def test_a_change_for_the_worse_leaves_the_old_one_in_place(broken, tmp_path):
    path = written(tmp_path / "mine.py", clip_file())
    first, made = load_plugin(path), CLIPS.make("half")
    written(path, broken)
    with pytest.raises(PluginError):
        load_plugin(path)
    assert CLIPS.make(made) is made
    assert CLIPS.make("half") == made
    assert plugins_of([made]) == [first]
    written(path, clip_file())
    assert load_plugin(path) is first


def test_an_interrupt_passes_and_leaves_nothing_behind(tmp_path):
    path = written(tmp_path / "mine.py", clip_file() + "\nraise KeyboardInterrupt\n")
    modules = set(sys.modules)
    with pytest.raises(KeyboardInterrupt):
        load_plugin(path)
    assert "half" not in CLIPS.names()
    assert not any(name.startswith("gradscope_plugin_") for name in set(sys.modules) - modules)


# --- what can be wrong -------------------------------------------------------------------------

HEAD = "from gradscope.clips import Clip, register\n"
CALL = "    def __call__(self, gradients, norm): return norm.new_tensor(1.0)\n"
#: name -> (content, line of the error or None, parts of the message)
WRONG = {
    "a syntax error": (HEAD + "class Half(Clip)\n", 2, ["not valid Python", "':'"]),
    "a tab among spaces": ("if 1:\n    x = 1\n\tx = 2\n", 3, ["not valid Python"]),
    "bytes that are no text": (b"x = '\xff\xfe'\n", None, ["not valid Python"]),
    "a null byte": (b"x = 1\0\n", None, ["not valid Python"]),
    "an import that fails": (
        "import math\nimport nothing_of_that_name\n",
        2,
        ["ModuleNotFoundError", "nothing_of_that_name"],
    ),
    "a name that does not exist": (HEAD + "\nprint(undefined)\n", 3, ["NameError", "undefined"]),
    "a relative import without a package": (
        "import math\nfrom . import math\n",
        2,
        ["ImportError", "relative import"],
    ),
    "an error with an empty message": ("raise ValueError\n", 1, ["ValueError"]),
    "an error far away": (
        "import json\njson.loads('{')\n",
        2,
        ["JSONDecodeError"],
    ),
    "an exit": ("import sys\nsys.exit('usage: x')\n", 2, ["SystemExit", "usage: x"]),
    "nothing registered": (HEAD + "class Half(Clip):\n" + CALL, None, ["registers no component"]),
    "an empty file": ("", None, ["registers no component", "import Clip, register"]),
    "an abstract class": (
        HEAD + "\n@register('half')\nclass Half(Clip):\n    pass\n",
        3,
        ["the clip 'half' does not define __call__"],
    ),
    "a fact left out": (
        "from gradscope.plots import Plot, register\n\n\n@register('half')\nclass Half(Plot):\n"
        "    requires, over = (), 'seed'\n    data = draw = caption = lambda self, tables: None\n",
        4,
        ["the plot 'half' does not define title"],
    ),
    "a wrong base": (
        "from gradscope.clips import register\nfrom gradscope.probes import Probe\n"
        "@register('half')\nclass Half(Probe):\n    def measure(self, trace): return {}\n",
        3,
        ["Half is registered as a clip but does not derive", "gradscope.clips"],
    ),
    "no base": (HEAD + "@register('half')\nclass Half: pass\n", 2, ["does not derive"]),
    "no class": (HEAD + "@register('half')\ndef half(): pass\n", 2, []),
    "a name that is no word": (
        HEAD + "@register('a half')\nclass Half(Clip):\n" + CALL,
        2,
        ["one word of letters, digits and _", "'a half'"],
    ),
    "a name that is no string": (
        HEAD + "@register(Clip)\nclass Half(Clip):\n" + CALL,
        2,
        [],
    ),
    "an empty name": (HEAD + "@register('')\nclass Half(Clip):\n" + CALL, 2, ["one word", "''"]),
    "a name of gradscope's own": (
        HEAD + "@register('global_norm')\nclass Half(Clip):\n" + CALL,
        2,
        ["'global_norm' is registered twice", "by gradscope itself", "choose another name"],
    ),
    "one name for two classes": (
        HEAD
        + "@register('half')\nclass A(Clip):\n"
        + CALL
        + "@register('half')\nclass B(Clip):\n"
        + CALL,
        5,
        ["'half' is registered twice", "by A of", "by B of"],
    ),
    "two names for one class": (
        HEAD + "@register('half')\n@register('third')\nclass A(Clip):\n" + CALL,
        2,
        ["A is registered already, as 'third'"],
    ),
    "an option without a type": (
        "from gradscope.cells import Cell, register\n@register('half')\nclass Half(Cell):\n"
        "    def __init__(self, input_size, *, hidden_size: int = 3, leak=0.5): pass\n"
        "    def forward(self, x, s): return s\n    def reset_parameters(self, g=None): pass\n",
        2,
        ["the option 'leak' of Half has no type", "'leak: float = 1.0'"],
    ),
    "a field without a type": (
        HEAD + "@register('half')\nclass Half(Clip):\n    leak = 0.5\n" + CALL,
        3,
        ["non-annotated attribute", "leak"],
    ),
    "an option called name": (
        "from gradscope.cells import Cell, register\n\n@register('half')\nclass Half(Cell):\n"
        "    def __init__(self, input_size, *, hidden_size: int = 3, name: str = ''): pass\n"
        "    def forward(self, x, s): return s\n    def reset_parameters(self, g=None): pass\n",
        3,
        ["an option called 'name'"],
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_with_its_line(case, tmp_path):
    content, line, parts = WRONG[case]
    path = tmp_path / "mine.py"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    before = {kind: registry.names(kind) for kind in registry.FOLDERS}
    with pytest.raises(PluginError) as caught:
        load_plugin(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}:" if line else f"{path}:"), message
    for part in parts:
        assert part in message, message
    assert "\n" not in message
    assert {kind: registry.names(kind) for kind in registry.FOLDERS} == before
    assert path not in plugins._loaded


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("mnie.py", ["no such file", "did you mean 'mine.py'? known: mine.py"]),
        ("mine.txt", ["ends in .py"]),
        ("mine", ["ends in .py"]),
        ("folder", ["a folder without an __init__.py", "name a file in it: inner.py"]),
        ("empty", ["a folder without an __init__.py"]),
    ],
)
def test_a_path_that_is_no_plugin(name, parts, tmp_path):
    written(tmp_path / "mine.py", clip_file())
    written(tmp_path / "mine.txt", clip_file())
    written(tmp_path / "folder" / "inner.py", clip_file())
    (tmp_path / "empty").mkdir()
    with pytest.raises(PluginError) as caught:
        load_plugin(tmp_path / name)
    for part in (str(tmp_path / name), *parts):
        assert part in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_may_not_be_read(tmp_path):
    path = written(tmp_path / "mine.py", clip_file())
    path.chmod(0)
    with pytest.raises(PluginError, match="cannot be read"):
        load_plugin(path)


def test_a_folder_that_is_called_as_a_file(tmp_path):
    (tmp_path / "mine.py").mkdir()
    with pytest.raises(PluginError, match="a folder without"):
        load_plugin(tmp_path / "mine.py")


def test_a_file_that_is_half_written_is_refused_and_is_loaded_when_it_is_whole(tmp_path):
    """Every beginning of a plugin, as an editor or a copy that is killed may leave it."""
    path, text = tmp_path / "mine.py", clip_file()
    for end in range(0, text.index("def __call__"), 11):
        written(path, text[:end])
        with pytest.raises(PluginError):
            load_plugin(path)
    assert load_plugin(written(path, text)).components == (("clip", "half"),)


# --- where it lies -----------------------------------------------------------------------------


def test_a_relative_path_is_the_same_plugin(tmp_path, monkeypatch):
    written(tmp_path / "mine.py", clip_file())
    monkeypatch.chdir(tmp_path)
    plugin = load_plugin("mine.py")
    assert plugin.path == (tmp_path / "mine.py").resolve()
    assert load_plugin(tmp_path / "mine.py") is plugin
    assert load_plugin(Path("..") / tmp_path.name / "mine.py") is plugin


def test_a_link_is_the_file_that_it_points_to(tmp_path):
    path = written(tmp_path / "mine.py", clip_file())
    (tmp_path / "link.py").symlink_to(path)
    assert load_plugin(tmp_path / "link.py") is load_plugin(path)


def test_a_home_directory_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    written(tmp_path / "mine.py", clip_file())
    assert load_plugin("~/mine.py").path == (tmp_path / "mine.py").resolve()


@pytest.mark.parametrize("name", ["my clips.py", "häl-f.2.py", "torch.py", "class.py"])
def test_a_file_may_be_called_anything(name, tmp_path):
    plugin = load_plugin(written(tmp_path / "a folder" / name, clip_file()))
    assert plugin.components == (("clip", "half"),)
    assert sys.modules["torch"] is torch


def test_two_files_of_one_name_in_two_folders(tmp_path):
    first = load_plugin(written(tmp_path / "a" / "clips.py", clip_file("half")))
    second = load_plugin(written(tmp_path / "b" / "clips.py", clip_file("third")))
    assert plugins_of([CLIPS.make("half")]) == [first]
    assert plugins_of([CLIPS.make("third")]) == [second]


def test_two_files_with_one_name_for_their_components(tmp_path):
    first = written(tmp_path / "a" / "clips.py", clip_file())
    second = written(tmp_path / "b" / "clips.py", clip_file(factor=0.1))
    load_plugin(first)
    with pytest.raises(PluginError) as caught:
        load_plugin(second)
    assert f"by Half of {first}" in str(caught.value)
    assert f"by Half of {second}" in str(caught.value)
    assert CLIPS.make("half").factor == 0.5


def test_running_a_file_leaves_nothing_beside_it(tmp_path):
    written(tmp_path / "aid_of_mine.py", "factor = 0.5\n")
    load_plugin(written(tmp_path / "mine.py", "import aid_of_mine\n" + clip_file()))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["aid_of_mine.py", "mine.py"]


def test_a_files_own_future_alone_decides_what_its_annotations_are(tmp_path):
    check = "\ndef f(x: int): ...\nassert f.__annotations__['x'] is int\n"
    load_plugin(written(tmp_path / "mine.py", clip_file() + check))
    later = "from __future__ import annotations\n" + clip_file("third")
    check = "\ndef f(x: int): ...\nassert f.__annotations__['x'] == 'int'\n"
    load_plugin(written(tmp_path / "later.py", later + check))
    assert CLIPS.make({"name": "third", "factor": 0.3}).factor == 0.3


# --- neighbours --------------------------------------------------------------------------------

WITH_AID = "from {aid} import FACTOR\n" + clip_file().replace("0.5", "FACTOR")


def test_a_file_may_import_its_neighbours_and_they_count_as_its_content(tmp_path):
    aid = written(tmp_path / "aid_a.py", "from aid_b import FACTOR\n")
    deeper = written(tmp_path / "aid_b.py", "FACTOR = 0.5\n")
    written(tmp_path / "stranger.py", "raise ValueError\n")
    path = written(tmp_path / "mine.py", WITH_AID.format(aid="aid_a"))
    first = load_plugin(path)
    assert CLIPS.make("half").factor == 0.5
    assert load_plugin(path) is first
    for file, text in ((deeper, "FACTOR = 0.4\n"), (aid, "FACTOR = 0.3\n")):
        written(file, text)
        changed = load_plugin(path)
        assert changed.sha256 != first.sha256
        assert CLIPS.make("half").factor == float(text[9:])
    listed = sorted(
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("mine.py", "aid_a.py")
    )
    assert changed.sha256 == hashlib.sha256("".join(listed).encode()).hexdigest()


def test_the_digest_does_not_depend_on_the_folder(tmp_path):
    digests = set()
    for folder in ("e", "f"):
        written(tmp_path / folder / "__init__.py", "from .inner import *\n")
        written(tmp_path / folder / "inner.py", clip_file("same"))
        plugin = load_plugin(tmp_path / folder)
        digests.add(plugin.sha256)
        registry.forget(plugin.modules)
    assert len(digests) == 1


def test_an_error_in_a_neighbour_is_told_with_its_own_line(tmp_path):
    aid = written(tmp_path / "aid_c.py", "FACTOR = 0.5\n\nFACTOR / 0\n")
    path = written(tmp_path / "mine.py", WITH_AID.format(aid="aid_c"))
    with pytest.raises(PluginError) as caught:
        load_plugin(path)
    assert str(caught.value).startswith(f"{aid}:3: ZeroDivisionError")
    written(aid, "FACTOR = = 1\n")
    with pytest.raises(PluginError) as caught:
        load_plugin(path)
    assert str(caught.value).startswith(f"{aid}:1:")
    assert "not valid Python" in str(caught.value)
    written(aid, "FACTOR = 0.125\n")
    load_plugin(path)
    assert CLIPS.make("half").factor == 0.125


def test_components_of_a_neighbour_belong_to_who_imports_it(tmp_path):
    written(tmp_path / "aid_d.py", clip_file("third"))
    plugin = load_plugin(written(tmp_path / "mine.py", "import aid_d\n"))
    assert plugin.components == (("clip", "third"),)
    assert plugins_of([CLIPS.make("third")]) == [plugin]


def test_a_neighbour_that_an_import_would_not_reach_is_refused(tmp_path):
    """Another plugin's neighbour of that name has been imported already."""
    written(tmp_path / "a" / "aid_e.py", "FACTOR = 0.5\n")
    load_plugin(written(tmp_path / "a" / "mine.py", WITH_AID.format(aid="aid_e")))
    other = written(tmp_path / "b" / "aid_e.py", "FACTOR = 0.1\n")
    text = WITH_AID.format(aid="aid_e").replace("half", "tenth")
    path = written(tmp_path / "b" / "mine.py", text)
    with pytest.raises(PluginError) as caught:
        load_plugin(path)
    assert str(caught.value).startswith(f"{path}:1: 'import aid_e' means {tmp_path / 'a'}")
    assert f"and not {other}; rename" in str(caught.value)
    written(tmp_path / "b" / "__init__.py", text.replace("aid_e", ".aid_e"))
    load_plugin(tmp_path / "b")
    assert CLIPS.make("tenth").factor == 0.1


def test_a_file_beside_it_called_as_an_installed_package_is_refused(tmp_path):
    written(tmp_path / "numpy.py", "FACTOR = 0.5\n")
    with pytest.raises(PluginError, match=r"mine\.py:1: 'import numpy' means .*site-packages"):
        load_plugin(written(tmp_path / "mine.py", "import numpy as np\n" + clip_file()))


def test_a_file_beside_it_called_as_one_of_the_standard_library_is_left_alone(tmp_path):
    written(tmp_path / "math.py", "raise ValueError\n")
    plugin = load_plugin(written(tmp_path / "mine.py", "import math\n" + clip_file()))
    assert plugin.sha256 == hashlib.sha256((tmp_path / "mine.py").read_bytes()).hexdigest()


@pytest.mark.parametrize("order", [("base_f", "heir_f"), ("heir_f", "base_f")])
def test_one_plugin_may_build_on_another_in_either_order(order, tmp_path):
    written(tmp_path / "base_f.py", clip_file("half"))
    written(
        tmp_path / "heir_f.py",
        "from base_f import Half\nfrom gradscope.clips import register\n"
        '@register("heir")\nclass Heir(Half):\n    """As half."""\n',
    )
    loaded = {name: load_plugin(tmp_path / f"{name}.py") for name in order}
    assert loaded["base_f"].components == (("clip", "half"),)
    assert set(loaded["heir_f"].components) == {("clip", "half"), ("clip", "heir")}
    assert issubclass(CLIPS.get("heir"), CLIPS.get("half"))
    assert loaded["heir_f"] in plugins_of([CLIPS.make("heir")])
    assert loaded["base_f"] in plugins_of([CLIPS.make("half")])


def test_a_file_that_has_been_imported_is_not_run_again(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    path = written(tmp_path / "imported_g.py", clip_file())
    import imported_g

    plugin = load_plugin(path)
    assert plugin.components == (("clip", "half"),)
    assert CLIPS.get("half") is imported_g.Half


# --- packages ----------------------------------------------------------------------------------


def test_a_package_is_a_plugin(tmp_path):
    folder = tmp_path / "my_parts"
    written(folder / "__init__.py", "from . import clips\nfrom .deep import more\n")
    written(folder / "clips.py", "from .deep.numbers import FACTOR\n" + clip_file())
    written(folder / "deep" / "__init__.py", "")
    numbers = written(folder / "deep" / "numbers.py", "FACTOR = 0.5\n")
    written(folder / "deep" / "more.py", clip_file("third"))
    plugin = load_plugin(folder)
    assert plugin.path == folder.resolve()
    assert set(plugin.components) == {("clip", "half"), ("clip", "third")}
    assert load_plugin(folder / "__init__.py") is plugin
    for name in ("half", "third"):
        assert plugins_of([CLIPS.make(name)]) == [plugin]
    written(numbers, "FACTOR = 0.25\n")
    changed = load_plugin(folder)
    assert changed.sha256 != plugin.sha256
    written(folder / "deep" / "more.py", "1 / 0\n")
    with pytest.raises(PluginError, match=r"more\.py:1: ZeroDivisionError"):
        load_plugin(folder)
    assert CLIPS.make("third").name == "third"


def test_two_packages_of_one_name(tmp_path):
    for place, name in (("a", "half"), ("b", "third")):
        written(tmp_path / place / "parts" / "__init__.py", "from .clips import *\n")
        written(tmp_path / place / "parts" / "clips.py", clip_file(name))
        load_plugin(tmp_path / place / "parts")
    assert {"half", "third"} <= set(CLIPS.names())


def test_a_syntax_error_within_a_package(tmp_path):
    inner = written(tmp_path / "parts" / "clips.py", "def (\n")
    written(tmp_path / "parts" / "__init__.py", "from . import clips\n")
    with pytest.raises(PluginError) as caught:
        load_plugin(tmp_path / "parts")
    assert str(caught.value).startswith(f"{inner}:1:")
    assert "not valid Python" in str(caught.value)
