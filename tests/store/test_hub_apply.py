"""`hub apply` brings the database to the file, tells what changed, and loses no history."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from hub_files import TEST_HUB, test_hub

from sidestream_contracts.errors import ConfigurationError
from sidestream_store.hub_apply import apply_hub
from sidestream_store.migrate import migrate
from sidestream_store.roles import ensure_viewer

pytestmark = pytest.mark.server


def test_applying_twice_changes_nothing(database, tmp_path):
    first = apply_hub(database, test_hub(), tmp_path)
    assert "sensors.flow" in first.added
    assert not apply_hub(database, test_hub(), tmp_path)


def test_a_removed_sensor_keeps_its_number_and_returns_with_it(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    number = connect().execute("SELECT sensor_id FROM sidestream.sensor WHERE id = 'tin'").fetchone()
    fewer = [s for s in TEST_HUB["sensors"] if s["id"] != "tin"]
    diff = apply_hub(database, test_hub(sensors=fewer), tmp_path)
    assert diff.removed == ("sensors.tin",)
    assert connect().execute("SELECT count(*) FROM sidestream_v.sensor WHERE id = 'tin'").fetchone() == (0,)
    apply_hub(database, test_hub(), tmp_path)
    assert connect().execute("SELECT sensor_id FROM sidestream_v.sensor WHERE id = 'tin'").fetchone() == number


def test_a_dry_run_changes_nothing(database, connect, tmp_path):
    assert apply_hub(database, test_hub(), tmp_path, dry_run=True)
    assert connect().execute("SELECT count(*) FROM sidestream.hub").fetchone() == (0,)


def test_another_hubs_file_is_refused(database, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    other = test_hub(hub={**TEST_HUB["hub"], "id": "other"})
    with pytest.raises(ConfigurationError, match="belongs to hub 'h'"):
        apply_hub(database, other, tmp_path)


def test_a_tag_file_with_a_place_that_is_no_node_changes_nothing(database, connect, tmp_path: Path):
    (tmp_path / "tags.csv").write_text("epc,at\n1,silo\n2,nowhere\n")
    tags = {"file": "tags.csv", "code_column": "epc", "place_column": "at"}
    with pytest.raises(ConfigurationError, match="nowhere"):
        apply_hub(database, test_hub(tags=tags), tmp_path)
    assert connect().execute("SELECT count(*) FROM sidestream.hub").fetchone() == (0,)


def test_the_viewer_role_reads_views_and_no_table(database, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE sidestream_viewer")
        assert connection.execute("SELECT count(*) FROM sidestream_v.sensor").fetchone() == (6,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT count(*) FROM sidestream.reading")


def test_migrating_as_a_role_named_like_our_schema_can_be_repeated(postgres):
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
        admin.execute("CREATE ROLE sidestream LOGIN SUPERUSER PASSWORD 'secret'")
        admin.execute("CREATE DATABASE named_like_it OWNER sidestream")
    dsn = postgres.dsn("named_like_it", "sidestream", "secret")
    try:
        assert migrate(dsn).applied
        assert migrate(dsn).applied == ()
    finally:
        with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as admin:
            admin.execute("DROP DATABASE named_like_it WITH (FORCE)")
            admin.execute("DROP ROLE sidestream")


def test_a_login_that_may_not_make_roles_is_told_so(postgres, database):
    with psycopg.connect(database, autocommit=True) as admin:
        admin.execute("CREATE ROLE small LOGIN PASSWORD 'secret'")
    try:
        dsn = postgres.dsn(psycopg.conninfo.conninfo_to_dict(database)["dbname"], "small", "secret")
        with pytest.raises(ConfigurationError, match="may not"):
            ensure_viewer(dsn, "someone", "secret")
    finally:
        with psycopg.connect(database, autocommit=True) as admin:
            admin.execute("DROP ROLE small")
