"""Experiment files that nobody would write: a message or a plan, never a traceback or a hang."""

import signal
import time
import warnings

import pytest

from gradscope.components.text import printable
from gradscope.errors import ConfigError
from gradscope.experiment import Experiment
from gradscope.experiment.estimate import estimated
from gradscope.experiment.train import run_trial
from tests.faults.conftest import ROUND, drawn, many, tried
from tests.faults.mutations import files, mutated

pytestmark = pytest.mark.faults

#: seconds that reading a file may take on a slow and busy machine; on a free one it is under one
PATIENCE = 30
TEXTS = files()


def too_long(signum, frame):
    raise TimeoutError


@pytest.fixture(autouse=True)
def impatient():
    """An alarm that ends what hangs."""
    before = signal.signal(signal.SIGALRM, too_long)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def plan_of(seed: int) -> Experiment | None:
    """What a mutated file asks for; None where it is refused with a message."""
    text = mutated(seed, TEXTS)
    signal.alarm(PATIENCE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Experiment.parse(text, "file.yaml")
    except ConfigError as error:
        said = str(error)
        assert printable(said) == said
        said.encode()
        return None
    except BaseException as error:
        raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}\n{text}") from error
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("part", range(20))
def test_a_message_or_a_plan(part):
    refused, first = 0, (ROUND - 1) * many(5000)
    for turn in range(first, first + many(5000)):
        refused += plan_of(part + 20 * turn) is None
    assert refused, "no file was refused, so nothing was tested"
    tried("a mutated file, read", many(5000))


@pytest.mark.parametrize("part", range(4))
def test_what_is_accepted_can_be_run(part):
    """Two updates of one trial of each plan that is no larger than what this machine holds."""
    chance, ran, seed = drawn(f"plans {part}"), 0, part + ROUND * 10**6
    while ran < many(250):
        seed += 4
        plan = plan_of(seed)
        if plan is None:
            continue
        trial = chance.choice(plan.trials)
        training = trial.settings.training.model_copy(update={"steps": 2})
        settings = trial.settings.model_copy(update={"training": training})
        trial = trial.model_copy(update={"settings": settings})
        if trial.settings.task.longest > 2000 or trial.settings.evaluation.sequences > 2000:
            continue
        expected = estimated([trial])
        if expected is None or expected.seconds > 20 or expected.is_large:
            continue
        began = time.monotonic()
        try:
            outcome = run_trial(trial)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error!r}\n{mutated(seed, TEXTS)}") from error
        assert outcome.fate in ("solved", "unsolved", "diverged")
        assert time.monotonic() - began < 600
        ran += 1
    tried("a mutated file that was accepted, run", ran)
