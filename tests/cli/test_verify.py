"""gradscope verify, as a user meets it."""

from tests.cli.conftest import invoke, refused


def test_a_whole_run(recorded):
    shown = invoke("verify", recorded)
    assert shown.exit_code == 0
    assert "2 trials, all as they were written" in shown.stdout


def test_damage_is_named_and_repaired(recorded):
    (shard, *_) = sorted((recorded / "tables" / "training").iterdir())
    shard.write_bytes(shard.read_bytes()[:50])
    shown = invoke("verify", recorded)
    assert shown.exit_code == 1
    assert f"{shard}: it ends after 50 of" in shown.stdout
    assert f"to run again: {shard.stem}" in shown.stdout
    assert f"{shard}: damaged" in refused("show", recorded)
    assert invoke("verify", recorded, "--repair").exit_code == 1
    assert invoke("verify", recorded).exit_code == 0
    assert "1 of 2 trials recorded" in invoke("show", recorded).stdout


def test_a_directory_that_holds_no_run(tmp_path):
    assert "does not exist" in refused("verify", tmp_path / "nowhere")
