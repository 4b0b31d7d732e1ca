"""What notebooks show: a run as the value of a cell, and the explorer within one."""

from gradscope.notebook._explorer import Explorer as Explorer
from gradscope.notebook._explorer import explorer as explorer
from gradscope.notebook._run import run_html as run_html
