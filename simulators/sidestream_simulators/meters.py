"""Meters that err as declared: measured = truth + systematic error + random error.

The systematic error is one draw per seed and sensor, uniform within ± the class limit (so its sd is limit/√3); the
random error is normal and new at each reading. Parts in % and absolute parts of a limit add, as standards write them
(a + b·|x|); parts of the random error add in quadrature. A register integrates what its meter believes, so it carries
the systematic error in each increment and never runs backwards.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from random import Random

from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import Accuracy, HubFile, Sensor, Stream
from sidestream_contracts.units import ZERO_CELSIUS_K, ToSi, to_si
from sidestream_simulators.physics import Snapshot

REGISTER_ROLES = frozenset({"energy_register", "volume_register", "supply_register", "return_register"})
Truth = Callable[[Snapshot], float]


def _carried_w(snapshot: Snapshot, stream: str) -> float:
    return snapshot.water[stream].heat_w if stream in snapshot.water else snapshot.power_w[stream]


def _mass_flow(snapshot: Snapshot, stream: str) -> float:
    water = snapshot.water.get(stream)
    return water.mass_flow_kg_s if water else snapshot.mass_flow_kg_s[stream]


def truth_of(sensor: Sensor, stream: Stream | None) -> Truth:
    """What `sensor` looks at, in SI: its value, or for a register the rate at which it grows."""
    position = stream.meter_position if stream else "supply"
    s, n = sensor.stream or "", sensor.node or ""

    def volume(now: Snapshot) -> float:
        return now.water[s].volume_flow_m3_s(position)

    by_role: dict[str, Truth] = {
        "mass_flow": lambda now: _mass_flow(now, s),
        "volume_flow": volume,
        "supply_temperature": lambda now: now.water[s].supply_k,
        "return_temperature": lambda now: now.water[s].return_k,
        "power": lambda now: _carried_w(now, s),
        "energy_register": lambda now: _carried_w(now, s),
        "volume_register": volume,
        "supply_register": lambda now: volume(now) * (now.water[s].supply_k - ZERO_CELSIUS_K),
        "return_register": lambda now: volume(now) * (now.water[s].return_k - ZERO_CELSIUS_K),
        "stock_mass": lambda now: now.stock_kg[n],
        "level": lambda now: now.other[sensor.id],
        "other": lambda now: now.other[sensor.id],
    }
    return by_role[sensor.role]


@dataclass(frozen=True, slots=True)
class ErrorModel:
    """How one sensor errs. `share` is where in ± the class limit it sits, from -1 to 1, for as long as it lives."""

    accuracy: Accuracy
    share: float

    def systematic(self, value: float) -> float:
        """The error that does not average out, in the unit of `value`."""
        return self.share * (self.accuracy.limit_pct / 100.0 * abs(value) + self.accuracy.limit_abs)

    def random_sd(self, value: float) -> float:
        """Standard deviation of the error that does average out, in the unit of `value`."""
        return math.hypot(self.accuracy.random_pct / 100.0 * value, self.accuracy.random_abs)


class Meter:
    """One sensor of the hub file: `advance` with each step of the truth, `read` whenever asked."""

    def __init__(self, sensor: Sensor, stream: Stream | None, seed: int, register_si: float = 0.0) -> None:
        self.sensor = sensor
        self.is_register = sensor.role in REGISTER_ROLES
        self.errors = ErrorModel(sensor.accuracy, Random(f"{seed}/{sensor.id}/systematic").uniform(-1.0, 1.0))
        self.register_si = register_si
        self._truth = truth_of(sensor, stream)
        self._si: ToSi = to_si(sensor.quantity, sensor.unit)
        self._noise = Random(f"{seed}/{sensor.id}/random")
        self._now_si = 0.0

    def advance(self, snapshot: Snapshot, dt_s: float) -> None:
        """Look at the truth of a step; ConfigurationError if the plant has nothing there to look at."""
        try:
            self._now_si = self._truth(snapshot)
        except KeyError as error:
            raise ConfigurationError(
                f"sensor {self.sensor.id!r} ({self.sensor.role} of {self.sensor.stream or self.sensor.node!r}): "
                "the simulated plant has no such value; take the sensor out of the hub file, or give it to the plant."
            ) from error
        if self.is_register:
            step = self._now_si * dt_s / self._si.factor
            self.register_si += (step + self.errors.systematic(step)) * self._si.factor

    def read(self) -> float:
        """What the meter shows now, in the sensor's unit of the hub file."""
        if self.is_register:
            return (self.register_si - self._si.offset) / self._si.factor
        true = (self._now_si - self._si.offset) / self._si.factor
        return true + self.errors.systematic(true) + self._noise.gauss(0.0, self.errors.random_sd(true))


class Meters:
    """The meters of those sensors of a hub that an edge file reads as registers."""

    def __init__(self, hub: HubFile, wanted: Iterable[str], seed: int, registers: Mapping[str, float]) -> None:
        streams = {stream.id: stream for stream in hub.streams}
        sensors = {sensor.id: sensor for sensor in hub.sensors}
        self.by_id: dict[str, Meter] = {}
        for name in wanted:
            if name not in sensors:
                raise ConfigurationError(
                    f"sensor {name!r} stands in the edge file but not in the hub file; add it there."
                )
            sensor = sensors[name]
            stream = streams.get(sensor.stream or "")
            self.by_id[name] = Meter(sensor, stream, seed, registers.get(name, 0.0))

    def make_wrong(self, biases: Mapping[str, float]) -> None:
        """These meters err by so many standard deviations of their class from now on; ConfigurationError for one that can't.

        One standard deviation is limit/√3, so beyond ± 1.73 a meter is out of its class.
        """
        for name, deviations in biases.items():
            if name not in self.by_id:
                raise ConfigurationError(
                    f"--bias {name}: there is no such meter; simulated are {', '.join(sorted(self.by_id))}."
                )
            meter = self.by_id[name]
            if not (meter.sensor.accuracy.limit_pct or meter.sensor.accuracy.limit_abs):
                raise ConfigurationError(
                    f"--bias {name}: its class has no limit, so it has no standard deviation either."
                )
            meter.errors = ErrorModel(meter.sensor.accuracy, deviations / math.sqrt(3.0))

    def advance(self, snapshot: Snapshot, dt_s: float) -> None:
        """Every meter looks at the same step."""
        for meter in self.by_id.values():
            meter.advance(snapshot, dt_s)

    def read(self) -> dict[str, float]:
        """What every meter shows now, by sensor id."""
        return {name: meter.read() for name, meter in self.by_id.items()}

    def registers(self) -> dict[str, float]:
        """What the registers hold, in SI, by sensor id."""
        return {name: meter.register_si for name, meter in self.by_id.items() if meter.is_register}
