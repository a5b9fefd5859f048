"""What the flows tell of themselves: a heartbeat after each pass, figures for Prometheus, nothing left when they leave."""

from __future__ import annotations

import pytest
from hub_files import test_hub

from sidestream_contracts.errors import TransientError
from sidestream_contracts.metrics import families
from sidestream_flows.work import Work
from sidestream_store.hub_apply import apply_hub

pytestmark = pytest.mark.server


def test_a_pass_is_told_by_heartbeat_and_metrics_until_the_process_leaves(database, connect, tmp_path):
    apply_hub(database, test_hub(), tmp_path)
    work, connection = Work(database, every_s=2.0), connect()
    work.refresh()
    (row,) = connection.execute("SELECT kind, alive, every_s, figures FROM sidestream_v.worker").fetchall()
    assert row[:3] == ("flows", True, 2.0)
    assert row[3]["passes"] >= 1
    assert {family.name for family in families(work.stats.samples())} >= {"sidestream_flows_passes"}
    work.leave()
    assert connection.execute("SELECT count(*) FROM sidestream_v.worker").fetchone() == (0,)
    work.end()


def test_a_pass_that_could_not_be_done_is_counted_as_failed():
    work = Work("host=127.0.0.1 port=1 dbname=x")
    with pytest.raises(TransientError):
        work.refresh()
    assert [s.value for s in work.stats.samples() if s.labels == ("failed",)] == [1]
