"""From tables and figures to pages that work offline."""

from gradscope.report.attached import write_attached_report
from gradscope.report.index import write_index
from gradscope.report.page import write_report

__all__ = ["write_attached_report", "write_index", "write_report"]
