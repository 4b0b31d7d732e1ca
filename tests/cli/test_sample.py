"""gradscope sample."""

import pytest

from tests.cli.conftest import invoke, refused

LM = """
task: {name: TASK, corpus: 'FILE', length: 10, test_tokens: 100}
cell: {name: rnn, hidden_size: 4}
training: {steps: 2, batch_size: 2, save_weights: true}
probes: [grad_norms]
"""


@pytest.fixture
def language_model(tmp_path):
    """Trains a model of a text, by characters or words; gives its run directory."""

    def train(task: str, text: str):
        (tmp_path / "text.txt").write_text(text)
        path = tmp_path / f"{task}.yaml"
        path.write_text(LM.replace("TASK", task).replace("FILE", str(tmp_path / "text.txt")))
        result = invoke("run", path, "--out", tmp_path / task, "--no-report")
        assert result.exit_code == 0, result.output
        return tmp_path / task

    return train


@pytest.fixture
def of_characters(language_model):
    return language_model("char_lm", "abcdefghij" * 200)


def test_a_text_of_characters_begins_with_the_prompt(of_characters):
    arguments = ("sample", of_characters, "--length", 30, "--prompt", "ab", "--seed", 3)
    first, second = invoke(*arguments), invoke(*arguments)
    assert first.exit_code == 0, first.output
    assert first.stdout == second.stdout
    assert first.stdout.startswith("ab")
    assert len(first.stdout.strip("\n")) == 32
    assert set(first.stdout.strip("\n")) <= set("abcdefghij")
    assert first.stderr == "rnn, temperature 0.7:\n"
    assert invoke(*arguments[:-1], 4).stdout != first.stdout


def test_a_text_of_words_has_spaces_between_them_and_lines(language_model):
    words = ["one two three four", "five six", "seven eight nine"]
    run = language_model("word_lm", "\n".join(words * 150))
    result = invoke("sample", run, "--length", 40, "--prompt", "one two")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("one two ")
    assert "<eos>" not in result.stdout.removesuffix("<eos>\n")
    assert set(result.stdout.split()) <= {*" ".join(words).split(), "<eos>", "<unk>"}


def test_bad_input(of_characters, recorded, tmp_path):
    message = refused("sample", of_characters, "--configuration", "nope")
    assert "no configuration 'nope'" in message
    assert "never seen 'Z'" in refused("sample", of_characters, "--prompt", "Z")
    assert "save_weights=true" in refused("sample", recorded)
    assert "does not exist" in refused("sample", tmp_path / "nowhere")
