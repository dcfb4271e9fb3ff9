"""psycopg 3 against a server: parameters, types, server-side cursors, transactions, cancelling. Exit 3: not there."""

import datetime
import sys
import threading
import time

try:
    import psycopg
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

connection = psycopg.connect(host="127.0.0.1", port=int(sys.argv[1]), user="anna", dbname="journeyql", autocommit=True)
assert connection.info.server_version == 150000, connection.info.server_version


def one(sql, *values, **more):
    return connection.execute(sql, values, **more).fetchone()[0]


assert one("SELECT 1") == 1
steps = one("SELECT count(*) FROM steps WHERE page = '/thanks'")
assert steps > 0
for binary in (False, True):
    assert one("SELECT count(*) FROM steps WHERE page = %s", "/thanks", binary=binary) == steps
    begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
    assert one("SELECT count(*) FROM steps WHERE page = %s AND ts > %s", "/thanks", begin, binary=binary) == steps
    assert one("SELECT %s + 1", 41, binary=binary) == 42
    assert one("SELECT %s::double precision * 2", 0.25, binary=binary) == 0.5
    assert one("SELECT %s::text", "o'x", binary=binary) == "o'x"
    assert one("SELECT %s", True, binary=binary) is True
    assert one("SELECT %s::text IS NULL", None, binary=binary) is True
    ts = one("SELECT max(ts) FROM events", binary=binary)
    assert isinstance(ts, datetime.datetime) and ts.tzinfo is not None, ts
    pages = one("SELECT pages FROM journeys LIMIT 1", binary=binary)
    assert isinstance(pages, list) and all(isinstance(page, str) for page in pages), pages
    assert isinstance(one("SELECT avg(duration_s) FROM sessions", binary=binary), float)
    assert one("SELECT DATE '2026-01-05'", binary=binary) == datetime.date(2026, 1, 5)
    naive = datetime.datetime(2025, 1, 2, 3, 4, 5, 678)
    assert one("SELECT %s::timestamp", naive, binary=binary) == naive
    for way in ("%t", "%b"):
        day = datetime.date(2026, 1, 5)
        assert one(f"SELECT {way} + INTERVAL '1 day' > DATE '2026-01-05'", day, binary=binary) is True
    assert one("SELECT count(*) FROM steps WHERE page = %s AND ts > %s", "/thanks", begin.replace(tzinfo=None)) == steps
    assert one("SELECT %s", datetime.time(1, 2, 3), binary=binary) in (datetime.time(1, 2, 3), "01:02:03")
    assert one("SELECT %s", b"\0\xff", binary=binary) == b"\0\xff"
    every = one("SELECT count(*) FROM events WHERE page IS NOT NULL")
    assert one("SELECT count(*) FROM events WHERE page IS NOT NULL AND page <> ALL(%s)", [], binary=binary) == every
rows = connection.execute("SELECT * FROM funnel(%s, %s)", ("/landing", "/thanks")).fetchall()
assert rows == connection.execute("SELECT * FROM funnel('/landing', '/thanks')").fetchall() and rows
assert connection.execute("SELECT page FROM steps WHERE page = ANY(%s) LIMIT 1", (["/thanks", "x"],)).fetchone() == ("/thanks",)

for _ in range(8):  # prepared after the fifth
    assert one("SELECT count(*) FROM steps WHERE page = %s", "/thanks") == steps

with connection.transaction(), connection.cursor("mine") as cursor:
    cursor.itersize = 100
    cursor.execute("SELECT value FROM generate_series(1, %s) AS t(value)", (1000,))
    assert [row[0] for row in cursor] == list(range(1, 1001))
    assert cursor.description is not None

try:
    with connection.transaction():
        with connection.transaction():
            connection.execute("SELECT nothing")
except psycopg.errors.UndefinedColumn as error:
    assert error.diag.message_hint is not None or error.diag.message_primary, error
assert one("SELECT 1") == 1

with connection.cursor().copy("COPY (SELECT 1, 'x') TO STDOUT") as copy:
    assert list(copy.rows()) == [("1", "x")]

try:
    connection.execute("CREATE TABLE a (b int)")
    raise AssertionError("it was created")
except psycopg.errors.ReadOnlySqlTransaction:
    pass

endless = "SELECT count(*) FROM generate_series(1, 1000000) AS a(x), generate_series(1, 1000000) AS b(y) WHERE (x * y) % 7 = 3"
threading.Timer(1, connection.cancel).start()
began = time.monotonic()
try:
    connection.execute(endless)
    raise AssertionError("it ended")
except psycopg.errors.QueryCanceled:
    assert time.monotonic() - began < 4
connection.execute("SET statement_timeout = 500")
try:
    connection.execute(endless)
    raise AssertionError("it ended")
except psycopg.errors.QueryCanceled:
    pass
connection.close()
