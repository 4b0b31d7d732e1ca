"""CSV that holds no formulas."""

import csv
import io

import pandas as pd
import pytest

from gradscope.results.spreadsheets import csv_of


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "=cmd|' /C calc'!A0"])
def test_what_a_spreadsheet_may_run_is_text(text):
    frame = pd.DataFrame({text: [text, "tanh"], "n": [-1.5, float("nan")]})
    header, first, second = csv.reader(io.StringIO(csv_of(frame), newline=""))
    assert header == [f"'{text}", "n"]
    assert first == [f"'{text}", "-1.5"]
    assert second == ["tanh", ""]
    assert frame.columns[0] == text  # the table itself stays as it was


def test_numbers_and_plain_texts_stay():
    frame = pd.DataFrame({"label": ["a", None], "rate": [-0.25, 1e-300], "solved": [True, False]})
    assert csv_of(frame) == frame.to_csv(index=False)
    assert csv_of(frame.iloc[:0]) == "label,rate,solved\n"
