"""A text to train language models on."""

from pathlib import Path

import pytest


@pytest.fixture
def text_file(tmp_path: Path) -> str:
    """The path of 3000 characters with an alphabet of eleven."""
    path = tmp_path / "text.txt"
    path.write_text("".join(chr(97 + (i * i + i // 7) % 11) for i in range(3000)), encoding="utf-8")
    return str(path)
