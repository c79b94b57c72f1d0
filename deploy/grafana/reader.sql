-- The role by which Grafana reads the database: only what the dashboards show. No addresses, no texts of messages, no
-- accounts, no tokens. Run it once as the owner of the database, after the daemon has made its tables:
--   psql -v password="'…'" -f deploy/grafana/reader.sql monitor
DO $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'grafana_reader') THEN
        CREATE ROLE grafana_reader LOGIN;
    END IF;
END
$$;
\if :{?password}
ALTER ROLE grafana_reader PASSWORD :password;
\endif
ALTER ROLE grafana_reader SET default_transaction_read_only = on;
ALTER ROLE grafana_reader SET statement_timeout = '15s';
GRANT USAGE ON SCHEMA public TO grafana_reader;
GRANT SELECT ON series, observation, batch, flag TO grafana_reader;
GRANT SELECT (batch_id, reason) ON reject TO grafana_reader;
GRANT SELECT (
    flag_id, change, person, channel, subject, state, attempts, created_at, not_before, sent_at, acked_at, last_reason, ack_hash
) ON notification TO grafana_reader;
