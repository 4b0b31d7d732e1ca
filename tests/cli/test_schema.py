"""gradscope schema."""

import json
import re
import subprocess
import sys

import pytest

from gradscope.cli.schema import FILE
from gradscope.components import registry
from gradscope.experiment.shipped import folder, shipped
from tests.cli.conftest import invoke

EXPERIMENTS = {name: path for name, path in shipped().items() if path.is_file()}
LINE = re.compile(r"# yaml-language-server: \$schema=(\S+)\n")


def test_schema_is_json_and_knows_every_component():
    schema = json.loads(invoke("schema").output)
    assert {"task", "cell", "sweep", "training"} <= set(schema["properties"])
    for kind in registry.FOLDERS:
        assert schema["$defs"][kind]["anyOf"][0]["enum"] == registry.names(kind)
    assert "hidden_size" in json.dumps(schema["$defs"]["cell"])


def test_components_of_ones_own(plugin):
    schema = json.loads(invoke("schema", "--with", plugin).output)
    assert "nothing_at_all" in schema["$defs"]["clip"]["anyOf"][0]["enum"]


def test_out_writes_what_is_printed_and_says_how_to_use_it(tmp_path):
    said = invoke("schema", "--out", tmp_path)
    assert said.exit_code == 0, said.output
    assert str(tmp_path / FILE) in said.output
    line = LINE.search(said.output)
    assert line is not None
    assert (tmp_path / line[1]).read_text(encoding="utf-8") == invoke("schema").output
    assert "$schema=./mine.json" in invoke("schema", "--out", tmp_path / "mine.json").output
    assert (tmp_path / "mine.json").is_file()


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    result = invoke("schema", "--out", tmp_path / "file" / "schema.json")
    assert result.exit_code == 1
    assert "file" in result.stderr


def test_the_schema_beside_the_experiments_is_the_present_one():
    """In a process of its own: other tests register components here."""
    printed = subprocess.run(
        [sys.executable, "-m", "gradscope", "schema"], capture_output=True, text=True, check=True
    ).stdout
    assert (folder() / FILE).read_text(encoding="utf-8") == printed, (
        "write it anew: gradscope schema --out experiments"
    )


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_experiments_that_ship_lead_an_editor_to_it(name):
    path = EXPERIMENTS[name]
    line = LINE.match(path.read_text(encoding="utf-8"))
    assert line is not None, "the first line names the schema"
    assert (path.parent / line[1]).resolve() == (folder() / FILE).resolve()
