"""asyncpg against a server: everything it does is prepared and binary. Exit 3: not there."""

import asyncio
import datetime
import sys

try:
    import asyncpg
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(3)


async def main():
    pool = await asyncpg.create_pool(
        host="127.0.0.1", port=int(sys.argv[1]), user="anna", database="journeyql", min_size=1, max_size=2
    )
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM steps WHERE page = $1", "/thanks") > 0
        begin = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        assert await connection.fetchval("SELECT count(*) FROM steps WHERE ts > $1", begin) > 0
        row = await connection.fetchrow("SELECT max(ts) AS ts, 1.5 AS n, 2::bigint AS i, TRUE AS t, 'x' AS s FROM events")
        assert row["ts"].tzinfo is not None and tuple(row)[1:] == (1.5, 2, True, "x"), row
        assert await connection.fetchval("SELECT pages FROM journeys LIMIT 1")
        async with connection.transaction():
            got = [row[0] async for row in connection.cursor("SELECT value FROM generate_series(1, 500) AS t(value)", prefetch=50)]
            assert got == list(range(1, 501))
    async with pool.acquire() as connection:  # reset in between
        assert await connection.fetchval("SELECT 1") == 1
    await pool.close()


asyncio.run(main())
