"""The explorer: one selection of a run, in linked panels, as a part of a page."""

from gradscope.report.explorer.page import explorer_html as explorer_html
