"""The heat report of the demo hub from a real database: near the simulator's truth, and silent about what it can't know."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from twin_lab import NOON, Batch

from sidestream_app.commands.twin_heat import heat
from sidestream_app.heat.live_text import report_lines
from sidestream_contracts.errors import ConfigurationError, DomainError
from sidestream_contracts.hubcheck import load_hub
from sidestream_simulators.hubs import example_hub
from sidestream_simulators.meters import Meters
from sidestream_simulators.physics import plant_for
from sidestream_twin.heat_report.load import load_heat_report
from sidestream_twin.update import update_until_clean

pytestmark = pytest.mark.server
SECONDS = 120
ROLES = {"volume_flow", "supply_temperature", "return_temperature", "power", "energy_register"}


def test_the_report_of_the_demo_is_near_the_truth_and_conserves_energy(laboratory, capsys):
    hub = load_hub(example_hub("kvinesdal-like").hub_path)
    lab = laboratory(hub)
    plant = plant_for(hub, 1)
    meters = Meters(hub, [s.id for s in hub.sensors if s.role in ROLES], 1, {})
    readings, true = [], {}
    for s in range(SECONDS):
        snapshot = plant.step(NOON.timestamp() + s + 1, 1.0)
        meters.advance(snapshot, 1.0)
        readings += [(name, s + 0.5, value) for name, value in meters.read().items()]
        for stream, watts in snapshot.heat_flows_w().items():
            true[stream] = true.get(stream, 0.0) + watts
    lab.bring(Batch(tuple(readings)))
    now = NOON + timedelta(seconds=SECONDS + 5)
    assert not update_until_clean(lab.dsn, now_at=now).problems

    report = load_heat_report(lab.connection, NOON, now, now)
    assert report.synthetic
    exchanges = {exchange.streams[0]: exchange for exchange in report.exchanges}
    fish = exchanges["fish-heat"]
    assert fish.streams == ["fish-heat", "fish-intake"]
    assert (fish.supplier, fish.receiver, fish.at) == ("smelter", "fishfarm", "fish-farm")
    for stream, number in (("fish-heat", fish.supplied), ("fish-intake", fish.used)):
        assert abs(number.value - true[stream]) < 3 * number.sd + 0.03 * true[stream]
        assert number.origin == "measured"
        assert 0.9 < number.completeness <= 1.0
    assert fish.supplied.value == pytest.approx(fish.used.value + fish.lost.value, rel=1e-12)
    assert fish.usable.value <= fish.used.value * (1 + 1e-9)
    assert "discard_c" in fish.dumped.why
    assert fish.coverage.basis.startswith("agreement heat-to-fishfarm")
    assert fish.coverage.demand.value == pytest.approx(32 * 3.6e9 / 86400 * SECONDS, rel=0.02)
    assert exchanges["greenhouse-heat"].supplied.why == "the exchange is not live (idea)"
    assert {dump.stream for dump in report.dumps} == {"dump-heat", "orc-reject"}
    pipes = {pipe.id: pipe for pipe in report.pipes}
    assert pipes["fish-pipe"].verdict is not None
    assert pipes["school-heat"].why.startswith("only one end has a heat meter")
    assert [(e.node, e.ua_w_k.value) for e in report.exchangers] == [("boiler", None)]
    assert "offgas has no meter of flow" in report.exchangers[0].why
    assert {r.stream for r in report.registers} >= {"fish-heat", "net-heat"}

    text = "\n".join(report_lines(report))
    assert "SYNTHETIC" in text
    assert "fish-heat → fish-intake → fish-farm" in text
    span = {"from_": "2026-11-20T13:00", "to": "2026-11-20T13:15"}
    assert heat(dsn=lab.dsn, **span, as_json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["exchanges"][0]["supplied"]["unit"] == "J"
    assert heat(dsn=lab.dsn, **span) == 0
    assert "supplied" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match="24h"):
        heat(dsn=lab.dsn, last="soon")
    with pytest.raises(DomainError, match="no time that is past"):
        load_heat_report(lab.connection, now, now, now)
