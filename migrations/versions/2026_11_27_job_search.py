"""What lists of jobs are searched for: a text of each job, and an index of its trigrams.

pg_trgm comes with PostgreSQL and is trusted: whoever may create in the database may create it.
"""

from collections.abc import Sequence

from alembic import op

revision: str = "b7e20d5c81f4"
down_revision: str | None = "a4c07e95d3f2"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

# A line each, so that no search finds the end of one value with the beginning of the next.
TEXT = """
CREATE FUNCTION job_search_text(
    id varchar, model varchar, base_model varchar, fine_tuned_model varchar, spec jsonb, error jsonb
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT lower(concat_ws(
        chr(10), id, model, nullif(base_model, model), fine_tuned_model, spec ->> 'suffix', error ->> 'message',
        (
            SELECT string_agg(value, chr(10))
            FROM jsonb_each_text(CASE jsonb_typeof(spec -> 'metadata') WHEN 'object' THEN spec -> 'metadata' END)
        )
    ))
$$
"""


def upgrade() -> None:
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute(TEXT)
    op.execute(
        "ALTER TABLE jobs ADD COLUMN search_text text "
        "GENERATED ALWAYS AS (job_search_text(id, model, base_model, fine_tuned_model, spec, error)) STORED"
    )
    op.execute("CREATE INDEX ix_jobs_search_text ON jobs USING gin (search_text gin_trgm_ops)")


def downgrade() -> None:
    # The extension stays: somebody else may use it.
    op.drop_column("jobs", "search_text")
    op.execute("DROP FUNCTION job_search_text")
