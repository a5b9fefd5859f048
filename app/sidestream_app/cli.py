"""The `sidestream` command: each subcommand is imported only when it is asked for, so a gateway needs no server parts.

Exit codes: 0 done · 1 asked something that has no answer, or a check failed · 2 configuration is wrong, nothing changed ·
3 a server is away, try again · 130 ended by Ctrl-C · 141 nobody reads the output any more.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

from cyclopts import App, CycloptsError, MissingArgumentError

from sidestream_app.logs import configure_logging
from sidestream_contracts.errors import ConfigurationError, SidestreamError, TransientError

if TYPE_CHECKING:
    from rich.text import Text


def _asked_wrongly(error: CycloptsError) -> Text:
    """A sentence as of our own errors; what is missing is named, with the environment variable that would do as well."""
    from rich.text import Text  # as slow to import as all the rest, and only needed to say what is wrong

    argument = error.argument if isinstance(error, MissingArgumentError) and error.keyword is None else None
    if argument is None:
        return Text(f"sidestream: {error}")
    command = " ".join(["sidestream", *(error.command_chain or ())])
    instead = "".join(f", or {name} in the environment" for name in argument.parameter.env_var or ())
    return Text(f"sidestream: `{command}` needs {argument.name}{instead}; see `{command} --help`.")


app = App(
    name="sidestream",
    error_formatter=_asked_wrongly,
    help="Shows what flows between companies that use each other's side-streams, with numbers people trust.",
    version=version("sidestream"),
    help_format="markdown",
)

_HERE = "sidestream_app.commands"

hub = App(name="hub", help="Check and apply `hub.yaml`: what things mean.")
hub.command(f"{_HERE}.hub:check", help="Check a hub.yaml; every mistake with file, line and a way out.")
hub.command(f"{_HERE}.hub:apply", help="Bring the database to a hub.yaml; shows the difference.")
app.command(hub)

db = App(name="db", help="The database's schema, logins and backups.")
db.command(f"{_HERE}.db:migrate", help="Bring the database to the newest schema (safe to run at any time).")
db.command(f"{_HERE}.db:viewer", help="Make a login role that reads the views and nothing else.")
db.command(f"{_HERE}.db:maintain", help="Partitions ahead, retention, statistics; what the daily flow does.")
db.command(f"{_HERE}.backup:backup", help="Write the whole hub into one file, while everything goes on.")
db.command(f"{_HERE}.backup:restore", help="Fill an empty database from a backup.")
app.command(db)

export = App(name="export", help="Write readings, roll-ups, figures or scans into a CSV or Parquet file.")
export.command(f"{_HERE}.export:readings", help="Raw readings, as corrected.")
export.command(f"{_HERE}.export:rollups", help="Minutes, hours or days of sensors.")
export.command(f"{_HERE}.export:twin", help="The twin's figures of streams and nodes.")
export.command(f"{_HERE}.export:scans", help="Codes as they were read.")
app.command(export)

edge = App(name="edge", help="The agent on a gateway: reads devices, keeps every reading until the hub has it.")
edge.command(
    f"{_HERE}.edge_check:check", help="From edge.yaml to the database row: where does it stop, and what to do?"
)
edge.command(f"{_HERE}.edge:run", help="Run the agent until SIGTERM or Ctrl-C.")
edge.command(f"{_HERE}.edge_status:status", help="How the agent here and its devices are doing, without the broker.")
edge.command(f"{_HERE}.edge_tail:tail", help="Readings as they pass, with quality in words.")
edge.command(f"{_HERE}.edge_drivers:drivers", help="Which drivers this machine has, those of other packages too.")
probe = App(name="probe", help="What a device offers, and a draft of the `edge.yaml` that reads it.")
probe.command(f"{_HERE}.edge_probe:modbus", help="Units, identification and registers of a Modbus device or line.")
probe.command(f"{_HERE}.edge_opcua:opcua", help="Endpoints and variables of an OPC UA server.")
probe.command(f"{_HERE}.edge_llrp:llrp", help="Antennas, firmware and tags of an RFID reader that speaks LLRP.")
edge.command(probe)
edge.command(f"{_HERE}.edge_opcua:certificate", help="The certificates by which OPC UA servers know this gateway.")
app.command(edge)

ingest = App(name="ingest", help="From MQTT into the database, once each.")
ingest.command(f"{_HERE}.ingest:run", help="Run one ingest worker until SIGTERM or Ctrl-C.")
app.command(ingest)

quarantine = App(
    name="quarantine", help="What could not be used: look at it, mend what is wrong, replay or discard it."
)
quarantine.command(f"{_HERE}.quarantine:list_", name="list", help="What lies in quarantine, by device and reason.")
quarantine.command(f"{_HERE}.quarantine:show", help="One entry as it came, with its bytes.")
quarantine.command(f"{_HERE}.quarantine:explain", help="What came, why it could not be used, what to do.")
quarantine.command(f"{_HERE}.quarantine:mend", help="Write the missing line into hub.yaml, apply it, replay.")
quarantine.command(f"{_HERE}.quarantine:replay", help="Take over what has become usable, once.")
quarantine.command(f"{_HERE}.quarantine:discard", help="Decide that entries will not be used.")
app.command(quarantine)

twin = App(name="twin", help="Stocks, heat flows, lots and agreements as computed from readings.")
twin.command(f"{_HERE}.twin:update", help="Recompute whatever is dirty, once, without Prefect.")
twin.command(f"{_HERE}.balance:balance", help="Does what goes in come out again, and if not, which meter is wrong?")
twin.command(
    f"{_HERE}.twin_heat:heat", help="What became of the heat: supplied, used, dumped, lost; pipes, exchangers."
)
twin.command(f"{_HERE}.twin:reconcile", help="Bring a network's meters together, from a file; name the wrong one.")
twin.command(f"{_HERE}.explain:explain", help="The way from a number down to the readings it rests on.")
note = App(name="note", help="Shift notes beside the numbers, with author; only ever added.")
note.command(f"{_HERE}.note:add", help="Write a note about a node, stream, agreement or sensor.")
note.command(f"{_HERE}.note:list_", name="list", help="Notes, newest first.")
twin.command(note)
twin.command(f"{_HERE}.meters:meters", help="Registers that rolled over, were reset or exchanged; doubted values.")
twin.command(f"{_HERE}.findings:findings", help="What is out of order, since when, and what to do.")
twin.command(f"{_HERE}.findings:acknowledge", help="Say that somebody has seen a finding.")
twin.command(f"{_HERE}.findings:shelve", help="Put a finding aside until a time, with a reason.")
twin.command(f"{_HERE}.findings:unshelve", help="Let a shelved finding come back now.")
twin.command(f"{_HERE}.twin:stocks", help="What lies where, and when it overflows or runs dry.")
twin.command(f"{_HERE}.twin:agreements", help="How each agreement stands, why, and on what evidence.")
stop = App(name="stop", help="The calendar of planned stops: a stop is not a breach.")
stop.command(f"{_HERE}.stops:add", help="Plan a stop of a node or stream, with who says so and why.")
stop.command(f"{_HERE}.stops:list_", name="list", help="What is planned to stand still.")
stop.command(f"{_HERE}.stops:end", help="End a stop early, or take it back.")
twin.command(stop)
app.command(twin)

heat = App(name="heat", help="Heat problems given as files: what could be recovered, and between whom.")
heat.command(f"{_HERE}.heat:targets", help="Least heating and cooling of streams that may exchange heat; the pinch.")
heat.command(f"{_HERE}.heat:match", help="Whose waste heat could serve whose need, for how many hours a year.")
heat.command(f"{_HERE}.heat:reconcile", help="Flows and temperatures of a heat network, brought together.")
app.command(heat)

flows = App(name="flows", help="The Prefect flows that keep the twin up to date.")
flows.command(f"{_HERE}.flows:run", help="Run the flows process until SIGTERM or Ctrl-C.")
app.command(flows)

web = App(name="web", help="The live page and the read API.")
web.command(f"{_HERE}.web:run", help="Serve until SIGTERM or Ctrl-C.")
app.command(web)

dashboards = App(name="dashboards", help="Grafana dashboards as code.")
dashboards.command(f"{_HERE}.dashboards:write", help="Write the dashboards' JSON.")
dashboards.command(f"{_HERE}.dashboards:check", help="Run every panel's SQL against a filled database.")
app.command(dashboards)

schemas = App(name="schemas", help="JSON Schema and AsyncAPI of everything that crosses a wire or a file.")
schemas.command(f"{_HERE}.schemas:write", help="Write the schemas.")
app.command(schemas)

app.command(f"{_HERE}.publish:publish", help="Give the twin's figures out over MQTT to the parties they concern.")
app.command(f"{_HERE}.status:status", help="Is the plant well? One screen, with what to do next.")
correct = App(name="correct", help="Say that readings were wrong: who, when and why. Raw readings stay as they came.")
correct.command(f"{_HERE}.correct:void", help="Take readings, or reads of a code, out of every figure.")
correct.command(f"{_HERE}.correct:set_", name="set", help="Make every reading in a range one value.")
correct.command(f"{_HERE}.correct:adjust", help="Make readings raw * factor + offset.")
correct.command(f"{_HERE}.correct:list_", name="list", help="Every correction, with those that were withdrawn.")
correct.command(f"{_HERE}.correct:show", help="One correction and what rests on its readings.")
correct.command(f"{_HERE}.correct:withdraw", help="Let a correction count no longer.")
app.command(correct)

bench = App(name="bench", help="Measure this machine: the same keys each time, progress on stderr.")
bench.command(f"{_HERE}.bench:ingest", help="Frames into the database, against raw COPY.")
bench.command(f"{_HERE}.bench:edge", help="What the edge agent costs a gateway, and how fast a backlog drains.")
bench.command(f"{_HERE}.bench:query", help="Every dashboard panel's SQL over a month of a large hub.")
bench.command(f"{_HERE}.bench_rfid:rfid", help="RFID smoothing: delay against phantom leaves, SMURF and fixed windows.")
bench.command(f"{_HERE}.bench:twin", help="Reconciliation of up to 3 000 flows; --study: how good its statistics are.")
app.command(bench)

app.command(f"{_HERE}.enter:enter", help="Enter what a person counted, weighed or read; with its author.")
app.command(f"{_HERE}.where:where", help="Where a lot or tag is, and where it has been; or `place unknown`.")
app.command(f"{_HERE}.simulate:simulate", help="Stand in for the hardware of an example hub.")
app.command(f"{_HERE}.replay:replay", help="Take recorded files through the whole chain.")
app.command(f"{_HERE}.demo:demo", help="The whole product on this machine, on embedded servers.")
app.command(f"{_HERE}.chaos:app", name="chaos", help="Break the whole product on purpose, and count what is lost.")


def _teach(arguments: list[str]) -> None:
    """The page of a command asked for by `--help` is the whole docstring; its one line here is for lists of commands."""
    if not {"--help", "-h"}.isdisjoint(arguments):
        *_, asked = app.parse_commands([a for a in arguments if not a.startswith("-")])[1]
        if asked.default_command is not None:
            asked.help = None


def main() -> None:
    """Runs one command; errors of ours come out as a sentence and an exit code, never as a traceback."""
    try:
        configure_logging()
        _teach(sys.argv[1:])
        result = app(sys.argv[1:], result_action="return_value")
        sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever reads our output has seen enough, as in `sidestream … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the flush at exit would complain again
        sys.exit(141)
    except SidestreamError as error:
        print(f"sidestream: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sidestream"):
            raise
        print(
            f"sidestream: this command needs the Python package {error.name!r}, which is not installed; "
            "install an extra that has it: sidestream[edge], [server] or [demo].",
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(result if isinstance(result, int) else 0)


def exit_code(error: SidestreamError) -> int:
    """2 for configuration, 3 for a server that is away, else 1."""
    if isinstance(error, ConfigurationError):
        return 2
    return 3 if isinstance(error, TransientError) else 1
