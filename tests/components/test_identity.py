"""Plain values that tell settings apart."""

from gradscope.cells import CELLS
from gradscope.components.identity import identified, sha256
from gradscope.tasks import TASKS


def test_a_component_is_its_name_and_its_options_at_any_depth():
    cell = CELLS.make({"name": "rnn", "recurrent_init": {"name": "gaussian", "gain": 1.5}})
    plain = identified([cell])[0]
    assert plain["name"] == "rnn"
    assert plain["recurrent_init"] == {"name": "gaussian", "gain": 1.5}


def test_a_file_is_its_contents(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a text of some length")
    task = TASKS.make({"name": "char_lm", "corpus": str(path)})
    assert identified(task)["corpus"] == task.contents != str(path)


def test_the_order_of_keys_does_not_matter_and_that_of_items_does():
    assert sha256({"a": 1, "b": [1, 2]}) == sha256({"b": [1, 2], "a": 1})
    assert sha256([1, 2]) != sha256([2, 1])
    assert len(sha256(None)) == 64
