"""A real MQTT 5 broker on loopback, in the foreground: `python -m sidestream_app.embedded.broker --port P`.

Mosquitto where it is installed, else `iotcore` (rumqttd) from its wheel. Either way the process that was started *is*
the broker, under the same process id, so a supervisor's signals and kill -9 reach it. The broker is only a pipe: nothing
in it needs to survive (the edge keeps every frame until the hub has acknowledged it), hence no persistence.

Started as root, both give up root for `nobody` and then ask the kernel again for the parent-death signal, which the
change of user had cleared. Mosquitto would change user by itself and so outlive a killed supervisor.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from sidestream_app.embedded.broker_config import (
    DEFAULT_MAX_PAYLOAD_BYTES,
    BrokerKind,
    mosquitto_config,
    rumqttd_config,
)
from sidestream_app.embedded.ports import HIGHEST_PORT, LOOPBACK, require_free
from sidestream_app.embedded.privileges import give_up_root
from sidestream_app.supervise import ProcessSpec, tcp_open
from sidestream_contracts.errors import ConfigurationError

_CONFIGURATION_EXIT = 2
_SYSTEM_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"


def find_mosquitto() -> Path | None:
    """The Mosquitto on PATH or in a system folder (an ordinary user's PATH lacks /usr/sbin), or None."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_SYSTEM_FOLDERS)
    return Path(found) if found is not None else None


def choose_kind(asked: BrokerKind | None = None) -> BrokerKind:
    """Which broker will run: the one asked for, else Mosquitto when it is installed, else iotcore.

    Raises ConfigurationError when Mosquitto is asked for and not installed.
    """
    if asked is BrokerKind.IOTCORE:
        return asked
    if find_mosquitto() is not None:
        return BrokerKind.MOSQUITTO
    if asked is BrokerKind.MOSQUITTO:
        raise ConfigurationError(
            "Mosquitto is not installed. Install it (`apt install mosquitto`), or run with --kind iotcore."
        )
    return BrokerKind.IOTCORE


def broker_version() -> str:
    """Which broker runs where none is asked for, and its version."""
    mosquitto = find_mosquitto()
    if mosquitto is None:
        return f"iotcore {version('iotcore')}"
    told = subprocess.run(
        [mosquitto, "-h"], capture_output=True, text=True, check=False
    ).stdout  # exits with 3 by design
    return told.partition("\n")[0] or "mosquitto"


def broker_spec(
    port: int,
    log_path: Path,
    *,
    host: str = LOOPBACK,
    kind: BrokerKind | None = None,
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES,
    name: str = "broker",
    port_option: str = "--broker-port",
) -> ProcessSpec:
    """The broker as a child to supervise, ready when its port is open.

    Raises ConfigurationError for a port in use (naming `port_option`), an address that is not loopback, or Mosquitto
    asked for and not installed.
    """
    chosen = choose_kind(kind)
    broker_config(chosen, host, port, max_payload_bytes)
    require_free(host, port, "the MQTT broker", port_option)
    options = ("--host", host, "--port", str(port), "--max-payload", str(max_payload_bytes), "--kind", chosen.value)
    return ProcessSpec(
        name=name,
        argv=(sys.executable, "-m", "sidestream_app.embedded.broker", *options),
        log_path=log_path,
        ready=tcp_open(host, port),
    )


def broker_config(kind: BrokerKind, host: str, port: int, max_payload_bytes: int) -> str:
    """The configuration text that `kind` will run with; raises ConfigurationError for values that it must not have."""
    if not host.startswith("127."):
        raise ConfigurationError(
            f"The embedded broker lets everybody in, so it listens on loopback only, not on {host}. "
            f"Use {LOOPBACK}, or run a broker of your own with users and TLS."
        )
    if max_payload_bytes < 1:
        raise ConfigurationError(f"A largest payload of {max_payload_bytes} bytes is not possible; give at least 1.")
    make = mosquitto_config if kind is BrokerKind.MOSQUITTO else rumqttd_config
    return make(host, port, max_payload_bytes)


def main(argv: Sequence[str]) -> None:
    """Runs the broker until SIGTERM or SIGINT; a configuration error is printed, and the exit code is 2."""
    try:
        _run(_parse(argv))
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        sys.exit(_CONFIGURATION_EXIT)


def _run(options: argparse.Namespace) -> None:
    kind = choose_kind(options.kind)
    config = broker_config(kind, options.host, options.port, options.max_payload)
    require_free(options.host, options.port, "the MQTT broker", "--port")
    if kind is BrokerKind.MOSQUITTO:
        _become_mosquitto(config)
    else:
        _run_iotcore(config)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="sidestream_app.embedded.broker", description="An MQTT 5 broker on loopback.")
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, required=True, help=f"1 to {HIGHEST_PORT}")
    parser.add_argument("--max-payload", type=int, default=DEFAULT_MAX_PAYLOAD_BYTES, metavar="BYTES")
    parser.add_argument("--kind", type=BrokerKind, choices=list(BrokerKind), default=None)
    return parser.parse_args(argv)


def _config_in_memory(text: str) -> str:
    """A path under which this process, and what it becomes, can read `text`; no file is ever left behind."""
    descriptor = os.memfd_create("broker-config", 0)
    os.write(descriptor, text.encode())
    return f"/proc/self/fd/{descriptor}"


def _become_mosquitto(config: str) -> None:
    program = find_mosquitto()
    if program is None:  # removed since it was chosen
        raise ConfigurationError("Mosquitto has just been removed; start again.")
    path = _config_in_memory(config)
    give_up_root()
    os.execv(program, [str(program), "-c", path])  # noqa: S606  # no shell wanted


def _run_iotcore(config: str) -> None:
    from iotcore import IotCoreBroker  # only where it is the broker

    # rumqttd's tracing arrives here as an ERROR record for every packet that it routes, and says nothing of use.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "rumqttd.toml")  # the suffix is how it knows the format
        path.write_text(config)
        broker = IotCoreBroker(config_path=str(path))
    give_up_root()
    # It blocks outside Python, where no Python handler would ever run: let the signals end the process.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    broker.run_forever()


if __name__ == "__main__":
    main(sys.argv[1:])
