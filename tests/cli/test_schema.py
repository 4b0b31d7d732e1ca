"""gradscope schema."""

import json

from gradscope.components import registry
from tests.cli.conftest import invoke


def test_schema_is_json_and_knows_every_component():
    schema = json.loads(invoke("schema").output)
    assert {"task", "cell", "sweep", "training"} <= set(schema["properties"])
    for kind in registry.FOLDERS:
        assert schema["$defs"][kind]["anyOf"][0]["enum"] == registry.names(kind)
    assert "hidden_size" in json.dumps(schema["$defs"]["cell"])


def test_components_of_ones_own(plugin):
    schema = json.loads(invoke("schema", "--with", plugin).output)
    assert "nothing_at_all" in schema["$defs"]["clip"]["anyOf"][0]["enum"]
