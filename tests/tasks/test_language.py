"""Language models: streams, n-grams, sampling, and the lecture's two sentences."""

import math
from itertools import islice, pairwise

import pytest
import torch
from click.testing import CliRunner

from gradscope import GradscopeError
from gradscope.cli._group import main
from gradscope.components.options import component
from gradscope.experiment import schema as config
from gradscope.experiment.model import build
from gradscope.experiment.sample import generate
from gradscope.tasks import _corpora as corpora
from gradscope.tasks._ngram import cross_entropies
from gradscope.tasks.long_agreement import LANGUAGES, NEAR
from gradscope.tasks.word_lm import split


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(chr(97 + (i * i + i // 7) % 11) for i in range(3000)), encoding="utf-8")
    return str(path)


def model_of(text, **kwargs):
    settings = config.parse(text, **kwargs).trials[0].settings
    return build(settings, generator=generator())


# --- streams --------------------------------------------------------------------------------------


def test_streams_are_contiguous_and_cover_the_text_in_an_epoch(text_file):
    task = component("task", {"name": "char_lm", "corpus": text_file, "length": 25})
    train = task.text().train
    batches = list(islice(task.stream(4, generator()), (len(train) - 1) // 4 // 25))
    assert [b.continues for b in batches] == [False, *[True] * (len(batches) - 1)]
    for before, after in pairwise(batches):
        assert torch.equal(before.targets[-1], after.inputs[0]), (
            "a batch begins with what the last one was asked for"
        )
    for batch in batches:
        assert torch.equal(batch.inputs[1:], batch.targets[:-1])
    read = torch.cat([b.inputs for b in batches]).T.flatten()
    doubled = torch.cat((train, train)).tolist()
    for row in torch.cat([b.inputs for b in batches]).T.tolist():
        assert any(doubled[i : i + len(row)] == row for i in range(len(train)))
    assert len(read) >= 0.9 * (len(train) - 4)


def test_without_state_every_batch_is_a_fresh_one(text_file):
    task = component(
        "task", {"name": "char_lm", "corpus": text_file, "length": 10, "stateful": False}
    )
    assert not any(batch.continues for batch in islice(task.stream(2, generator()), 5))


def test_training_carries_the_state_from_batch_to_batch(text_file):
    """Two stateful batches give the loss of one sequence twice as long, at fixed weights."""
    from gradscope.experiment.train import _Run

    text = (
        f"task: {{name: char_lm, corpus: '{text_file}', length: 10}}\ncell: {{name: lstm,"
        " hidden_size: 5}\ndtype: float64\ntraining: {batch_size: 3}\nprobes: []"
    )
    run = _Run(config.parse(text).trials[0], "cpu", lambda *_: None)
    batches, losses = [], []
    for batch, loss in islice(run._updates(), 3):
        batches.append(batch)
        losses.append(loss.item())
    whole = batches[0]._replace(
        inputs=torch.cat([b.inputs for b in batches]),
        steps=torch.arange(30),
        targets=torch.cat([b.targets for b in batches]),
    )
    with torch.no_grad():
        scores = run.model.task.score(run.model(whole), whole.targets)
    assert losses == pytest.approx(scores.view(3, 10, 3).mean((1, 2)).tolist(), abs=1e-12)


def test_held_out_text_is_never_trained_on_and_read_in_order(text_file):
    task = component(
        "task", {"name": "char_lm", "corpus": text_file, "held_out": 0.3, "test_tokens": 500}
    )
    (batch,) = task.test(0, generator())
    assert batch.inputs.numel() == 500
    assert torch.equal(batch.inputs.T.flatten(), task.text().test[:500])
    assert torch.equal(batch.targets.T.flatten(), task.text().test[1:501])
    pieces = task.at_length(20).test(0, generator())[0]
    assert pieces.inputs.shape == (20, 25)


# --- n-grams --------------------------------------------------------------------------------------


def test_witten_bell_by_hand():
    """Train abab a; after a comes b twice (one kind): p(b | a) = (2 + 1 p(b)) / 3, with p(b) = (2 +
    2 / 3) / (5 + 2).
    """
    train, test = [0, 1, 0, 1, 0], [0, 1]
    one, two = cross_entropies(train, test, 3, 2)
    p_a, p_b = (3 + 2 / 3) / 7, (2 + 2 / 3) / 7
    assert one == pytest.approx(-(math.log(p_a) + math.log(p_b)) / 2)
    assert two == pytest.approx(-(math.log(p_a) + math.log((2 + p_b) / 3)) / 2)


def test_ngrams_are_distributions_and_unseen_contexts_fall_back():
    train = [0, 1, 2, 0, 1, 1, 2, 2, 0]
    for order in (1, 2, 3):
        total = sum(math.exp(-2 * cross_entropies(train, [3, w], 4, order)[-1]) for w in range(4))
        first = math.exp(-cross_entropies(train, [3], 4, order)[-1])
        assert total == pytest.approx(first)


def test_a_deterministic_text_is_learned_by_a_long_enough_context():
    train = [0, 0, 1, 1] * 500
    found = cross_entropies(train, [0, 0, 1, 1] * 50, 2, 3)
    assert found[0] == pytest.approx(math.log(2), abs=1e-3)
    assert found[2] < 0.02


# --- corpora --------------------------------------------------------------------------------------


def test_public_corpora_are_checked_and_cached(tmp_path, monkeypatch):
    import hashlib
    import zipfile

    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path / "cache"))
    archive = tmp_path / "small.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("small", "some text\n" * 20)
    digest = "md5:" + hashlib.md5(b"some text\n" * 20).hexdigest()
    monkeypatch.setitem(
        corpora.SOURCES, "small", (corpora.Part(archive.as_uri(), digest, "small", True),)
    )
    assert corpora.load("small").train == "some text\n" * 20
    archive.unlink()
    corpora._public.cache_clear()
    assert corpora.load("small").train == "some text\n" * 20, "from the cache"
    (tmp_path / "cache" / "small" / "small.zip").write_bytes(b"not a zip")
    corpora._public.cache_clear()
    with pytest.raises(GradscopeError, match=r"no zip archive.*delete it"):
        corpora.load("small")


def test_a_download_with_the_wrong_checksum_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "a.txt").write_text("other text")
    part = corpora.Part((tmp_path / "a.txt").as_uri(), "sha256:" + "0" * 64)
    monkeypatch.setitem(corpora.SOURCES, "wrong", (part,))
    with pytest.raises(GradscopeError, match="checksum"):
        corpora.load("wrong")
    assert not (tmp_path / "cache" / "wrong" / "a.txt").exists()


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_CACHE", str(tmp_path))
    monkeypatch.setitem(
        corpora.SOURCES, "gone", (corpora.Part((tmp_path / "no.txt").as_uri(), "md5:0"),)
    )
    with pytest.raises(GradscopeError, match=r"put that file at .*gone.no\.txt by hand"):
        corpora.load("gone")


def test_texts_that_cannot_be_used(tmp_path):
    with pytest.raises(GradscopeError, match="known: stdlib"):
        corpora.load("no/such/file.txt")
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    with pytest.raises(GradscopeError, match="no UTF-8 text"):
        corpora.load(str(tmp_path / "latin.txt"))
    (tmp_path / "empty.txt").write_text(" \n")
    with pytest.raises(GradscopeError, match="is empty"):
        corpora.load(str(tmp_path / "empty.txt"))
    (tmp_path / "short.txt").write_text("abcdefgh")
    with pytest.raises(GradscopeError, match="too few for sequences of 100"):
        component("task", {"name": "char_lm", "corpus": str(tmp_path / "short.txt")}).text()


def test_words_of_a_plain_text_and_of_one_that_is_ready():
    assert split("I live in France.\n\nYes!", ready=False) == [
        "i",
        "live",
        "in",
        "france",
        ".",
        "<eos>",
        "yes",
        "!",
        "<eos>",
    ]
    assert split("the <unk> N\n", ready=True) == ["the", "<unk>", "N", "<eos>"]


# --- embeddings -----------------------------------------------------------------------------------

LM = (
    "task: {name: char_lm, corpus: '%s', length: 10}\ncell: {name: rnn, hidden_size: 6}\nmodel:"
    " {embedding: %s%s}"
)


def test_one_hot_learned_scaled_and_tied_embeddings(text_file):
    tokens = torch.tensor([[0, 3]])
    one_hot = model_of(LM % (text_file, "one_hot", ""))
    assert torch.equal(one_hot.embed(tokens)[0], torch.eye(11)[[0, 3]])
    learned = model_of(LM % (text_file, "learned", ", embedding_size: 5"))
    assert torch.equal(learned.embed(tokens)[0], learned.embedding[[0, 3]])
    scaled = model_of(LM % (text_file, "scaled", ", embedding_size: 5"))
    assert torch.allclose(scaled.embed(tokens)[0], math.sqrt(5) * scaled.embedding[[0, 3]])
    tied = model_of(LM % (text_file, "tied", ""))
    assert tied.weight_hy is tied.embedding
    assert sum(p.numel() for p in tied.parameters()) == sum(
        p.numel() for p in set(tied.parameters())
    )
    with pytest.raises(GradscopeError, match=r"tied.*embedding_size the cell's hidden_size"):
        model_of(LM % (text_file, "tied", ", embedding_size: 5"))


# --- sampling -------------------------------------------------------------------------------------


def test_samples_follow_the_models_distribution(text_file):
    """With the recurrence cut, every symbol is a draw from the softmax of the bias at that
    temperature.
    """
    model = model_of(LM % (text_file, "one_hot", ""))
    with torch.no_grad():
        model.weight_hy.zero_()
    drawn = generate(model, length=4000, temperature=0.5, generator=generator(1))
    expected = (model.bias_y.detach() / 0.5).softmax(-1)
    shares = torch.tensor([drawn.count(symbol) / 4000 for symbol in model.task.alphabet])
    assert (shares - expected).abs().max() < 0.03
    likeliest = model.task.alphabet[int(model.bias_y.argmax())]
    assert set(generate(model, length=20, temperature=0.0, generator=generator())) == {likeliest}
    with pytest.raises(GradscopeError, match="never seen 'Z'"):
        generate(model, length=1, prompt=("Z",), generator=generator())


def test_sample_from_the_command_line(text_file, tmp_path):
    path = tmp_path / "lm.yaml"
    path.write_text(
        (LM % (text_file, "one_hot", ""))
        + "\ntraining: {steps: 3, save_weights: true}\nprobes: [grad_norms]"
    )
    runner = CliRunner()
    assert (
        runner.invoke(
            main, ["run", str(path), "--out", str(tmp_path / "run"), "--no-report"]
        ).exit_code
        == 0
    )
    arguments = ["sample", str(tmp_path / "run"), "--length", "30", "--prompt", "ab", "--seed", "3"]
    first, second = runner.invoke(main, arguments), runner.invoke(main, arguments)
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    assert first.stdout.startswith("ab")
    assert len(first.stdout.strip("\n")) == 32
    wrong = runner.invoke(main, ["sample", str(tmp_path / "run"), "--configuration", "nope"])
    assert wrong.exit_code == 2
    assert "no configuration 'nope'" in wrong.output
    bare = tmp_path / "bare"
    unsaved = [
        "run",
        str(path),
        "--out",
        str(bare),
        "--no-report",
        "--set",
        "training.save_weights=false",
    ]
    assert runner.invoke(main, unsaved).exit_code == 0
    assert "save_weights=true" in runner.invoke(main, ["sample", str(bare)]).output


# --- the two sentences ----------------------------------------------------------------------------


@pytest.mark.parametrize("length", [4, 5, 11, 60])
def test_the_answer_stands_as_many_words_back_as_said(length):
    task = component("task", {"name": "long_agreement", "length": length})
    batch = task.sample(40, generator())
    words = [[task.alphabet[token] for token in column] for column in batch.inputs.T.tolist()]
    for sentence, target in zip(words, batch.targets[0].tolist(), strict=True):
        assert sentence[:3] == ["i", "live", "in"]
        assert sentence[-2:] == ["i", "speak"]
        assert len(sentence) - 3 == length
        assert task.alphabet[target] == LANGUAGES[sentence[3]]
        assert not set(sentence[4:]) & (set(LANGUAGES) | set(LANGUAGES.values())), (
            "a filler gives the answer away"
        )
    assert batch.steps.tolist() == [len(words[0]) - 1]


def test_the_near_answer_stands_four_words_back_whatever_the_length():
    task = component("task", {"name": "long_agreement", "length": 50, "sentence": "near"})
    batch = task.sample(40, generator())
    for column, target in zip(batch.inputs.T.tolist(), batch.targets[0].tolist(), strict=True):
        sentence = [task.alphabet[token] for token in column]
        assert len(sentence) == 50
        assert sentence[-3:] == ["is", "a", "good"]
        assert task.alphabet[target] == NEAR[sentence[-4]]


def test_a_missing_corpus_is_an_error_of_the_file_before_anything_runs():
    from gradscope.errors import ConfigError

    with pytest.raises(ConfigError) as caught:
        config.parse("cell: rnn\ntask: {name: char_lm, corpus: nofile.txt}", "lm.yaml")
    assert str(caught.value).startswith("lm.yaml:2:")
    assert "task.corpus" in str(caught.value)
    assert "there is no corpus or text file 'nofile.txt'" in str(caught.value)
    with pytest.raises(ConfigError, match=r"lm.yaml:2:.*task.data.*MNIST's four files"):
        config.parse("cell: rnn\ntask: {name: digits, data: nowhere}", "lm.yaml")
