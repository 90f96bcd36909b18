"""Whether what a job asks for fits its model's context."""

from core.errors import InvalidRequest
from core.specs.choices import max_length
from core.specs.job import JobSpec
from core.specs.method import training_options
from core.specs.rollouts import RolloutTraining


def check(spec: JobSpec, *, context: int) -> None:
    """Raises InvalidRequest where rows or answers are to be longer than the context, or answers fill all of it."""
    options, path = training_options(spec.method), f"method.{spec.method.type}"
    try:
        max_length(options, context=context)
    except ValueError as error:
        raise InvalidRequest(f"{path}.{error}", param=f"{path}.max_length") from None
    if isinstance(options, RolloutTraining) and (tokens := options.completion_tokens(context=context)) >= context:
        param = f"{path}.max_completion_tokens"
        words = f"{tokens} were asked for, but the model's context is {context}, and prompts need a part of it"
        raise InvalidRequest(f"{param}: {words}", param=param)
