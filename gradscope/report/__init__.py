"""From tables and figures to pages that work offline."""

from gradscope.report.comparison import write_comparison as write_comparison
from gradscope.report.explorer import explorer_html as explorer_html
from gradscope.report.figures import Shown as Shown
from gradscope.report.figures import draw_figure as draw_figure
from gradscope.report.figures import drawn as drawn
from gradscope.report.figures import save_figure as save_figure
from gradscope.report.index import write_index as write_index
from gradscope.report.run import write_report as write_report
from gradscope.report.templates import PAGE as PAGE
from gradscope.report.templates import write_page as write_page
