"""SQLAlchemy and pandas against a server, by both psycopgs: reflection, a query, a data frame. Exit 3: not there."""

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
    columns = {column["name"]: column["type"] for column in inspector.get_columns("events")}
    assert isinstance(columns["ts"], sqlalchemy.TIMESTAMP) and columns["ts"].timezone, columns
    assert isinstance(columns["page"], sqlalchemy.TEXT), columns
    assert "SELECT" in inspector.get_view_definition("transitions")
    assert inspector.has_table("events") and not inspector.has_table("nothing")
    metadata = sqlalchemy.MetaData()
    events = sqlalchemy.Table("events", metadata, autoload_with=engine)
    with engine.connect() as connection:
        count = sqlalchemy.select(sqlalchemy.func.count()).select_from(events).where(events.c.page == "/thanks")
        assert connection.execute(count).scalar() > 0
    metadata.reflect(engine, views=True)
    assert "transitions" in metadata.tables
    frame = pandas.read_sql("SELECT page, count(*) AS n FROM events GROUP BY page", engine)
    assert frame["n"].sum() > 0 and str(frame["n"].dtype) == "int64", frame.dtypes
    frame = pandas.read_sql(sqlalchemy.text("SELECT * FROM steps WHERE page = :page"), engine, params={"page": "/thanks"})
    assert len(frame) > 0
    assert len(pandas.read_sql_table("sessions", engine)) > 0
    engine.dispose()
