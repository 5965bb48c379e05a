"""What tinytorch raises. Every message is a sentence: the place, the cause, the next step."""


class TinytorchError(Exception):
    """Base of everything that tinytorch raises on purpose."""


class ShapeError(TinytorchError, ValueError):
    """Arrays of these shapes do not fit this op."""


class GraphError(TinytorchError, RuntimeError):
    """`backward` cannot be run on this graph."""


class PullbackError(TinytorchError, RuntimeError):
    """The pullback of an op returned something that cannot be a gradient of its inputs."""
