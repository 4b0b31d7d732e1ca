"""What may help against a finding, one remedy per file: what to do, and how to try it."""

from gradscope.remedies._league import MEASURED as MEASURED
from gradscope.remedies._league import Measured as Measured
from gradscope.remedies._plan import Plan as Plan
from gradscope.remedies._remedy import REMEDIES as REMEDIES
from gradscope.remedies._remedy import Remedy as Remedy
from gradscope.remedies._remedy import register as register
