class SpecError(Exception):
    """The job can't be done as it was asked for; another attempt would fail in the same way.

    param: the key of the job that its author should change.
    """

    def __init__(self, message: str, *, param: str, code: str = "invalid_spec") -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


class NonFiniteLoss(Exception):
    """The loss is no number any more: the weights are lost, and so would they be in another attempt."""

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss is not finite at step {step}; try a smaller learning_rate_multiplier")
