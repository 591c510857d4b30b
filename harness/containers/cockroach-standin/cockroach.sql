-- What CockroachDB v26.2 shows and PostgreSQL does not. Runs in template1: every new database has it.
CREATE SCHEMA crdb;
GRANT USAGE ON SCHEMA crdb TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;

-- The dialect reads the release from it; the rest of the line is for people.
CREATE FUNCTION crdb.version() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'CockroachDB CCL v26.2.2 (stand-in: PostgreSQL ' || current_setting('server_version') || ')'
$$;

-- JSON is another name of JSONB. In casts; the types of columns are changed by the module.
CREATE DOMAIN crdb.json AS pg_catalog.jsonb;
CREATE DOMAIN crdb.string AS pg_catalog.text;
CREATE DOMAIN crdb.bytes AS pg_catalog.bytea;
CREATE FUNCTION crdb.json_extract_path(document pg_catalog.jsonb, VARIADIC path text[])
    RETURNS pg_catalog.jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.jsonb_extract_path(document, VARIADIC path)
$$;
CREATE FUNCTION crdb.json_extract_path_text(document pg_catalog.jsonb, VARIADIC path text[])
    RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT pg_catalog.jsonb_extract_path_text(document, VARIADIC path)
$$;

-- Ids that grow with time and are beyond JavaScript's 2^53.
CREATE FUNCTION crdb.unique_rowid() RETURNS bigint LANGUAGE c VOLATILE AS 'teeth', 'teeth_unique_rowid';

-- What the harness reads: how many writing transactions came to COMMIT, and how many errors were injected.
CREATE SCHEMA itest;
GRANT USAGE ON SCHEMA itest TO PUBLIC;
CREATE FUNCTION itest.commits() RETURNS bigint LANGUAGE c VOLATILE AS 'teeth', 'teeth_commits';
CREATE FUNCTION itest.failed_commits() RETURNS bigint LANGUAGE c VOLATILE AS 'teeth', 'teeth_failed_commits';
CREATE FUNCTION itest.failed_statements() RETURNS bigint
    LANGUAGE c VOLATILE AS 'teeth', 'teeth_failed_statements';
CREATE FUNCTION itest.slow_statements() RETURNS bigint
    LANGUAGE c VOLATILE AS 'teeth', 'teeth_slow_statements';

-- The dialect of SQLAlchemy 1.4 reports its version to the server's telemetry.
CREATE SCHEMA crdb_internal;
GRANT USAGE ON SCHEMA crdb_internal TO PUBLIC;
CREATE FUNCTION crdb_internal.increment_feature_counter(feature text) RETURNS boolean
    LANGUAGE sql IMMUTABLE AS 'SELECT true';

-- Advisory locks: none of these exist before v26.3, and the session-level ones not even there.
CREATE FUNCTION crdb.refuse_advisory_lock(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'unknown function: %()', name USING ERRCODE = '42883';
END
$$;
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'pg_advisory_lock', 'pg_advisory_lock_shared', 'pg_advisory_unlock', 'pg_advisory_unlock_all',
        'pg_try_advisory_lock', 'pg_advisory_xact_lock', 'pg_try_advisory_xact_lock'
    ] LOOP
        EXECUTE format(
            'CREATE FUNCTION crdb.%1$I(bigint) RETURNS boolean LANGUAGE sql AS '
            '$f$ SELECT crdb.refuse_advisory_lock(%1$L); SELECT false $f$', name);
        EXECUTE format(
            'CREATE FUNCTION crdb.%1$I(integer, integer) RETURNS boolean LANGUAGE sql AS '
            '$f$ SELECT crdb.refuse_advisory_lock(%1$L); SELECT false $f$', name);
    END LOOP;
END
$$;

-- The dialect reflects columns through this view, with three columns PostgreSQL lacks.
ALTER VIEW information_schema.columns RENAME TO columns_of_postgresql;
CREATE VIEW information_schema.columns AS
SELECT
    shown.*,
    'NO'::text AS is_hidden,
    upper(pg_catalog.format_type(attribute.atttypid, attribute.atttypmod)) AS crdb_sql_type,
    pg_catalog.col_description(attribute.attrelid, attribute.attnum) AS column_comment
FROM information_schema.columns_of_postgresql AS shown
JOIN pg_catalog.pg_namespace AS namespace ON namespace.nspname = shown.table_schema
JOIN pg_catalog.pg_class AS class
    ON class.relnamespace = namespace.oid AND class.relname = shown.table_name
JOIN pg_catalog.pg_attribute AS attribute
    ON attribute.attrelid = class.oid AND attribute.attname = shown.column_name;
GRANT SELECT ON information_schema.columns TO PUBLIC;
