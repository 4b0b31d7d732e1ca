"""What a run leaves on disk, and what can be said of it: no torch, no plot."""

from gradscope.results.manifest import Manifest as Manifest
from gradscope.results.records import RunDirectory as RunDirectory
from gradscope.results.tables import Tables as Tables
