"""One chaos run from start to verdict; whatever happens, no process is left behind."""

from __future__ import annotations

import random
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sidestream_app.chaos import schedule
from sidestream_app.chaos.build import build
from sidestream_app.chaos.faults import FAULTS, Done
from sidestream_app.chaos.memory import Memory
from sidestream_app.chaos.report import Outcome, Struck
from sidestream_app.chaos.rig import Rig
from sidestream_app.chaos.tally import drain, tally, thaw
from sidestream_contracts.errors import ConfigurationError, SidestreamError

_LONGEST_WARM_UP_S, _LONGEST_QUICK_WARM_UP_S = 25.0, 8.0
_LOOK_EVERY_S = 2.0
_DRAIN_S = 75.0


@dataclass(frozen=True, slots=True)
class Options:
    """What the user asked for."""

    home: Path
    seconds: float
    seed: int
    faults: tuple[int, ...]
    quick: bool
    flows: bool


@dataclass(slots=True)
class _Strike:
    """A fault that was carried out, and what is to be asked about it later."""

    struck: Struck
    done: Done


def run(options: Options) -> Outcome | None:
    """What the run found, or None after Ctrl-C; either way every process has ended."""
    unknown = sorted(set(options.faults) - FAULTS.keys())
    if unknown:
        raise ConfigurationError(f"--faults {unknown}: no such fault here; there are {sorted(FAULTS)}.")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    rig = build(options.home, options.seed, _say, stop, with_flows=options.flows)
    try:
        rig.start()
        return _under_fire(rig, options)
    except KeyboardInterrupt:
        return None
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # it is ending already
        thaw(rig)
        rig.close()


def _under_fire(rig: Rig, options: Options) -> Outcome | None:
    loaded_from_s = time.monotonic()
    memory = Memory(rig.memory_mb)
    rig.say("chaos", "load runs; waiting until memory is steady")
    memory.begin(_LONGEST_QUICK_WARM_UP_S if options.quick else _LONGEST_WARM_UP_S, rig.stop)
    began_s = time.monotonic()
    tracks = {number: FAULTS[number].track for number in options.faults}
    steps = schedule.plan(tracks, from_s=0, to_s=options.seconds, seed=options.seed)
    rig.say("chaos", f"{len(steps)} faults in {options.seconds:.0f} s, seed {options.seed}")
    strikes = _strike_all(rig, steps, options.seed, began_s, memory)
    rig.stop.wait(max(0.0, began_s + options.seconds - time.monotonic()))
    loaded_s = time.monotonic() - loaded_from_s
    rig.say("chaos", "time is over: mending everything and letting it drain")
    rig.mend()
    drained_s = drain(rig, _DRAIN_S)
    if rig.stop.is_set():
        return None
    memory.end()
    return _judged(rig, options, strikes, memory, drained_s=drained_s, loaded_s=loaded_s)


def _strike_all(rig: Rig, steps: Sequence[schedule.Step], seed: int, began_s: float, memory: Memory) -> list[_Strike]:
    """Each track in a thread of its own; whatever one raises beyond our own errors is raised here."""
    with ThreadPoolExecutor(len(schedule.Track), "track") as pool:
        running: list[Future[list[_Strike]]] = [
            pool.submit(_strike_track, rig, [s for s in steps if s.track is track], seed, began_s)
            for track in schedule.Track
        ]
        while not all(future.done() for future in running):
            memory.look()
            rig.stop.wait(_LOOK_EVERY_S)
        strikes = [strike for future in running for strike in future.result()]
    return sorted(strikes, key=lambda strike: strike.struck.time_s)


def _strike_track(rig: Rig, steps: Sequence[schedule.Step], seed: int, began_s: float) -> list[_Strike]:
    strikes = []
    for n, step in enumerate(steps):
        if rig.stop.wait(max(0.0, began_s + step.at_s - time.monotonic())):
            break
        strikes.append(_strike(rig, step, f"{seed}/{step.number}/{n}", began_s))
    return strikes


def _strike(rig: Rig, step: schedule.Step, seed: str, began_s: float) -> _Strike:
    fault = FAULTS[step.number]
    at_s = time.monotonic() - began_s
    rig.say("fault", f"{step.number} {fault.name}")
    try:
        done = fault.inject(rig, random.Random(seed), step.room_s)  # noqa: S311 - seeded on purpose
    except SidestreamError as error:
        done = Done("?", f"could not be injected: {error}", ok=False)
    rig.say("fault", f"{step.number} {fault.name}: {done.target}: {done.did}")
    return _Strike(Struck(at_s, step.number, fault.name, done.target, done.did, done.ok), done)


def _judged(
    rig: Rig,
    options: Options,
    strikes: Sequence[_Strike],
    memory: Memory,
    *,
    drained_s: float | None,
    loaded_s: float,
) -> Outcome:
    from sidestream_store.fault_injection import kept

    rig.say("chaos", "counting")
    for strike in strikes:
        strike.struck.wrong = strike.done.later(rig) if strike.done.later else None
        if strike.struck.wrong:
            strike.struck.ok = False
    reasons: Counter[str] = Counter()
    for entry in kept(rig.dsn):
        reasons[entry.reason] += entry.count
    return Outcome(
        options.seed,
        loaded_s,
        options.quick,
        tuple(strike.struck for strike in strikes),
        tally(rig),
        dict(sorted(reasons.items())),
        drained_s,
        memory,
        tuple(sorted([*rig.supervisor.pids(), "postgres", "broker"])),
        _rerun(options),
    )


def _rerun(options: Options) -> str:
    """The command that draws the same faults again."""
    words = ["sidestream", "chaos", "--seed", str(options.seed), "--for", f"{options.seconds:g}s"]
    if set(options.faults) != FAULTS.keys():
        words += ["--faults", ",".join(str(number) for number in options.faults)]
    words += ["--quick"] if options.quick else []
    words += [] if options.flows else ["--no-flows"]
    return " ".join(words)


def _say(name: str, what: str) -> None:
    sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S}Z  {name:<12} {what}\n")  # at one stroke: several threads speak
