"""What the system tells of processes that it ended for want of memory."""

import psutil

from gradscope.experiment import pool_memory
from gradscope.experiment.pool_memory import Memory, available


def test_a_count_that_grows_since_the_trial_began(tmp_path, monkeypatch):
    counter = tmp_path / "memory.events"
    monkeypatch.setattr(pool_memory, "_COUNTERS", (counter, tmp_path / "none"))
    assert not Memory().ran_out()
    counter.write_text("low 0\noom 7\noom_kill 3\noom_group_kill 9\n")
    memory = Memory()
    assert not memory.ran_out()
    counter.write_text("low 0\noom 8\noom_kill 4\n")
    assert memory.ran_out()
    assert not memory.ran_out()
    counter.write_text("oom_kill 5\n")
    memory.remember()
    assert not memory.ran_out()


def test_the_memory_is_the_groups_where_that_is_less(tmp_path, monkeypatch):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(pool_memory, "_LIMIT", limit)
    machine = psutil.virtual_memory().total
    for text, said in (("max\n", machine), ("1073741824\n", 2**30), (f"{2**60}\n", machine)):
        limit.write_text(text)
        assert available() == said
    limit.unlink()
    assert available() == machine


def test_it_is_said_what_a_process_held(monkeypatch):
    monkeypatch.setattr(pool_memory, "available", lambda: 2**34)
    assert "it held 3.0 GiB of 16.0 GiB" in Memory().said(3 * 2**30)
