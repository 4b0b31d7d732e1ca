"""What trials of one seed share, bit for bit, against the table in ``experiment.seeding``."""

import hashlib
import json
from itertools import combinations, islice
from pathlib import Path

import pytest
import torch

from gradscope.experiment import Experiment, Trial, seeding
from gradscope.experiment.run import manifest_of, run_sweep
from gradscope.experiment.train import run_trial
from gradscope.experiment.training import Training
from gradscope.results.records import RunDirectory
from gradscope.tasks import Batch
from tests.conftest import Silent

BASE = {
    "task": {"name": "adding", "length": 9},
    "cell": {"name": "rnn", "hidden_size": 5},
    "training": {"steps": 4, "batch_size": 3},
    "evaluation": {"every": 2, "sequences": 7, "lengths": [12, 15]},
}

#: what none of the draws depends on
NOTHING_MOVES = {
    "a clip": {"clip": {"name": "global_norm", "max_norm": 0.01}},
    "another clip": {"clip": "autoclip"},
    "a clip of the adjoint": {"clip": {"name": "adjoint_norm", "max_norm": 0.1}},
    "an optimiser": {"optimizer": {"name": "sgd", "lr": 0.5}},
    "a learning rate": {"optimizer.lr": 0.7},
    "a truncation in chunks": {"training.tbptt_length": 4},
    "a sliding truncation": {"training.tbptt_length": 4, "training.tbptt_stride": 1},
    "random truncation": {"training.tbptt_random": 0.3},
    "more probes": {"probes": ["lyapunov", "spectra"]},
    "no probes": {"probes": ["none"]},
    "another schedule of a probe": {"probes": [{"name": "saturation", "every": 1}]},
    "more steps": {"training.steps": 11},
    "going on after success": {"training.stop_on_success": False},
    "kept weights": {"training.save_weights": True},
    "more evaluations": {"evaluation.every": 1},
}
#: what the weights depend on, and the sequences do not
OTHER_WEIGHTS = {
    "another cell": {"cell": {"name": "gru", "hidden_size": 5}},
    "another size": {"cell.hidden_size": 6},
    "another initialisation": {"cell.recurrent_init": "orthogonal"},
    "more layers": {"model.layers": 2},
}


def trial(changes: dict[str, object] | None = None, seed: int = 0, **base: object) -> Trial:
    changes = {"seed": seed, **(changes or {})}
    return Experiment.of({**BASE, **base}, overrides=changes).trials[0]


def training(of: Trial) -> Training:
    return Training(of, torch.device("cpu"), lambda *_: None)


def weights(of: Trial) -> dict[str, torch.Tensor]:
    return training(of).model.state_dict()


def batches(of: Trial, count: int = 12) -> list[Batch]:
    return list(islice(training(of).batches, count))


def examined(of: Trial) -> dict[int | None, list[Batch]]:
    return training(of).tests.batches


def alike(first: list[Batch], second: list[Batch]) -> bool:
    return len(first) == len(second) and all(
        x.shape == y.shape and torch.equal(x, y)
        for a, b in zip(first, second, strict=True)
        for x, y in zip(a[:3], b[:3], strict=True)
    )


