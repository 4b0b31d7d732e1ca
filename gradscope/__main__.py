"""``python -m gradscope``: the command line."""

from gradscope.cli import main

main(prog_name="gradscope")
