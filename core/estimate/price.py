"""Time and cost, from what this deployment has measured and what its operator charges."""

from dataclasses import dataclass

from core.estimate.repository import Throughput
from core.estimate.task import Measured
from core.settings import Settings


@dataclass(frozen=True)
class Time:
    """seconds: of the optimiser steps alone; null with a reason where nothing has been measured yet."""

    seconds: float | None
    tokens_per_second: float | None
    measured_jobs: int
    reason: str | None


@dataclass(frozen=True)
class Cost:
    """amount: of `seconds` on one slot; null with a reason."""

    amount: float | None
    currency: str | None
    per_hour: float | None
    reason: str | None


def time(measured: Measured, throughput: Throughput | None, *, base_model: str, on_gpu: bool) -> Time:
    if throughput is None:
        kind = "GPU" if on_gpu else "CPU"
        return Time(None, None, 0, f"no job on {base_model} has finished on a {kind} of this deployment yet")
    seconds = measured.tokens.total * measured.plan.passes / throughput.tokens_per_second
    return Time(seconds, throughput.tokens_per_second, throughput.jobs, None)


def cost(time: Time, settings: Settings, *, on_gpu: bool) -> Cost:
    per_hour = settings.cost_per_gpu_hour if on_gpu else settings.cost_per_cpu_hour
    if per_hour is None:
        return Cost(None, None, None, "the operator has set no price for an hour of training")
    if time.seconds is None:
        return Cost(None, settings.cost_currency, per_hour, "there is no estimate of the time yet")
    return Cost(time.seconds / 3600 * per_hour, settings.cost_currency, per_hour, None)
