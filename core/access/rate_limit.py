"""Requests a minute for each project, counted in the broker's memory by all replicas together."""

import logging
import threading
import time
from dataclasses import dataclass
from typing import cast

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.access.owner import Owner
from core.errors import TunesmithError
from core.settings import Settings

log = logging.getLogger(__name__)

# A request waits at most this long for a counter that does not answer, and then goes on uncounted; for a while
# nobody asks it again.
PATIENCE = 0.04  # seconds
PAUSE = 1.0  # seconds
# A busy process takes the requests of this time at once, and asks again when they are used up or the time is over.
SHARE_SECONDS = 0.5
MOST_SHARES = 10_000

# GCRA: a project's one number is the time at which its bucket is full again. It holds `limit` requests, and one more
# comes in each `interval` microseconds; up to `wanted` are taken. Times are the server's, so that the replicas' clocks
# do not matter.
SCRIPT = """
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local limit, interval, wanted = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local full = math.max(tonumber(redis.call('GET', KEYS[1]) or 0), now)
local room = limit * interval - (full - now)
local taken = math.min(wanted, math.floor(room / interval))
if taken < 1 then
    return {0, 0, full - now, interval - room}
end
full = full + taken * interval
redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - now) / 1000))
return {taken, math.floor((room - taken * interval) / interval), full - now, 0}
"""


@dataclass(frozen=True)
class Rate:
    """Where a project stands: `remaining` of `limit` requests now, all of them again in `reset` seconds.

    `retry_after` is None where the request may go on, else the seconds until one may.
    """

    limit: int
    remaining: int
    reset: float
    retry_after: float | None


class RateLimited(TunesmithError):
    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, rate: Rate) -> None:
        super().__init__(f"more than {rate.limit} requests a minute from this project; wait {rate.retry_after:.3f} s")
        self.retry_after = rate.retry_after


@dataclass
class Share:
    """Requests that this process may still let through by itself, until then (monotonic seconds)."""

    left: int
    until: float
    remaining: int
    reset: float


class RateLimiter:
    """Safe to share between threads. Lets everything through while its counter is away."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.rate_limit_per_minute
        self._redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),
        )
        self._script = self._redis.register_script(SCRIPT)
        self._asks_again_at = 0.0
        self._shares: dict[str, Share] = {}
        self._lock = threading.Lock()

    def must_ask(self, owner: Owner) -> bool:
        """Whether `take` would have to ask the broker, which may take a moment."""
        if self._limit_of(owner) <= 0 or time.monotonic() < self._asks_again_at:
            return False
        share = self._shares.get(_bucket(owner))
        return share is None or share.left < 1 or time.monotonic() > share.until

    def take(self, owner: Owner) -> Rate | None:
        """Count one request of the owner's project; None where there is no limit, or no counter."""
        limit, bucket = self._limit_of(owner), _bucket(owner)
        if limit <= 0 or time.monotonic() < self._asks_again_at:
            return None
        with self._lock:
            share = self._shares.get(bucket)
            if share is not None and share.left > 0 and time.monotonic() <= share.until:
                share.left -= 1
                return Rate(limit, share.remaining + share.left, share.reset, retry_after=None)
        return self._ask(bucket, limit)

    def _ask(self, bucket: str, limit: int) -> Rate | None:
        interval = max(60_000_000 // limit, 1)
        wanted = max(1, int(limit * SHARE_SECONDS / 60))
        try:
            answer = self._script(keys=[f"tunesmith:rate:{bucket}"], args=[limit, interval, wanted])
        except RedisError as error:
            self._asks_again_at = time.monotonic() + PAUSE
            log.warning("requests are not counted: the broker does not answer (%s)", type(error).__name__)
            return None
        taken, remaining, reset, wait = cast("list[int]", answer)
        if not taken:
            return Rate(limit, remaining, reset / 1e6, retry_after=wait / 1e6)
        share = Share(taken - 1, time.monotonic() + SHARE_SECONDS, remaining, reset / 1e6)
        with self._lock:
            if len(self._shares) >= MOST_SHARES:
                self._shares.clear()
            self._shares[bucket] = share
            return Rate(limit, share.remaining + share.left, share.reset, retry_after=None)

    def _limit_of(self, owner: Owner) -> int:
        return self._limit if owner.rate_limit_per_minute is None else owner.rate_limit_per_minute

    def close(self) -> None:
        self._redis.close()


def _bucket(owner: Owner) -> str:
    return owner.project_id or owner.key_id
