"""What goes in and out of the recurrences of any torch model, taken apart into traces."""

from gradscope.capture._attachment import Attachment as Attachment
from gradscope.capture._attachment import Depth as Depth
from gradscope.capture._attachment import Loops as Loops
from gradscope.capture._attachment import Steps as Steps
from gradscope.capture._gradients import GradientNorms as GradientNorms
from gradscope.capture._loop_cell import LoopCell as LoopCell
from gradscope.capture._mixing import stream_mixing as stream_mixing
from gradscope.capture._place import Place as Place
from gradscope.capture._recorder import Recorder as Recorder
from gradscope.capture._recording import Recording as Recording
from gradscope.capture._resets import resets_of as resets_of
from gradscope.capture._step import Step as Step
from gradscope.capture._whole_step import WholeStep as WholeStep
