"""What the dashboard is told: TUNESMITH_DASHBOARD_… in its environment."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """See docs/deployment.md.

    api_url: of the API, ending in `/v1`. secure_cookies: for a dashboard that is served over HTTPS.
    """

    model_config = SettingsConfigDict(env_prefix="TUNESMITH_DASHBOARD_")

    api_url: str = "http://127.0.0.1:8000/v1"
    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    session_hours: float = Field(default=12.0, gt=0, le=24 * 30)
    secure_cookies: bool = False
