"""What a report says, whatever it is written as."""

from gradscope.report.contents import Cost, TaskWords
from gradscope.results.manifest import TaskAbout
from gradscope.results.tables import Tables


def test_cost_is_of_all_trials_together():
    seconds = {"a": {"total": 6.0, "probes": 1.0}, "b": {"total": 4.0, "evaluation": 2.0}}
    assert Cost.of(Tables({}, [], seconds=lambda: seconds)) == Cost(10.0, 10.0, 20.0)
    assert Cost.of(Tables({}, [])) == Cost(0.0, 0.0, 0.0)


def test_tasks_in_words_say_what_is_wrong_once():
    both = {name: TaskAbout(about="Add.", criterion="c", wrong="Off by one.") for name in "ab"}
    assert TaskWords.of(both) == TaskWords("a, b", "Add. Add.", "c; c", "Off by one.")
