"""DuckDB as an independent reader of a store.

    python3 duckdb.py CATALOG < questions.json > answers.json

Questions: a JSON list of SQL texts; the store is attached read-only as `j` and in use. Answers: a list of the same
length, each a list of rows of texts, or {"error": …}. Exit code 3: DuckDB 1.5.5 with its ducklake and sqlite_scanner
extensions cannot be imported from this Python.
"""

import json
import pathlib
import sys

sys.path = [place for place in sys.path if pathlib.Path(place or ".").resolve() != pathlib.Path(__file__).parent]

try:
    import duckdb
    import duckdb_extension_ducklake
    import duckdb_extension_sqlite_scanner
except ImportError as error:
    print(f"not there: {error}", file=sys.stderr)
    sys.exit(3)

if duckdb.__version__ != "1.5.5":
    print(f"DuckDB {duckdb.__version__} is not 1.5.5", file=sys.stderr)
    sys.exit(3)

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for package in (duckdb_extension_sqlite_scanner, duckdb_extension_ducklake):
    for extension in pathlib.Path(list(package.__path__)[0]).rglob("*.duckdb_extension"):
        connection.execute(f"LOAD '{extension}'")
connection.execute("SET TimeZone = 'UTC'")
options = sys.argv[2] if len(sys.argv) > 2 else "READ_ONLY"
connection.execute(f"ATTACH 'ducklake:sqlite:{sys.argv[1]}' AS j ({options})")
connection.execute("USE j")

answers = []
for question in json.load(sys.stdin):
    try:
        rows = connection.execute(question).fetchall()
        answers.append([[None if value is None else str(value) for value in row] for row in rows])
    except duckdb.Error as error:
        answers.append({"error": str(error)})
json.dump(answers, sys.stdout)
