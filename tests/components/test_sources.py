"""The files that a plugin is made of, found without running any of them."""

import hashlib

import pytest

from gradscope.components.sources import Source, digest, not_python, sources_of
from gradscope.errors import PluginError


def write(folder, **files: str) -> None:
    for name, text in files.items():
        path = folder / (name.replace("__in__", "/") + ".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names_of(place) -> list[tuple[str, str]]:
    """File below the folder and module of each source."""
    folder = place if place.is_dir() else place.parent
    return [
        (source.path.relative_to(folder).as_posix(), source.module)
        for source in sources_of(place, "own")
    ]


def test_a_file_by_itself(tmp_path):
    write(tmp_path, main="import json\nimport torch\nfrom gradscope.clips import Clip\n", other="")
    (source,) = sources_of(tmp_path / "main.py", "own")
    assert source == Source(tmp_path / "main.py", "own", (tmp_path / "main.py").read_bytes())
    assert digest([source]) == source.sha256 == hashlib.sha256(source.content).hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        "import aid_x",
        "import aid_x as other",
        "import json, aid_x",
        "from aid_x import thing",
        "from aid_x import *",
        "def later():\n    import aid_x",
        "if 0:\n    import aid_x",
        "try:\n    import aid_x\nexcept ImportError:\n    pass",
    ],
)
def test_every_way_to_import_a_neighbour(text, tmp_path):
    write(tmp_path, main=text, aid_x="", stranger="")
    assert names_of(tmp_path / "main.py") == [("main.py", "own"), ("aid_x.py", "aid_x")]


@pytest.mark.parametrize("text", ["x = 'import aid_x'", "# import aid_x", "from .aid_x import y"])
def test_what_only_looks_like_an_import_of_a_neighbour(text, tmp_path):
    write(tmp_path, main=text, aid_x="")
    assert names_of(tmp_path / "main.py") == [("main.py", "own")]


def test_neighbours_of_neighbours_and_circles(tmp_path):
    write(tmp_path, main="import aid_x", aid_x="import aid_y, main", aid_y="import aid_x", no="")
    assert [path for path, _ in names_of(tmp_path / "main.py")] == [
        "main.py",
        "aid_x.py",
        "aid_y.py",
    ]


def test_a_neighbour_that_is_a_package_counts_with_all_its_files(tmp_path):
    write(tmp_path, main="from aids_x.deep import y", aids_x__in____init__="import aid_y", aid_y="")
    write(tmp_path, aids_x__in__deep="", aids_x__in__more__in____init__="")
    (tmp_path / "aids_x" / "data.txt").write_text("not code")
    assert names_of(tmp_path / "main.py") == [
        ("main.py", "own"),
        ("aids_x/__init__.py", "aids_x"),
        ("aids_x/deep.py", "aids_x.deep"),
        ("aids_x/more/__init__.py", "aids_x.more"),
        ("aid_y.py", "aid_y"),
    ]


def test_a_package_is_all_python_files_in_it(tmp_path):
    write(tmp_path, z__in____init__="def (", z__in__a="", z__in__b__in__c="")
    assert names_of(tmp_path / "z") == [
        ("__init__.py", "own"),
        ("a.py", "own.a"),
        ("b/c.py", "own.b.c"),
    ]


def test_the_digest_of_several_is_that_of_their_list(tmp_path):
    write(tmp_path, main="import aid_x", aid_x="x = 1")
    sources = sources_of(tmp_path / "main.py", "own")
    lines = sorted(f"{source.sha256}  {source.path.name}\n" for source in sources)
    assert digest(sources) == hashlib.sha256("".join(lines).encode()).hexdigest()
    write(tmp_path, aid_x="x = 2")
    assert digest(sources_of(tmp_path / "main.py", "own")) != digest(sources)


def test_what_is_no_python_is_told_with_its_place(tmp_path):
    write(tmp_path, main="import aid_x", aid_x="x = 1\nx = = 2\n")
    with pytest.raises(PluginError, match=r"aid_x\.py:2:5: not valid Python: invalid syntax"):
        sources_of(tmp_path / "main.py", "own")
    error = SyntaxError("badly put")
    assert not_python(error, tmp_path) == f"{tmp_path}: not valid Python: badly put"


def test_a_file_that_is_missing(tmp_path):
    with pytest.raises(PluginError, match=r"main\.py: there is no such file$"):
        sources_of(tmp_path / "main.py", "own")
