"""Initialisations of recurrent weights, one per file."""

from gradscope.inits._init import INITS as INITS
from gradscope.inits._init import Init as Init
from gradscope.inits._init import register as register
