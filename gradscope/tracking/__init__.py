"""Experiment trackers and loggers: where scalars of trials and of recordings are shown."""

from gradscope.tracking.following import Tracking as Tracking
from gradscope.tracking.trackers import check_trackers as check_trackers
from gradscope.tracking.trackers import trackers_of as trackers_of
