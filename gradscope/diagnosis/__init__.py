"""From a recording to its findings, ranked, and what may help."""

from gradscope.diagnosis._diagnosis import Advice as Advice
from gradscope.diagnosis._diagnosis import Diagnosis as Diagnosis
from gradscope.diagnosis._diagnosis import check_names as check_names
from gradscope.diagnosis._examine import examine as examine
