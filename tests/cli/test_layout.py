"""A summary laid out for the columns that a terminal has."""

import io

import pandas as pd
import pytest
from rich.cells import cell_len
from rich.console import Console

from gradscope.cli._layout import laid_out

VALUES = {
    "length (steps)": "50",
    "solved (95% interval)": "0/3\n(0% to 71%)",
    "final test loss": "0.185\n(0.148 to 0.231)",
    "loss / baseline": "1.11\n(0.885 to 1.39)",
    "wrong (of answers)": "93%\n(89% to 97%)",
    "steps to solve (updates)": "> 20\n(20 or more at 75%)",
    "memory horizon (steps)": "3.68\n(3.38 to 4.25 at 75%)",
    "growth rate (nats/step)": "−0.528\n(−0.68 to −0.375)",
}


def printed(count: int, label: str = "tanh · clip {}") -> pd.DataFrame:
    """A formatted summary of so many configurations."""
    rows = [{"configuration": label.format(place), **VALUES} for place in range(count)]
    return pd.DataFrame(rows)


def drawn(frame: pd.DataFrame, width: int, telling=("loss / baseline",)):
    """The lines of its table, and what was left out."""
    layout = laid_out(frame, width, telling)
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(layout.table)
    return console.export_text().splitlines(), layout.left_out


@pytest.mark.parametrize("count", [1, 2, 8, 60])
@pytest.mark.parametrize("width", [40, 80, 120, 160, 250])
@pytest.mark.parametrize("label", ["tanh · clip {}", "a name with very many words " * 4, "x" * 90])
def test_it_fits_and_no_column_is_crushed(count, width, label):
    frame = printed(count, label)
    lines, left_out = drawn(frame, width)
    assert max(map(cell_len, lines)) <= width
    text = "\n".join(lines)
    inner = [line for line in lines if line.startswith("│")]
    for column in zip(*(line.strip("│").split("│") for line in inner), strict=True):
        assert all(len(cell.strip()) > 2 or len(cell) > 7 for cell in column if cell.strip())
    for heading, value in VALUES.items():
        if heading not in left_out:
            assert value.splitlines()[0] in text
    assert set(left_out) <= set(VALUES)


def test_what_fits_is_one_table():
    lines, left_out = drawn(printed(8), 200)
    assert left_out == []
    assert sum("0.148 to 0.231" in line for line in lines) == 8


def test_a_few_configurations_stand_side_by_side():
    lines, left_out = drawn(printed(2), 80)
    assert left_out == []
    header = next(line for line in lines if "tanh" in line)
    assert "tanh · clip 0" in header
    assert "tanh · clip 1" in header
    assert any("growth rate (nats/step)" in line and line.count("−0.528") == 2 for line in lines)


def test_one_configuration_at_two_lengths_side_by_side():
    frame = printed(2, "LSTM")
    frame.loc[1, "length (steps)"] = "100"
    lines, _ = drawn(frame, 80)
    assert any("50" in line and "100" in line for line in lines)


def test_of_many_the_columns_that_tell_most_are_kept_whole():
    lines, left_out = drawn(printed(60), 80, ["growth rate (nats/step)"])
    assert "growth rate (nats/step)" not in left_out
    assert "length (steps)" in left_out
    assert sum("(−0.68 to −0.375)" in line for line in lines) == 60
    assert "solved (95% interval)" not in left_out


def test_lengths_that_tell_rows_apart_are_kept():
    frame = printed(60)
    frame["length (steps)"] = [str(10 * place) for place in range(60)]
    assert "length (steps)" not in drawn(frame, 60)[1]


def test_intervals_are_broken_before_a_column_is_left_out():
    lines, left_out = drawn(printed(8), 140)
    assert left_out == []
    assert any("0.231)" in line and "0.148" not in line for line in lines)


def test_words_are_not_markup():
    lines, _ = drawn(printed(1, "a [/b] [red]c"), 160)
    assert any("a [/b] [red]c" in line for line in lines)