def same_weights(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(
        first[name].shape == second[name].shape and torch.equal(first[name], second[name])
        for name in first
    )


# --- what is shared -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("what", NOTHING_MOVES)
def test_nothing_that_a_draw_does_not_depend_on_moves_it(what, seed):
    plain, changed = trial(seed=seed), trial(NOTHING_MOVES[what], seed=seed)
    assert plain.id != changed.id
    assert same_weights(weights(plain), weights(changed))
    assert alike(batches(plain), batches(changed))
    assert examined(plain).keys() == examined(changed).keys()
    assert all(alike(examined(plain)[key], examined(changed)[key]) for key in examined(plain))
    assert plain.draws == changed.draws


@pytest.mark.parametrize("what", OTHER_WEIGHTS)
def test_all_configurations_see_the_same_sequences(what):
    plain, changed = trial(), trial(OTHER_WEIGHTS[what])
    assert not same_weights(weights(plain), weights(changed))
    assert alike(batches(plain), batches(changed))
    assert all(alike(examined(plain)[key], examined(changed)[key]) for key in examined(plain))
    assert plain.draws["weights"] != changed.draws["weights"]
    assert {**plain.draws, "weights": ""} == {**changed.draws, "weights": ""}


@pytest.mark.slow
def test_whole_trainings_start_from_the_same_loss_with_and_without_a_clip():
    """The quickstart's tanh network once started at 0.903 without a clip, and at 1.257 with one."""
    recorded = [run_trial(trial(change)).tables for change in ({}, *NOTHING_MOVES.values())]
    assert len({tables["evaluation"]["loss"][0] for tables in recorded}) == 1
    losses = [tables["training"]["loss"][0] for tables in recorded]
    assert losses == pytest.approx([losses[0]] * len(losses), rel=1e-6)  # windows sum otherwise


def test_a_longer_task_has_the_same_weights_and_other_sequences():
    short, long = trial(), trial({"task.length": 12})
    assert same_weights(weights(short), weights(long))
    assert short.draws["weights"] == long.draws["weights"]
    assert short.draws["training"] != long.draws["training"]
    # a test at one length is of the same sequences, whatever the length of the training
    assert alike(examined(short)[12], examined(long)[None])
    assert alike(examined(short)[15], examined(long)[15])


def test_tests_at_other_lengths_do_not_move_each_other():
    plain = examined(trial())
    more = examined(trial({"evaluation.lengths": [40, 15, 12, 9]}))
    assert all(alike(plain[key], more[key]) for key in plain)
    assert alike(more[None], more[9])


def test_half_as_precise_weights_are_the_same_ones_rounded():
    single, double = weights(trial()), weights(trial({"dtype": "float64"}))
    for name, value in single.items():
        assert torch.equal(value, double[name].float())


def test_a_layer_does_not_move_those_below_it_nor_an_embedding_the_readout():
    task, model = {"name": "copy_memory", "length": 3}, {"embedding": "learned"}
    one = weights(trial(task=task, evaluation={}))
    two = weights(trial({"model.layers": 2}, task=task, evaluation={}))
    embedded = weights(trial(task=task, evaluation={}, model=model))
    for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"):
        assert torch.equal(one[f"stack.{name}"], two[f"stack.{name}"])
    for other in (two, embedded):
        assert torch.equal(one["weight_hy"], other["weight_hy"])
        assert torch.equal(one["bias_y"], other["bias_y"])


@pytest.mark.parametrize(
    "options",
    [{"activation": "relu"}, {"recurrent_init": {"name": "gaussian", "gain": 1.0}}],
    ids=["activation", "gain"],
)
def test_options_that_only_transform_what_is_drawn_act_on_the_same_numbers(options):
    gaussian = {"name": "rnn", "hidden_size": 5, "recurrent_init": {"name": "gaussian", "gain": 2}}
    gaussian["recurrent_init"]["gain"] = 2.0
    plain = weights(trial(cell=gaussian))
    changed = weights(trial(cell={**gaussian, **options}))
    ratio = plain["stack.weight_hh_l0"] / changed["stack.weight_hh_l0"]
    expected = 2.0 if "recurrent_init" in options else 1.0
    torch.testing.assert_close(ratio, torch.full_like(ratio, expected))
    assert torch.equal(plain["stack.weight_ih_l0"], changed["stack.weight_ih_l0"])


# --- what is not ----------------------------------------------------------------------------------


def test_another_seed_changes_everything():
    for first, second in combinations([trial(seed=seed) for seed in range(4)], 2):
        assert not same_weights(weights(first), weights(second))
        assert not alike(batches(first, 1), batches(second, 1))
        assert not any(
            alike(examined(first)[key], examined(second)[key]) for key in examined(first)
        )
        assert all(first.draws[what] != second.draws[what] for what in first.draws)


def generators(of: Trial) -> dict[str, torch.Generator]:
    settings = of.settings
    seed, task, root = settings.seed, settings.task, seeding.weights(settings.seed)
    return {
        "layer 0": seeding.branch(root, "layer 0", "rnn", 2, 5),
        "layer 1": seeding.branch(root, "layer 1", "rnn", 5, 5),
        "readout": seeding.branch(root, "readout", 1, 5),
        "embedding": seeding.branch(root, "embedding", 1, 5),
        "weights": root,
        "training": seeding.training(seed, task, settings.training.batch_size),
        "other batches": seeding.training(seed, task, 2 * settings.training.batch_size),
        "testing": seeding.testing(seed, task),
        "longer tests": seeding.testing(seed, task.at_length(30)),
        "truncation": seeding.truncation(seed),
    }


def test_no_two_purposes_and_no_two_seeds_share_a_stream():
    """torch's generator takes the lower 32 bits of a seed; of 400 streams no two should meet."""
    streams = {}
    for seed in range(40):
        for purpose, generator in generators(trial(seed=seed)).items():
            streams[seed, purpose] = generator.initial_seed() % 2**32
    assert len(set(streams.values())) == len(streams)
    first = [torch.rand(4, generator=g).tolist() for g in generators(trial()).values()]
    assert len(set(map(tuple, first))) == len(first)


# --- against the table ----------------------------------------------------------------------------


def by_hand(*named: object) -> torch.Generator:
    """The seed as the module's text says it, by the standard library alone."""
    text = json.dumps(named, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") // 2)


def test_streams_are_those_of_the_table():
    task = {"name": "adding", "length": 9, "placement": "halves"}
    run = training(trial(seed=3))
    drawn = list(islice(run.task.stream(3, by_hand("training", 3, task, 3)), 12))
    assert alike(drawn, list(islice(run.batches, 12)))
    assert alike(run.task.test(7, by_hand("testing", 3, task)), run.tests.batches[None])
    longer = {**task, "length": 15}
    of_length = run.task.at_length(15).test(7, by_hand("testing", 3, longer))
    assert alike(of_length, run.tests.batches[15])
    root = by_hand("weights", 3).initial_seed()
    cell = trial(seed=3).settings.cell.build(2, generator=by_hand("layer 0", root, "rnn", 2, 5))
    for name, value in cell.state_dict().items():
        assert torch.equal(value, run.model.stack.state_dict()[f"{name}_l0"])


# --- order, workers, resume -----------------------------------------------------------------------


def recorded(content: dict[str, object], folder: Path) -> dict[str, object]:
    """Trial id to what was recorded of it, but for the time it took."""
    experiment = Experiment.of(content)
    directory = RunDirectory(folder)
    run_sweep(experiment, directory, Silent())
    return {
        one.id: repr(
            {
                table: directory.read(table, [one.id]).to_pydict()
                for table in ("training", "evaluation", "memory_horizon", "trials", "lengths")
            }
        )
        for one in experiment.trials
    }


@pytest.mark.slow
def test_neither_order_nor_company_nor_resume_changes_a_trial(tmp_path):
    clips = ["none", {"name": "global_norm", "max_norm": 0.05}]
    sweep = {"clip": clips, "cell.name": ["rnn", "lstm"], "seed": [0, 1]}
    whole = recorded({**BASE, "sweep": sweep}, tmp_path / "whole")
    turned = {"seed": [1, 0], "cell.name": ["lstm", "rnn"], "clip": clips[::-1]}
    assert recorded({**BASE, "sweep": turned}, tmp_path / "turned") == whole
    alone = recorded(
        {**BASE, "seed": 1, "cell": {"name": "lstm", "hidden_size": 5}}, tmp_path / "1"
    )
    assert alone.items() <= whole.items()
    part = {**sweep, "clip": clips[:1]}
    first = recorded({**BASE, "sweep": part}, tmp_path / "part")
    assert first.items() <= whole.items()
    assert recorded({**BASE, "sweep": sweep}, tmp_path / "part") == whole


# --- texts ----------------------------------------------------------------------------------------

LM = {"cell": {"name": "rnn", "hidden_size": 4}, "training": {"steps": 2, "batch_size": 2}}


def of_text(path: Path, **options: object) -> Trial:
    task = {"name": "char_lm", "corpus": str(path), "length": 5, **options}
    return Experiment.of({**LM, "task": task}).trials[0]


def test_a_text_counts_by_its_contents(tmp_path):
    text = "".join(chr(97 + (i * i + i // 7) % 11) for i in range(3000))
    (tmp_path / "b").mkdir()
    for place in ("a.txt", "b/other.txt"):
        (tmp_path / place).write_text(text)
    first, elsewhere = of_text(tmp_path / "a.txt"), of_text(tmp_path / "b" / "other.txt")
    assert first.id == elsewhere.id
    assert first.draws == elsewhere.draws
    assert alike(batches(first), batches(elsewhere))
    assert same_weights(weights(first), weights(elsewhere))
    (tmp_path / "a.txt").write_text(text[::-1])
    changed = of_text(tmp_path / "a.txt")
    assert changed.id != first.id
    assert all(changed.draws[what] != first.draws[what] for what in first.draws)
    seeds = [
        seeding.training(0, one.settings.task, 2).initial_seed() for one in (elsewhere, changed)
    ]
    assert seeds[0] != seeds[1]


def test_options_of_tests_alone_do_not_move_the_training(tmp_path):
    (tmp_path / "a.txt").write_text("abcde fghij " * 200)
    plain = of_text(tmp_path / "a.txt")
    for options in ({"ngram": 2}, {"test_tokens": 150}, {"context": 4}):
        changed = of_text(tmp_path / "a.txt", **options)
        assert alike(batches(plain), batches(changed))
        assert plain.draws["training"] == changed.draws["training"]


# --- what the manifest says -----------------------------------------------------------------------


def test_the_manifests_digits_are_the_same_where_the_draws_are():
    """Of every pair of these trials, against the tensors themselves."""
    changes = [{}, *OTHER_WEIGHTS.values(), *list(NOTHING_MOVES.values())[::4]]
    changes += [{"task.length": 12}, {"training.batch_size": 4}, {"evaluation.sequences": 5}]
    changes += [{"dtype": "float64"}, {"seed": 1}, {"cell.activation": "relu"}]
    trials = [trial(change) for change in changes]
    made = [(weights(one), batches(one, 2), examined(one)[None]) for one in trials]
    for (one, of_one), (two, of_two) in combinations(zip(trials, made, strict=True), 2):
        assert one.draws["training"] == two.draws["training"] or not alike(of_one[1], of_two[1])
        assert alike(of_one[1], of_two[1]) or one.draws["training"] != two.draws["training"]
        assert (one.draws["testing"] == two.draws["testing"]) == alike(of_one[2], of_two[2])
        if one.draws["weights"] == two.draws["weights"]:
            assert same_weights(of_one[0], of_two[0])


@pytest.mark.parametrize(
    ("sweep", "said"),
    [
        (
            {"clip": ["none", "value"], "seed": [0, 1]},
            "all trials see the same training and test sequences and begin with the same weights",
        ),
        (
            {"clip": ["none", "value"], "cell.name": ["rnn", "gru"], "seed": [0, 1]},
            "all trials see the same training and test sequences; trials that differ only in clip "
            "begin with the same weights",
        ),
        (
            {"task.length": [8, 9], "cell.name": ["rnn", "gru"]},
            "trials that differ only in cell.name see the same training and test sequences; trials "
            "that differ only in task.length begin with the same weights",
        ),
        ({"cell.name": ["rnn", "gru"]}, "all trials see the same training and test sequences"),
    ],
)
def test_a_report_says_what_is_shared(sweep, said):
    manifest = manifest_of(Experiment.of({**BASE, "sweep": sweep}))
    assert manifest.sharing == f"Of one seed, {said}."


def test_where_seeds_alone_differ_there_is_nothing_to_say():
    assert manifest_of(Experiment.of({**BASE, "sweep": {"seed": [0, 1]}})).sharing == ""
