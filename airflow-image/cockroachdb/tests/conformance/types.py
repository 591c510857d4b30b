"""Types: what columns become, and what values they take."""

from conformance.rows import OK, UNKNOWN, Row, fails, gives, row

TYPE_OF_A = "SELECT data_type FROM information_schema.columns WHERE table_name = 't' AND column_name = 'a'"
DEFAULT_OF_A = (
    "SELECT column_default FROM information_schema.columns WHERE table_name = 't' AND column_name = 'a'"
)


def column(type: str, becomes: str, page: str, differs: str = "") -> Row:
    """A column of a type, as information_schema shows it."""
    return row(
        f"a column of {type} is {becomes}",
        f"CREATE TABLE t (a {type})",
        TYPE_OF_A,
        then=gives(becomes),
        page=page,
        differs=differs,
    )


LITERALS = "PostgreSQL's literals have 32 bits; hooks do not reach the types of expressions"

ROWS: tuple[Row, ...] = (
    column("INT", "bigint", "int"),
    column("INTEGER", "bigint", "int"),
    column("INT8", "bigint", "int"),
    column("BIGINT", "bigint", "int"),
    column("INT4", "integer", "int"),
    column("INT2", "smallint", "int"),
    column("SMALLINT", "smallint", "int"),
    column("STRING", "text", "string"),
    column("TEXT", "text", "string"),
    column("VARCHAR(20)", "character varying", "string"),
    column("BYTES", "bytea", "bytes"),
    column("BYTEA", "bytea", "bytes"),
    column("JSON", "jsonb", "jsonb"),
    column("JSONB", "jsonb", "jsonb"),
    column("BOOL", "boolean", "bool"),
    column("UUID", "uuid", "uuid"),
    column("DECIMAL(10,2)", "numeric", "decimal"),
    column("FLOAT", "double precision", "float"),
    column("DATE", "date", "date"),
    column("TIMESTAMPTZ", "timestamp with time zone", "timestamp"),
    column("TIMESTAMP", "timestamp without time zone", "timestamp"),
    column("INTERVAL", "interval", "interval"),
    column("INET", "inet", "inet"),
    column("INT[]", "ARRAY", "array"),
    column("SERIAL", "bigint", "serial"),
    column("BIGSERIAL", "bigint", "serial"),
    column("SERIAL4", "bigint", "serial"),
    row(
        "SERIAL has ids of unique_rowid()",
        "CREATE TABLE t (a SERIAL PRIMARY KEY)",
        DEFAULT_OF_A,
        then=gives("unique_rowid()"),
        page="serial",
    ),
    row(
        "ids of SERIAL are beyond 2^53",
        "CREATE TABLE t (a SERIAL PRIMARY KEY, b INT)",
        "INSERT INTO t (b) VALUES (1)",
        "SELECT a > 9007199254740992 FROM t",
        then=gives(True),
        page="serial",
    ),
    row(
        "with sql_sequence_cached ids of SERIAL are small",
        "SET serial_normalization = 'sql_sequence_cached'",
        "CREATE TABLE t (a SERIAL PRIMARY KEY, b INT)",
        "INSERT INTO t (b) VALUES (1)",
        "SELECT a FROM t",
        then=gives(1),
        page="serial",
    ),
    row(
        "default_int_size makes INT small again",
        "SET default_int_size = 4",
        "CREATE TABLE t (a INT)",
        TYPE_OF_A,
        then=gives("integer"),
        page="int",
    ),
    row(
        "an integer literal has 64 bits",
        "SELECT pg_typeof(1)::STRING",
        then=gives("bigint"),
        page="int",
        differs=LITERALS,
    ),
    row(
        "a cast to INT has 64 bits",
        "SELECT 3000000000::INT",
        then=gives(3000000000),
        page="int",
        differs=LITERALS,
    ),
    row(
        "INT4 has a range",
        "CREATE TABLE t (a INT4)",
        "INSERT INTO t VALUES (3000000000)",
        then=fails("22003"),
        page="int",
    ),
    row(
        "INTEGER takes 64 bits",
        "CREATE TABLE t (a INTEGER)",
        "INSERT INTO t VALUES (3000000000)",
        then=OK,
        page="int",
    ),
    row("INT8 has a range", "SELECT 9223372036854775807::INT8 + 1", then=fails("22003"), page="int"),
    row(
        "VARCHAR has a length",
        "CREATE TABLE t (a VARCHAR(2))",
        "INSERT INTO t VALUES ('abc')",
        then=fails("22001"),
        page="string",
    ),
    row(
        "JSON keeps no order of keys",
        """SELECT '{"b": 1, "a": 2}'::JSON::STRING""",
        then=gives('{"a": 2, "b": 1}'),
        page="jsonb",
    ),
    row(
        "JSON has an equality",
        """SELECT '{"a": 1}'::JSON = '{"a": 1}'::JSON""",
        then=gives(True),
        page="jsonb",
    ),
    row("JSON refuses what is none", "SELECT '{'::JSONB", then=fails("22P02"), page="jsonb"),
    row("JSON is searched with ->>", """SELECT '{"a": "x"}'::JSONB ->> 'a'""", then=gives("x"), page="jsonb"),
    row(
        "JSON contains JSON",
        """SELECT '{"a": 1, "b": 2}'::JSONB @> '{"a": 1}'""",
        then=gives(True),
        page="jsonb",
    ),
    row("UUID refuses what is none", "SELECT 'x'::UUID", then=fails("22P02"), page="uuid"),
    row(
        "an enum takes its values",
        "CREATE TYPE e AS ENUM ('x', 'y')",
        "SELECT 'x'::e::STRING",
        then=gives("x"),
        page="enum",
    ),
    row(
        "an enum refuses others",
        "CREATE TYPE e AS ENUM ('x', 'y')",
        "SELECT 'z'::e",
        then=fails("22P02"),
        page="enum",
    ),
    row("an array has an element", "SELECT (ARRAY[10, 20])[2]", then=gives(20), page="array"),
    row("bytes are written in hex", r"SELECT '\x6162'::BYTES::STRING", then=gives(r"\x6162"), page="bytes"),
    row("division of integers", "SELECT 7 / 2", then=UNKNOWN, page="functions-and-operators"),
    row(
        "a timestamp is kept to the microsecond",
        "SELECT '2026-01-01 00:00:00.1234567'::TIMESTAMP::STRING",
        then=gives("2026-01-01 00:00:00.123457"),
        page="timestamp",
    ),
    row(
        "domains do not exist", "CREATE DOMAIN d AS INT", then=fails("0A000"), page="postgresql-compatibility"
    ),
    row("a composite type exists", "CREATE TYPE c AS (x INT, y INT)", then=OK, page="create-type"),
    row(
        "money",
        "CREATE TABLE t (a MONEY)",
        then=fails(),
        page="postgresql-compatibility",
        differs="PostgreSQL has it; Airflow does not use it",
    ),
    row(
        "xml",
        "CREATE TABLE t (a XML)",
        then=fails(),
        page="postgresql-compatibility",
        differs="PostgreSQL has it; Airflow does not use it",
    ),
)
