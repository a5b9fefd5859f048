"""The table of faults: number, name, what it does, what must hold. `docs/chaos.md` is checked against it."""

from __future__ import annotations

from sidestream_app.chaos.faults import (
    back_pressure,
    broken,
    cut_network,
    database_away,
    disk_full,
    flap_link,
    forge,
    freeze_ingest,
    kill_broker,
    kill_database,
    kill_edge,
    kill_ingest,
    late,
    not_numbers,
    poison,
    replay_day,
    same_client_id,
    wipe_broker,
)
from sidestream_app.chaos.faults.base import Done, Fault

FAULTS: dict[int, Fault] = {
    module.FAULT.number: module.FAULT
    for module in (
        kill_edge,
        kill_ingest,
        kill_broker,
        wipe_broker,
        kill_database,
        database_away,
        freeze_ingest,
        cut_network,
        flap_link,
        disk_full,
        same_client_id,
        replay_day,
        forge,
        late,
        broken,
        not_numbers,
        poison,
        back_pressure,
    )
}

__all__ = ["FAULTS", "Done", "Fault"]
