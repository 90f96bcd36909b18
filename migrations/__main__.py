"""`python -m migrations`: what an installation needs once before its processes start: the schema, and the bucket."""

from core.settings import get_settings
from core.storage import Storage
from migrations import upgrade

if __name__ == "__main__":
    upgrade(get_settings().database_url)
    Storage(get_settings()).ensure_bucket()
