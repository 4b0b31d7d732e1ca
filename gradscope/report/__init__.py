"""Tables and figures -> one self-contained HTML page."""

from gradscope.report.page import write_report

__all__ = ["write_report"]
