"""`python -m dashboard`"""

import uvicorn

from dashboard.app import create_app
from dashboard.settings import Settings

settings = Settings()
uvicorn.run(create_app(settings), host=settings.host, port=settings.port, access_log=False, log_level="warning")
