class SpecError(Exception):
    """The job can't be done as it was asked for; another attempt would fail in the same way.

    param: the key of the job that its author should change.
    """

    def __init__(self, message: str, *, param: str, code: str = "invalid_spec") -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code


class GraderAway(Exception):
    """A server that the job's grader asks is away; it may be back in another attempt. param: the grader's key."""

    def __init__(self, message: str, *, param: str) -> None:
        super().__init__(message)
        self.message, self.param = message, param


class Diverged(Exception):
    """Training has ruined the weights, and so it would in another attempt.

    good: the step of the last checkpoint whose weights were sound.
    """

    def __init__(self, what: str, *, step: int, good: int | None, param: str, advice: str) -> None:
        self.param = param
        kept = f"the last good checkpoint is that of step {good}" if good else "there is no checkpoint from before"
        super().__init__(f"{what} at step {step}; {kept}. {advice}")


class OutOfTime(Exception):
    """The job has trained for as long as it may; its last checkpoint is whole."""

    def __init__(self, seconds: float, *, step: int) -> None:
        super().__init__(f"max_duration_seconds ({seconds:.15g}) were over at step {step}; its checkpoint is kept")
