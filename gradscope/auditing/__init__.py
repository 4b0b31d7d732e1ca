"""What a model can remember, read from its weights alone."""

from gradscope.auditing._audit import Audit as Audit
from gradscope.auditing._audit import audit as audit
from gradscope.auditing._memory import Memory as Memory
