"""SQLAlchemy and pandas against a server, by both psycopgs: names of tables and views, a query, a data frame. Exit 3: not there."""

import sys
import warnings

try:
    import pandas
    import sqlalchemy
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)

warnings.simplefilter("ignore")
for driver in ("psycopg", "psycopg2"):
    engine = sqlalchemy.create_engine(f"postgresql+{driver}://anna@127.0.0.1:{sys.argv[1]}/journeyql")
    inspector = sqlalchemy.inspect(engine)
    assert {"events", "steps", "sessions"} <= set(inspector.get_table_names()), inspector.get_table_names()
    assert {"transitions", "drop_offs"} <= set(inspector.get_view_names())
    assert "public" in inspector.get_schema_names()
    assert "SELECT" in inspector.get_view_definition("transitions")
    assert inspector.has_table("events") and not inspector.has_table("nothing")
    frame = pandas.read_sql("SELECT page, count(*) AS n FROM events GROUP BY page", engine)
    assert frame["n"].sum() > 0 and str(frame["n"].dtype) == "int64", frame.dtypes
    frame = pandas.read_sql(sqlalchemy.text("SELECT * FROM steps WHERE page = :page"), engine, params={"page": "/thanks"})
    assert len(frame) > 0
    engine.dispose()
