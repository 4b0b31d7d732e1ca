"""Experiment files as a hand that slips, or an enemy, would write them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

#: texts that have broken readers of YAML, numbers or names before
TOKENS = (
    "1e400", "-1e400", "1e-400", "0x" + "f" * 5000, "9" * 4400, "1" + "0" * 18, "-1", "0", "-0.0",
    ".nan", ".inf", "-.inf", "1_000", "0b1", "1:30", "0o8", "012", "1e", "+", ".", "~", "null",
    "true", "''", '""', "[]", "{}", "[[]]", "{{}: 1}", "? ", "- ", ": ", "#", "%YAML 1.1\n---\n",
    "---\n", "...\n", "&a ", "*a", "<<: *a", "!!python/object/apply:os.system ['true']", "!!int ",
    "!!binary aGk=", "!!set {a}", "!!float x", "!!str ", "|", ">", "\t", "\x00", "\x1b[2J", "\x7f",
    "\u2028", "\ufeff", "\u202e", "\ud800", "\U0001f600", "e\u0301", "a" * 300,
    "[" * 500, "{a: " * 300,
    "[" * 60 + "]" * 60, "../../etc/passwd", "/dev/zero", "index.html", "con", ".", "..", "a/b",
    "=cmd", "@x", "`x`", "'", '"', "\\", "\r", "\r\n", "name:", "seed: [0, 1]", "name: none",
    "{name: lstm}", "{name: [lstm, gru]}", "{lstm: {}}", "2147483648", "9223372036854775808",
    "100000000000", "1e9", "1000000000", "label: x", "sweep: {sweep: [1]}", "cell.hidden_size",
    "a.b.c.d", ".", "cell.", ".cell", "cell..name", "training.steps.x",
)  # fmt: skip

Mutation = Callable[[str, random.Random], str]
_WORD = re.compile(r"[\w.+-]+")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


def _replaced(pattern: re.Pattern[str], text: str, chance: random.Random, by: str) -> str:
    found = list(pattern.finditer(text))
    if not found:
        return text + by
    one = chance.choice(found)
    return text[: one.start()] + by + text[one.end() :]


def word(text: str, chance: random.Random) -> str:
    """A word becomes a token."""
    return _replaced(_WORD, text, chance, chance.choice(TOKENS))


def number(text: str, chance: random.Random) -> str:
    """A number becomes a token."""
    return _replaced(_NUMBER, text, chance, chance.choice(TOKENS))


def other_word(text: str, chance: random.Random) -> str:
    """A word becomes another word of the file."""
    return _replaced(_WORD, text, chance, chance.choice(_WORD.findall(text) or ["x"]))


def insertion(text: str, chance: random.Random) -> str:
    """A token is put in somewhere."""
    at = chance.randrange(len(text) + 1)
    return text[:at] + chance.choice(TOKENS) + text[at:]


def deletion(text: str, chance: random.Random) -> str:
    """A stretch is lost."""
    at = chance.randrange(len(text) + 1)
    return text[:at] + text[at + chance.randrange(1, 30) :]


def repetition(text: str, chance: random.Random) -> str:
    """A stretch stands twice."""
    at, length = chance.randrange(len(text) + 1), chance.randrange(1, 80)
    return text[: at + length] + text[at:]


def character(text: str, chance: random.Random) -> str:
    """A character is another."""
    if not text:
        return "?"
    at = chance.randrange(len(text))
    return (
        text[:at]
        + chr(chance.choice([chance.randrange(128), chance.randrange(0x2100)]))
        + text[at + 1 :]
    )


def swap(text: str, chance: random.Random) -> str:
    """A key and its value change places."""
    lines = text.splitlines()
    at = [i for i, line in enumerate(lines) if re.match(r"\s*[\w.]+: \S", line)]
    if not at:
        return text[::-1]
    line = lines[chance.choice(at)]
    indent = line[: len(line) - len(line.lstrip())]
    key, _, value = line.strip().partition(": ")
    return text.replace(line, f"{indent}{value}: {key}", 1)


def indentation(text: str, chance: random.Random) -> str:
    """A line stands further in or out."""
    lines = text.split("\n")
    at = chance.randrange(len(lines))
    lines[at] = chance.choice([" " * chance.randrange(1, 9) + lines[at], lines[at].lstrip()])
    return "\n".join(lines)


def bomb(text: str, chance: random.Random) -> str:
    """Aliases of aliases."""
    depth, width = chance.randrange(2, 12), chance.randrange(2, 10)
    lines = ["a0: &a0 [1, 2]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * width)}]" for i in range(1, depth)]
    use = chance.choice(["sweep: {seed: *a%d}", "probes: *a%d", "task: *a%d", "question: *a%d"])
    return "\n".join([*lines, text, use % (depth - 1)])


def grown(text: str, chance: random.Random) -> str:
    """A sweep of very many trials."""
    axes = chance.randrange(1, 6)
    many = ", ".join(map(str, range(1, chance.choice([3, 40, 1000, 20_000]))))
    keys = ["seed", "task.length", "training.steps", "training.batch_size", "cell.hidden_size"]
    return (
        re.sub(r"(?ms)^sweep:.*?(?=^\S|\Z)", "", text)
        + "\nsweep:\n"
        + "".join(f"  {key}: [{many}]\n" for key in keys[:axes])
    )


COMMON: tuple[Mutation, ...] = (
    word, number, other_word, insertion, deletion, repetition, character, swap, indentation,
)  # fmt: skip
RARE: tuple[Mutation, ...] = (bomb, grown)


def files() -> list[str]:
    """The experiment files that come with the project, and a small one of every section."""
    folder = Path(__file__).parents[2] / "experiments"
    return [SMALL, *(path.read_text(encoding="utf-8") for path in sorted(folder.rglob("*.yaml")))]


SMALL = """
name: small
task: {name: adding, length: 6}
cell: {name: lstm, hidden_size: 4, forget_bias: 1.0}
model: {layers: 1}
clip: {name: global_norm, max_norm: 1.0}
optimizer: {name: adam, lr: 1e-3}
training: {steps: 2, batch_size: 3, tbptt_length: 4, tbptt_stride: 2}
evaluation: {every: 1, sequences: 4, lengths: [8]}
probes: [none, grad_norms, {name: saturation}]
sweep:
  cell.name: [lstm, gru]
  seed: [0, 1]
expect:
  - {claim: more, measure: final_loss, configuration: lstm, above: gru}
figures: [learning_curves]
"""


def mutated(seed: int, texts: list[str]) -> str:
    """One file with one to four mutations; the seed decides all of it."""
    chance = random.Random(seed)
    text = chance.choice([texts[0], chance.choice(texts)])
    for _ in range(chance.choice([1, 1, 1, 2, 3, 4])):
        text = chance.choice(RARE if chance.random() < 0.02 else COMMON)(text, chance)
    return text
