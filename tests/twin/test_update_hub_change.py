"""A changed hub has computed again what the change can mean, to the last bit as if all had been, and nothing for a name."""

from __future__ import annotations

from copy import deepcopy

import pytest
from twin_lab import Batch, Lab, at, heat_readings, silo_readings, whole_hub

from sidestream_contracts.hub import HubFile
from sidestream_store.hub_apply import apply_hub
from sidestream_store.hub_marks import Marks, mark
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server


def changed(section: str, which: str, /, **fields: object) -> HubFile:
    hub = deepcopy(whole_hub().model_dump(mode="json"))
    for item in hub[section]:
        if item["id"] == which:
            item.update(fields)
    return HubFile.model_validate(hub)


def without(section: str, name: str) -> HubFile:
    hub = whole_hub().model_dump(mode="json")
    return HubFile.model_validate(hub | {section: [i for i in hub[section] if i["id"] != name]})


CHANGES = {
    "unit": changed("sensors", "flow", unit="L/s"),
    "range": changed("sensors", "belt_in", range=[0, 2]),
    "accuracy": changed("sensors", "silo_mass", accuracy={"limit_abs": 1}),
    "owner": changed("devices", "gw", party="b"),
    "meter position": changed("streams", "heat", meter_position="return"),
    "stage": changed("streams", "in", lifecycle=[{"state": "paused", "since": "2020-01-01"}]),
    "phase": changed("materials", "water", phase="heat"),
    "node": changed("nodes", "silo", max_kg=4000),
    "store": changed("nodes", "store", max_kg=500),
    "lot": changed("lots", "bag", mass_kg=900),
    "amount": changed("agreements", "heat-deal", amount=12),
    "lots' amount": changed("agreements", "bag-deal", amount=5),
    "no belt": without("sensors", "belt_out"),
    "no level": without("sensors", "silo_mass"),
    "no gate": without("sensors", "scan_yard"),
    "conserves nothing": changed("nodes", "silo", conserves=[]),
    "hold-up": changed("nodes", "silo", hold_up_kg=50),
    "family": changed("materials", "slag", family="minerals"),
    "loss": changed("streams", "heat", loss={"length_m": 500, "w_m_k": 0.4}),
    "meter end": changed("streams", "heat", loss={"length_m": 500, "w_m_k": 0.4}, meter_end="target"),
    "interval": HubFile.model_validate(
        (whole := whole_hub().model_dump(mode="json")) | {"hub": whole["hub"] | {"balance_s": 30}}
    ),
    "no agreement": without("agreements", "bag-deal"),
}


def bring_some(lab: Lab) -> None:
    lab.bring(
        Batch(heat_readings(range(0, 60, 3))),
        Batch((*silo_readings(range(0, 60, 3), 3.0, 2.0), ("silo_mass", 5.0, 4.0))),
        Batch(scans=(("scan_store", 1.0, "BAG-1"), ("scan_store", 2.0, "BAG-2"), ("scan_yard", 20.0, "BAG-1"))),
    )


@pytest.mark.long
def test_what_is_marked_is_enough(lab: Lab):
    """From one changed hub to the next, so that each step takes one change back and makes another."""
    bring_some(lab)
    update_until_clean(lab.dsn, now_at=at(70))
    for name, hub in CHANGES.items():
        apply_hub(lab.dsn, hub, lab.folder)
        update_until_clean(lab.dsn, now_at=at(70))
        found = lab.dump()
        mark(lab.connection, Marks(everything=True))
        update_until_clean(lab.dsn, now_at=at(70))
        assert lab.dump() == found, name


@pytest.mark.parametrize(
    "hub",
    [
        changed("sensors", "flow", name="Other"),
        changed("parties", "a", name="Other"),
        changed("nodes", "silo", name="X"),
    ],
)
def test_a_new_name_has_nothing_computed_again(lab: Lab, hub: HubFile):
    bring_some(lab)
    update_until_clean(lab.dsn, now_at=at(70))
    assert apply_hub(lab.dsn, hub, lab.folder)
    assert lab.one("SELECT count(*) FROM sidestream.dirty") == (0,)


def test_a_change_of_one_stream_leaves_the_others_alone(lab: Lab):
    bring_some(lab)
    update_until_clean(lab.dsn, now_at=at(70))
    apply_hub(lab.dsn, CHANGES["unit"], lab.folder)
    marked = lab.connection.execute("SELECT s.id FROM sidestream.dirty JOIN sidestream.sensor s USING (sensor_id)")
    assert sorted(row[0] for row in marked.fetchall()) == ["flow", "tin", "tout"]
