import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DataError


def test_errors_do_not_quote_what_was_written(engine: Engine) -> None:
    with pytest.raises(DataError) as raised, engine.connect() as connection:
        connection.execute(text("SELECT 1 / :zero, :secret"), {"zero": 0, "secret": "sk-quoted"})
    assert "sk-quoted" not in str(raised.value)
