"""Whether the services answer, asked so that nobody waits for one that does not."""

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from core.settings import Settings
from core.storage import STORE_ERRORS, Storage

PATIENCE = 0.25  # seconds to connect to the broker, and as many for its answer


def broker(settings: Settings) -> str:
    """ "ok", or the name of the error."""
    url = settings.redis_url.get_secret_value()
    asked = Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0))
    try:
        with asked:
            asked.ping()
    except RedisError as error:
        return type(error).__name__
    return "ok"


def store(storage: Storage) -> str:
    """ "ok", or the name of the error."""
    try:
        storage.check(soon=True)
    except STORE_ERRORS as error:
        return type(error).__name__
    return "ok"
