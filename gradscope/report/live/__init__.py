"""A run's report while it runs: drawn anew in a process of its own, and served to this machine."""

from gradscope.report.live.watching import LiveReport as LiveReport
