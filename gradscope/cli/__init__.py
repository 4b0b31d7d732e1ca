"""The command line, a command a file."""

from gradscope.cli._group import main as main

__all__ = ["main"]
