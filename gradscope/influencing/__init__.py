"""How far back in a sequence what any model puts out depends on what it read."""

from gradscope.influencing._given import Inputs as Inputs
from gradscope.influencing._influence import Influence as Influence
from gradscope.influencing._influence import Influences as Influences
from gradscope.influencing._measure import InfluenceOptions as InfluenceOptions
from gradscope.influencing._measure import influence as influence
