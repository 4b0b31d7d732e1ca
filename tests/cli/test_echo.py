"""What commands print."""

from gradscope.cli._echo import echo


def test_control_characters_are_shown(capsys):
    echo("\x1b[31mred\x1b[0m")
    echo("down\x07", err=True, nl=False)
    printed = capsys.readouterr()
    assert printed.out == "\\x1b[31mred\\x1b[0m\n"
    assert printed.err == "down\\x07"
