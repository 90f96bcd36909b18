from core.settings import get_settings
from migrations import upgrade

if __name__ == "__main__":
    upgrade(get_settings().database_url)
