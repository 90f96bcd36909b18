-- What the harness's database notes by itself of every write that matters: which fence was valid when it was accepted,
-- and which process wrote (each has its name as application_name).
-- `at` is the clock when the row was written, `transaction_at` the time that the product's own comparisons saw.
CREATE TABLE chaos_audit (
    n bigserial PRIMARY KEY,
    at double precision NOT NULL DEFAULT extract(epoch FROM clock_timestamp()),
    transaction_at double precision NOT NULL DEFAULT extract(epoch FROM now()),
    transaction_id bigint NOT NULL DEFAULT txid_current(),
    relation text NOT NULL,
    job_id text NOT NULL,
    facts jsonb NOT NULL
);
CREATE INDEX ON chaos_audit (job_id, n);

-- The token that holds a job at this moment. VOLATILE: it sees what others have committed meanwhile.
CREATE FUNCTION chaos_holder(id_of_job text) RETURNS bigint VOLATILE LANGUAGE sql AS
    $$ SELECT token FROM jobs WHERE id = id_of_job $$;

CREATE FUNCTION chaos_job() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts) VALUES ('jobs', NEW.id, jsonb_build_object(
        'status', NEW.status, 'token', NEW.token, 'lease', extract(epoch FROM NEW.lease_expires_at),
        'seq', NEW.event_seq, 'worker', NEW.worker_id, 'writer', current_setting('application_name'),
        'status_before', CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END,
        'token_before', CASE WHEN TG_OP = 'UPDATE' THEN OLD.token END,
        'lease_before', CASE WHEN TG_OP = 'UPDATE' THEN extract(epoch FROM OLD.lease_expires_at) END));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT OR UPDATE ON jobs FOR EACH ROW EXECUTE FUNCTION chaos_job();

-- A row a statement and job: small models write dozens of steps a second.
CREATE FUNCTION chaos_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts)
    SELECT 'events', job_id, jsonb_build_object(
        'first', min(seq), 'last', max(seq), 'count', count(*), 'writer', current_setting('application_name'), 'holder', chaos_holder(job_id))
    FROM new_rows GROUP BY job_id;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT ON events REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_events();

CREATE FUNCTION chaos_metrics() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts)
    SELECT 'metrics', job_id, jsonb_build_object(
        'first', min(step), 'last', max(step), 'count', count(*), 'token', token, 'writer', current_setting('application_name'), 'holder', chaos_holder(job_id))
    FROM new_rows GROUP BY job_id, token;
    RETURN NULL;
END $$;
CREATE TRIGGER chaos_inserted AFTER INSERT ON metrics REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_metrics();
CREATE TRIGGER chaos_updated AFTER UPDATE ON metrics REFERENCING NEW TABLE AS new_rows
    FOR EACH STATEMENT EXECUTE FUNCTION chaos_metrics();

CREATE FUNCTION chaos_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts) VALUES ('checkpoints', NEW.job_id, jsonb_build_object(
        'token', NEW.token, 'step', NEW.step, 'writer', current_setting('application_name'), 'holder', chaos_holder(NEW.job_id)));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION chaos_checkpoint();

CREATE FUNCTION chaos_artifact() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts) VALUES ('artifacts', NEW.job_id, jsonb_build_object(
        'token', substring(NEW.object_key FROM '/attempts/(\d+)/')::bigint, 'name', NEW.name,
        'writer', current_setting('application_name'), 'holder', chaos_holder(NEW.job_id)));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT ON artifacts FOR EACH ROW EXECUTE FUNCTION chaos_artifact();

CREATE FUNCTION chaos_log_chunk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO chaos_audit (relation, job_id, facts) VALUES ('log_chunks', NEW.job_id, jsonb_build_object(
        'token', NEW.token, 'writer', current_setting('application_name'), 'holder', chaos_holder(NEW.job_id)));
    RETURN NULL;
END $$;
CREATE TRIGGER chaos AFTER INSERT ON log_chunks FOR EACH ROW EXECUTE FUNCTION chaos_log_chunk();
