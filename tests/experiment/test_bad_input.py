"""Every mistake in an experiment file gives one message with file, line, column and the remedy."""

import pytest

from gradscope.errors import ConfigError, ConfigErrors
from gradscope.experiment import Experiment

GOOD = """
task: {name: adding, length: 10}
cell: lstm
"""

CASES = {
    # name: (text, line:column, parts of the message)
    "unknown key": (GOOD + "clpi: none", "4:7", ["no key 'clpi'", "did you mean 'clip'?"]),
    "unknown section key": (
        GOOD + "training:\n  stepz: 5",
        "5:10",
        ["no option 'stepz'", "did you mean 'steps'?", "training.stepz"],
    ),
    "unknown component": (
        "task: adding\ncell: lstn",
        "2:7",
        ["no cell called 'lstn'", "did you mean 'lstm'?", "gru"],
    ),
    "unknown component in a mapping": (
        "task: adding\ncell: {hidden_size: 3, name: grru}",
        "2:30",
        ["did you mean 'gru'?"],
    ),
    "unknown option": (
        "task: adding\ncell: {name: gru, hidden: 3}",
        "2:27",
        ["the cell 'gru' has no option 'hidden'", "did you mean 'hidden_size'?"],
    ),
    "option of another component": (
        "task: adding\ncell: {name: lstm, activation: relu}",
        "2:32",
        ["'lstm' has no option 'activation'"],
    ),
    "wrong type": (
        GOOD + "training: {steps: many}",
        "4:19",
        ["training.steps", "should be a whole number", "'many'"],
    ),
    "float for an integer": (
        GOOD + "training: {steps: 1.5}",
        "4:19",
        ["should be a whole number", "1.5"],
    ),
    "text for a number": (
        GOOD + "optimizer: {name: sgd, lr: fast}",
        "4:28",
        ["optimizer.lr", "should be a number"],
    ),
    "out of range": (
        GOOD + "clip: {name: global_norm, max_norm: -1}",
        "4:37",
        ["clip.max_norm", "greater than 0", "-1"],
    ),
    "unknown choice": (
        "task: adding\ncell: {name: rnn, activation: tahn}",
        "2:31",
        ["'tanh'", "'relu'", "'tahn'"],
    ),
    "nested component": (
        "task: adding\ncell: {name: rnn, recurrent_init: {name: orthogonal, gian: 2}}",
        "2:60",
        ["cell.recurrent_init.gian", "no option 'gian'", "gain"],
    ),
    "nested component by name": (
        "task: adding\ncell: {name: rnn, recurrent_init: ortogonal}",
        "2:35",
        ["cell.recurrent_init", "did you mean 'orthogonal'?"],
    ),
    "component of a wrong type": (
        "task: 3\ncell: lstm",
        "1:7",
        ["should be a task's name or a mapping", "adding"],
    ),
    "component without a name": (
        "task: {length: 3}\ncell: lstm",
        "1:7",
        ["a task needs 'name'", "adding"],
    ),
    "missing task": ("cell: lstm", "1:1", ["needs 'task'"]),
    "missing cell": ("task: adding", "1:1", ["needs 'cell'"]),
    "duplicate key": (GOOD + "seed: 1\nseed: 2", "5:1", ["appears twice", "first on line 4"]),
    "duplicate nested key": (
        "task: {name: adding, length: 5, length: 6}\ncell: lstm",
        "1:33",
        ["appears twice"],
    ),
    "not a mapping": ("- a\n- b", "1:1", ["top level is a list"]),
    "a single value": ("hello", "1:1", ["top level is a single value"]),
    "empty": ("", None, ["the file is empty"]),
    "python tag": (
        GOOD + "name: !!python/object/apply:os.system ['true']",
        "4:7",
        ["tag", "not allowed"],
    ),
    "custom tag": (GOOD + "name: !thing x", "4:7", ["'!thing' is not allowed"]),
    "broken yaml": ("task: [1, 2\ncell: lstm", "2:", ["not valid YAML"]),
    "tab": ("task:\n\tname: adding", "2:1", ["not valid YAML"]),
    "merge key": ("base: &b {name: adding}\ntask:\n  <<: *b", "3:3", ["merge keys"]),
    "recursive alias": ("task: &a {name: *a}\ncell: lstm", "1:", ["never ends"]),
    "empty sweep": (GOOD + "sweep: {}", "4:8", ["is empty", "leave it out"]),
    "empty axis": (GOOD + "sweep: {seed: []}", "4:15", ["sweep.seed", "is empty"]),
    "axis that is no list": (
        GOOD + "sweep: {seed: 3}",
        "4:15",
        ["sweep.seed", "should be a list", "3"],
    ),
    "sweep of a wrong type": (GOOD + "sweep: 3", "4:8", ["should map dotted keys to lists"]),
    "sweep of an unknown key": (
        GOOD + "sweep: {clel: [lstm]}",
        "4:15",
        ["sweep.clel", "did you mean 'cell'?"],
    ),
    "sweep of an unknown option": (
        GOOD + "sweep: {cell.hiden_size: [3, 4]}",
        "4:27",
        ["cell.hiden_size", "did you mean 'hidden_size'?"],
    ),
    "sweep of an unknown component's name": (
        GOOD + "sweep:\n  cell.name: [rnn, lsmt]",
        "5:20",
        ["no cell called 'lsmt'", "'lstm'?"],
    ),
    "sweep of an unknown component": (
        GOOD + "sweep:\n  cell: [rnn, lsmt]",
        "5:15",
        ["no cell called 'lsmt'", "'lstm'?"],
    ),
    "sweep of an unknown inner component": (
        GOOD + "sweep:\n  cell.recurrent_init: [orthogonal, ortho]",
        "5:37",
        ["no init called 'ortho'", "'orthogonal'?"],
    ),
    "sweep value of a wrong type": (
        GOOD + "sweep:\n  training.steps: [100, few]",
        "5:25",
        ["training.steps", "should be a whole number", "'few'"],
    ),
    "sweep value out of range": (
        GOOD + "sweep:\n  task.length: [10, 1]",
        "5:21",
        ["task.length", "greater than or equal to 2"],
    ),
    "zip item of a wrong type": (
        GOOD + "sweep: {variant: [{seed: 1}, 3]}",
        "4:18",
        ["sweep.variant", "list of mappings"],
    ),
    "zip with an unknown key": (
        GOOD + "sweep: {variant: [{sed: 1}]}",
        "4:25",
        ["did you mean 'seed'?"],
    ),
    "zip with one label twice": (
        GOOD + "sweep: {v: [{label: a, seed: 1}, {label: a, seed: 2}]}",
        "4:12",
        ["label 'a'"],
    ),
    "the same trial twice": (GOOD + "sweep: {seed: [1, 1]}", "4:8", ["the same trial"]),
    "impossible length": (
        "task: {name: adding, length: 1}\ncell: lstm",
        "1:30",
        ["task.length", "greater than or equal to 2"],
    ),
    "impossible length for a variant": (
        "task: {name: adding, length: 5, placement: pascanu}\ncell: lstm",
        "1:7",
        ["length of at least 10"],
    ),
    "impossible length for the positions": (
        "task: {name: temporal_order, length: 5}\ncell: lstm",
        "1:38",
        ["task.length"],
    ),
    "impossible range of lengths": (
        "task: {name: temporal_order, length: 50, max_length: 20}\ncell: lstm",
        "1:7",
        ["max_length 20 is less than length 50"],
    ),
    "impossible test length": (
        "task: {name: adding, length: 9}\ncell: lstm\nevaluation:\n  lengths: [20, 1]",
        "4:17",
        ["evaluation.lengths[1]", "length 1"],
    ),
    "stride without length": (
        GOOD + "training: {tbptt_stride: 2}",
        "4:26",
        ["tbptt_stride needs tbptt_length"],
    ),
    "stride longer than length": (
        GOOD + "training: {tbptt_length: 2, tbptt_stride: 3}",
        "4:43",
        ["longer than tbptt_length 2"],
    ),
    "bad name": (GOOD + "name: ../up", "4:7", ["name", "pattern"]),
    "prediction about nothing": (
        GOOD + "expect:\n  - {claim: c, measure: success_rate, configuration: gru, above: 1}",
        "5:54",
        ["expect[0].configuration", "no configuration 'gru'"],
    ),
    "prediction with two bounds": (
        GOOD
        + "expect:\n  - {claim: c, measure: success_rate, configuration: lstm, above: 1, below: 2}",
        "5:5",
        ["one of"],
    ),
    "prediction of an unknown measure": (
        GOOD + "expect:\n  - {claim: c, measure: luck, configuration: lstm, above: 1}",
        "5:25",
        ["expect[0].measure", "known: success_rate", "'luck'"],
    ),
    "unknown figure": (
        GOOD + "figures: [{name: gradient_v_lag}]",
        "4:18",
        ["did you mean 'gradient_vs_lag'?"],
    ),
    "unknown probe": (
        GOOD + "probes: [jacobian_norms, spektra]",
        "4:26",
        ["probes[1]", "did you mean 'spectra'?"],
    ),
    "unknown option of a probe": (
        GOOD + "probes:\n  - {name: spectra, lag: [3]}",
        "5:26",
        ["no option 'lag'", "lags"],
    ),
    "a list of names": (
        "task: adding\ncell: {name: [rnn, lstm]}",
        "2:14",
        ["should be one name", "sweep: {cell.name: [...]}"],
    ),
    "the same probe twice": (
        GOOD + "probes: [spectra, saturation, spectra]",
        "4:9",
        ["'spectra' is there twice"],
    ),
    "infinite": (GOOD + "optimizer: {name: sgd, lr: .inf}", "4:28", ["finite number"]),
    "no options": (
        "task: adding\ncell: {name: rnn, recurrent_init: {name: uniform, gain: 2}}",
        "2:57",
        ["it has no options"],
    ),
    "negative lag": (
        GOOD + "probes: [{name: spectra, lags: [-1]}]",
        "4:33",
        ["greater than or equal to 0"],
    ),
    "prediction at no length": (
        GOOD + "expect:\n  - {claim: c, measure: success_rate, configuration: lstm, above: 1,"
        " length: 11}",
        "5:78",
        ["expect[0].length", "no trial has length 11; known: 10"],
    ),
    "prediction above nothing": (
        GOOD + "expect:\n  - {claim: c, measure: final_loss, configuration: lstm, above: .nan}",
        "5:",
        ["finite number"],
    ),
    "zero layers": (GOOD + "model: {layers: 0}", "4:17", ["model.layers"]),
    "yes is not true": (
        GOOD + "training: {stop_on_success: yes}",
        "4:29",
        ["should be a valid boolean", "'yes'"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_message_names_the_place_and_the_remedy(case):
    text, place, parts = CASES[case]
    with pytest.raises(ConfigError) as caught:
        Experiment.parse(text, "file.yaml")
    message = str(caught.value)
    assert message.startswith("file.yaml" + (f":{place}" if place else "")), message
    for part in parts:
        assert part in message, message
    assert "\n" not in message.strip()


#: text -> the places of its mistakes, each of which has nothing to do with the others
SEVERAL = {
    "five": (
        "qestion: why\ntask: {name: adding, length: ten}\ncell: LSTM\noptimizer: {name: sgd, lr: x}"
        "\nprobes: [spektra]",
        ["1:10", "2:30", "3:7", "4:28", "5:10"],
    ),
    "in one section": (
        GOOD + "training: {steps: 0, batch_size: x, stepz: 1}",
        ["4:19", "4:34", "4:44"],
    ),
    "in one component": (
        "task: adding\ncell: {name: rnn, activation: TANH, hidden_size: 0, gain: 1}",
        ["2:31", "2:50", "2:59"],
    ),
    "a key twice and a wrong value": (GOOD + "seed: x\nseed: 1", ["4:7", "5:1"]),
    "a tag and a wrong name": ("task: !t x\ncell: lstn", ["1:7", "2:7"]),
    "keys twice": (GOOD + "seed: 1\nseed: 2\nclip: none\nclip: none", ["5:1", "7:1"]),
    "in axes of a sweep": (
        GOOD + "sweep:\n  seed: [0, x, y]\n  cell.sise: [1, 2]\n  oops: 3\n  clip: [nome]",
        ["5:13", "5:16", "6:15", "7:9", "8:10"],
    ),
    "in base and sweep": (
        "task: adding\ncell: {name: gru, sise: 3}\nsweep: {cell.name: [rnn, lsmt]}",
        ["2:25", "3:26"],
    ),
    "in predictions": (
        GOOD + "expect:\n  - {claim: c, measure: luck, configuration: gru}\n"
        "  - {claim: c, measure: final_loss, configuration: lstm, above: GRU}\n"
        "  - {claim: c, meassure: final_loss, configuration: lstm, above: 1, length: 3}",
        ["5:5", "5:25", "5:46", "6:65", "7:26"],
    ),
    "in predictions and settings": (
        GOOD + "training: {steps: x}\nexpect:\n"
        "  - {claim: c, measure: luck, configuration: gru, below: 1}",
        ["4:19", "6:25", "6:46"],
    ),
    "in the header and settings": (
        GOOD + "name: a/b\nmodel: {layers: 0}\nfigures: [gatez, Clipping]",
        ["4:7", "5:17", "6:11", "6:18"],
    ),
    "lengths to test at": (
        "task: {name: adding, length: 9}\ncell: lstm\nevaluation: {lengths: [1, 20, 0]}\n"
        "training: {tbptt_stride: 3}",
        ["3:31", "4:26"],
    ),
    "all lengths": (
        "task: {name: adding, length: 9}\ncell: lstm\nevaluation: {lengths: [1, 20, 1]}",
        ["3:24", "3:31"],
    ),
}


@pytest.mark.parametrize("case", SEVERAL)
def test_all_mistakes_are_told_at_once_in_the_order_of_the_file(case):
    text, places = SEVERAL[case]
    with pytest.raises(ConfigErrors) as caught:
        Experiment.parse(text, "file.yaml")
    assert [error.where.removeprefix("file.yaml:") for error in caught.value.errors] == places
    lines = str(caught.value).splitlines()
    assert lines == [str(error) for error in caught.value.errors]


@pytest.mark.parametrize("case", SEVERAL)
def test_each_mistake_is_one_by_itself_as_well(case):
    """The first one mended, the others are still told: none hid behind it or came from it."""
    text, places = SEVERAL[case]
    if case != "five":
        return
    mended = text.replace("qestion", "question").replace("ten", "10").replace("LSTM", "lstm")
    with pytest.raises(ConfigErrors) as caught:
        Experiment.parse(mended, "file.yaml")
    assert [error.where.removeprefix("file.yaml:") for error in caught.value.errors] == places[3:]


def test_of_very_many_mistakes_the_first_are_told():
    wrong = "".join(
        f"  - {{claim: c, measure: luck{i}, configuration: lstm, above: 1}}\n" for i in range(30)
    )
    with pytest.raises(ConfigErrors) as caught:
        Experiment.parse(GOOD + "expect:\n" + wrong, "file.yaml")
    lines = str(caught.value).splitlines()
    assert len(caught.value.errors) == 30
    assert len(lines) == 21
    assert lines[-1] == "and 10 more"


def test_what_follows_from_a_mistake_is_not_told_as_another():
    for text in (
        "task: {name: adding, length: x}\ncell: lstm\nexpect:\n"
        "  - {claim: c, measure: final_loss, configuration: lstm, above: 1, length: 9}",
        GOOD + "training: {tbptt_length: x, tbptt_stride: 3}",
        "taks: adding\ncell: lstm",
        "task: adding\ncell: lstn\nexpect:\n"
        "  - {claim: c, measure: final_loss, configuration: lstm, above: 1}",
        GOOD + "sweep: {seed: [0, x]}\nexpect:\n"
        "  - {claim: c, measure: final_loss, configuration: lstm, above: 1}",
    ):
        with pytest.raises(ConfigError) as caught:
            Experiment.parse(text, "file.yaml")
        assert len(caught.value.errors) == 1, str(caught.value)


def test_good_file_is_good():
    assert len(Experiment.parse(GOOD).trials) == 1


@pytest.mark.parametrize("make", ["missing", "directory", "binary"])
def test_files_that_cannot_be_read(make, tmp_path):
    path = tmp_path / "experiment.yaml"
    (tmp_path / "experiments.yaml").write_text(GOOD)
    if make == "directory":
        path.mkdir()
    elif make == "binary":
        path.write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(ConfigError) as caught:
        Experiment.load(path)
    assert str(path) in str(caught.value)
    if make == "missing":
        assert "did you mean" in str(caught.value)
