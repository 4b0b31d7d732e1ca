"""An experiment from its YAML file to trained trials on disk."""

from gradscope.experiment.load import Experiment as Experiment
from gradscope.experiment.scheduler import Scheduler as Scheduler
from gradscope.experiment.schema import Trial as Trial
