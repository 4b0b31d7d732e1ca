"""A remedy of somebody's own."""

from gradscope.remedies import Remedy, register


@register("tiny_lr")
class TinyLr(Remedy):
    """Take a millionth of the learning rate."""

    def apply(self, plan):
        plan.learning_rate *= 1e-6
        return True
