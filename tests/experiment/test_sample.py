"""Trained models from a run directory, and text drawn from language models."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from gradscope.cli import main
from gradscope.errors import GradscopeError
from gradscope.experiment import Experiment
from gradscope.experiment.model import build
from gradscope.experiment.run import run_sweep
from gradscope.experiment.sample import generate, trained
from gradscope.results.records import RunDirectory
from tests.conftest import Silent

LM = (
    "task: {name: char_lm, corpus: '%s', length: 10}\ncell: {name: rnn, hidden_size: 6}\n"
    "probes: [grad_norms]\n"
)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def model(text_file):
    """A language model over the eleven letters a to k."""
    settings = Experiment.parse(LM % text_file).trials[0].settings
    return build(settings, generator=generator())


# --- drawing --------------------------------------------------------------------------------------


def test_samples_follow_the_models_distribution(model):
    """With the recurrence cut, every symbol is a draw from softmax(b_y / temperature)."""
    with torch.no_grad():
        model.weight_hy.zero_()
    drawn = generate(model, length=4000, temperature=0.5, generator=generator(1))
    expected = (model.bias_y.detach() / 0.5).softmax(-1)
    shares = torch.tensor([drawn.count(symbol) / 4000 for symbol in model.task.alphabet])
    assert (shares - expected).abs().max() < 0.03
    likeliest = model.task.alphabet[int(model.bias_y.argmax())]
    assert set(generate(model, length=20, temperature=0.0, generator=generator())) == {likeliest}


def test_every_symbol_is_read_before_the_next_is_drawn(model):
    """Greedy text, step by step: the argmax of the outputs after all that was read."""
    prompt = ("c", "a", "d")
    drawn = generate(model, length=6, temperature=0.0, prompt=prompt, generator=generator())
    alphabet = model.task.alphabet
    read = [alphabet.index(symbol) for symbol in prompt]
    for symbol in drawn:
        inputs = model.embed(torch.tensor(read)[:, None])
        hidden, _ = model.stack.outputs(inputs, model.stack.initial_state(1))
        token = int(model.readout(hidden[-1:])[0, 0].argmax())
        assert symbol == alphabet[token]
        read.append(token)


def test_an_empty_prompt_begins_with_a_symbol_of_the_alphabet_drawn_evenly(model):
    """The first symbol drawn depends on the seed alone at temperature 0."""
    firsts = {
        tuple(generate(model, length=3, temperature=0.0, generator=generator(seed)))
        for seed in range(30)
    }
    given = {
        tuple(generate(model, length=3, temperature=0.0, prompt=(symbol,), generator=generator()))
        for symbol in model.task.alphabet
    }
    assert firsts <= given


def test_what_cannot_be_sampled(model):
    with pytest.raises(GradscopeError, match="never seen 'Z'"):
        generate(model, length=1, prompt=("Z",), generator=generator())
    settings = Experiment.parse("task: adding\ncell: rnn").trials[0].settings
    with pytest.raises(GradscopeError, match="'adding' has no text to sample"):
        generate(build(settings, generator=generator()), length=1, generator=generator())


# --- trained models -------------------------------------------------------------------------------


@pytest.fixture
def run(text_file, tmp_path):
    """A run whose second configuration alone kept its weights."""
    sweep = (
        "training: {steps: 3}\nsweep: {v: [{label: bare, seed: 1},"
        " {label: kept, seed: 2, training.save_weights: true}]}"
    )
    directory = RunDirectory(tmp_path / "run")
    run_sweep(Experiment.parse(LM % text_file + sweep), directory, Silent())
    return directory


def test_a_trained_model_is_the_one_that_was_tested(run):
    """Its loss on the test text is the last one that was recorded."""
    model, trial = trained(run)
    assert trial.configuration == "kept"
    (batch,) = model.task.test(0, generator())
    with torch.no_grad():
        loss = float(model.task.score(model(batch), batch.targets).double().mean())
    recorded = run.read("trials", [trial.id]).to_pydict()["final_loss"]
    assert [loss] == pytest.approx(recorded, rel=1e-12)
    assert not model.training


def test_a_model_is_not_read_with_another_text(run, text_file):
    """Its tokens would stand for other symbols."""
    text = Path(text_file).read_text()
    Path(text_file).write_text(text[::-1])
    with pytest.raises(GradscopeError, match="has changed since the model was trained on it"):
        trained(run)
    Path(text_file).write_text(text)
    assert trained(run).trial.configuration == "kept"


def test_trials_are_found_by_configuration_and_id(run):
    by_label = trained(run, "kept")
    assert trained(run, by_label.trial.id).trial == by_label.trial
    with pytest.raises(GradscopeError, match=r"no configuration 'nope'; .*kept"):
        trained(run, "nope")
    with pytest.raises(GradscopeError, match=r"no trained weights of bare.*save_weights=true"):
        trained(run, "bare")


def test_sample_from_the_command_line(text_file, tmp_path):
    path = tmp_path / "lm.yaml"
    path.write_text(LM % text_file + "training: {steps: 3, save_weights: true}\n")
    runner = CliRunner()
    out = str(tmp_path / "run")
    assert runner.invoke(main, ["run", str(path), "--out", out, "--no-report"]).exit_code == 0
    arguments = ["sample", out, "--length", "30", "--prompt", "ab", "--seed", "3"]
    first, second = runner.invoke(main, arguments), runner.invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    assert first.stdout.startswith("ab")
    assert len(first.stdout.strip("\n")) == 32
    wrong = runner.invoke(main, ["sample", out, "--configuration", "nope"])
    assert wrong.exit_code == 2
    assert "no configuration 'nope'" in wrong.output
    bare = str(tmp_path / "bare")
    unsaved = ["run", str(path), "--out", bare, "--no-report"]
    unsaved += ["--set", "training.save_weights=false"]
    assert runner.invoke(main, unsaved).exit_code == 0
    assert "save_weights=true" in runner.invoke(main, ["sample", bare]).output


@pytest.mark.parametrize("temperature", [float("nan"), float("inf"), -1.0])
def test_a_temperature_is_a_number_from_0_on(temperature, model):
    with pytest.raises(GradscopeError, match="temperature should be a number from 0 on"):
        generate(model, length=2, temperature=temperature, generator=generator())


def test_the_smallest_temperature_takes_the_likeliest_symbol(model):
    likeliest, almost = (
        generate(model, length=9, temperature=t, prompt=("a",), generator=generator())
        for t in (0.0, 1e-320)
    )
    assert likeliest == almost


def test_a_model_whose_training_diverged_draws_nothing(model):
    with torch.no_grad():
        model.weight_hy.fill_(float("nan"))
    with pytest.raises(GradscopeError, match="outputs are not finite"):
        generate(model, length=2, generator=generator())
