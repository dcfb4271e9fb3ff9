"""psycopg2 against a server: parameters, types, named cursors, copy. Exit 3: not there."""

import datetime
import io
import sys

try:
    import psycopg2
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

connection = psycopg2.connect(host="127.0.0.1", port=int(sys.argv[1]), user="anna", dbname="journeyql")
assert connection.server_version == 150000
cursor = connection.cursor()
cursor.execute("SELECT count(*) FROM steps WHERE page = %s AND ts > %s", ("/thanks", datetime.datetime(2020, 1, 1)))
assert cursor.fetchone()[0] > 0
cursor.execute("SELECT max(ts), 1.5, TRUE, 'x', 3::bigint, (SELECT pages FROM journeys LIMIT 1) FROM events")
ts, number, truth, text, large, pages = cursor.fetchone()
assert ts.tzinfo is not None and (number, truth, text, large) == (1.5, True, "x", 3) and isinstance(pages, list)
named = connection.cursor("mine")
named.itersize = 100
named.execute("SELECT value FROM generate_series(1, 1000) AS t(value)")
assert [row[0] for row in named] == list(range(1, 1001))
named.close()
out = io.StringIO()
cursor.copy_expert("COPY (SELECT 1 AS a, 'x' AS b) TO STDOUT WITH CSV HEADER", out)
assert out.getvalue() == "a,b\n1,x\n", out.getvalue()
connection.rollback()
connection.set_session(readonly=True, autocommit=True)
cursor.execute("SELECT 1")
connection.close()
