"""What a reader is told when no connection comes out of the pool: the cause, not that there was none."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import psycopg
import pytest

from sidestream_contracts.errors import TransientError
from sidestream_store.read.pool import open_pool, query

pytestmark = pytest.mark.server


@dataclass(frozen=True)
class One:
    one: int


async def ask(dsn: str, *, held: bool = False) -> list[One]:
    async with open_pool(dsn, "test", size=1) as pool:
        pool.timeout = 0.3
        if not held:
            return await query(pool, One, "SELECT 1 AS one")
        async with pool.connection():
            return await query(pool, One, "SELECT 1 AS one")


def test_the_database_says_why_it_takes_nobody(postgres):
    with pytest.raises(TransientError, match=r"nosuch_database.* does not exist"):
        asyncio.run(ask(postgres.dsn("nosuch_database")))


def test_a_wrong_login_is_named(postgres):
    dsn = psycopg.conninfo.make_conninfo(postgres.dsn("postgres"), user="nobody_we_know")
    with pytest.raises(TransientError, match="nobody_we_know"):
        asyncio.run(ask(dsn))


def test_a_pool_that_is_only_busy_says_so(database):
    with pytest.raises(TransientError, match="all 1 connections were busy"):
        asyncio.run(ask(database, held=True))
    assert asyncio.run(ask(database)) == [One(1)]
