"""A text to train language models on."""

from tests.tasks.conftest import text_file as text_file
