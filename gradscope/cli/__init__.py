"""The command line: one command a file."""

from gradscope.cli._group import main as main
