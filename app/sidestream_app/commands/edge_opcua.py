"""`sidestream edge probe opcua` and `sidestream edge certificate`."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from pydantic import ValidationError

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson
from sidestream_app.commands.probed import NO_DRAFT, Draft
from sidestream_app.commands.progress import Progress
from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_opcua import OpcUaDriver, OpcUaSecurity
from sidestream_contracts.errors import ConfigurationError

if TYPE_CHECKING:
    from sidestream_edge.drivers.opcua.keys import Own

PASSWORD = "SIDESTREAM_OPCUA_PASSWORD"  # noqa: S105  the name of a variable


def opcua(
    url: str,
    /,
    *,
    user: Annotated[str | None, Parameter(help=f"Log in as this user; the password is taken from {PASSWORD}.")] = None,
    security: Annotated[
        str | None,
        Parameter(
            help="e.g. Basic256Sha256,SignAndEncrypt. Left out: none where the server allows that, else the first it offers."
        ),
    ] = None,
    keys: Annotated[Path, Parameter(help="With security: folder of own key and trusted/ servers.")] = Path("opcua"),
    depth: Annotated[int, Parameter(help="How many levels below Objects are looked at.")] = 8,
    timeout: Annotated[float, Parameter(help="Seconds to wait for each answer.")] = 4.0,
    draft: Draft = NO_DRAFT,
    as_json: AsJson = False,
) -> int:
    """Find out what an OPC UA server offers, and draft the edge.yaml that reads it.

    Lists its endpoints (security, logins, thumbprint of its certificate) and the variables below Objects with type, unit and
    value. Only reads. Needs the extra `opcua`. Exit code 1 if it lets nobody browse, or has no variables that are numbers;
    3 if there is no server to be reached.

    Examples: `sidestream edge probe opcua opc.tcp://10.0.0.7:4840 --write edge.yaml`,
    `SIDESTREAM_OPCUA_PASSWORD=… sidestream edge probe opcua opc.tcp://plc --user reader --security Basic256Sha256`

    Parameters
    ----------
    url
        opc.tcp://HOST:PORT/PATH; port 4840 where it is left out.
    """
    _need_library()
    from sidestream_edge.probe import opcua_report as report
    from sidestream_edge.probe.opcua import Manner, probe

    _check_url(url)
    draft.check()
    manner = Manner(user, os.environ.get(PASSWORD) if user else None, _security(security), depth, timeout, keys)
    with Progress() as progress:
        found = probe(url, manner, progress.tell)
    sections = report.driver_sections(found, user)
    said = list(report.lines(found))
    draft.answer(said, report.facts(found), sections, as_json=as_json)
    return 0 if sections else 1


def certificate(file: Path, /, *, as_json: AsJson = False) -> int:
    """Show the certificates by which OPC UA servers know this gateway; those that are missing are made.

    Copy each file to its server's list of trusted certificates, or let the gateway connect once and move it there from the
    server's rejected ones. The key beside it (own.pem) stays on this gateway.

    Parameters
    ----------
    file
        The edge.yaml of this gateway.
    """
    _need_library()
    from sidestream_edge.drivers.opcua.driver import application_uri, key_folder
    from sidestream_edge.drivers.opcua.keys import KeyFolder

    edge = load_edge(file)
    found = {
        driver.id: KeyFolder(file.resolve().parent / key_folder(driver), application_uri(edge)).own()
        for driver in edge.drivers
        if isinstance(driver, OpcUaDriver) and driver.security is not None
    }
    if not found:
        raise ConfigurationError(f"{file}: no driver of type opcua has `security`, so no certificate is needed.")
    if as_json:
        print_json({"certificates": [{"driver": name, **_facts(own)} for name, own in found.items()]})
    else:
        for name, own in found.items():
            print(
                f"{name}: {own.certificate}, SHA-1 thumbprint {own.thumbprint}, {own.uri}, valid until {own.valid_until:%Y-%m-%d %H:%M:%SZ}"
            )
    return 0


def _facts(own: Own) -> dict[str, str]:
    return {
        "certificate": str(own.certificate),
        "thumbprint": own.thumbprint,
        "application_uri": own.uri,
        "valid_until": own.valid_until.isoformat(),
    }


def _need_library() -> None:
    if find_spec("asyncua") is None:
        raise ConfigurationError(
            "The library for OPC UA is not installed here; run: pip install 'sidestream[edge,opcua]'"
        )


def _check_url(url: str) -> None:
    section = {"id": "probe", "type": "opcua", "url": url, "sensors": [{"id": "any", "path": "any"}]}
    for problem in OpcUaDriver.model_validate(section).problems(0):
        raise ConfigurationError(problem.message.removeprefix("drivers.0.url: "))


def _security(text: str | None) -> OpcUaSecurity | None:
    if text is None:
        return None
    policy, _, mode = text.partition(",")
    try:
        return OpcUaSecurity.model_validate({"policy": policy, "mode": mode or "SignAndEncrypt"})
    except ValidationError as error:
        raise ConfigurationError(
            f"--security {text!r}: write POLICY or POLICY,MODE with Basic256Sha256, Aes128_Sha256_RsaOaep or Aes256_Sha256_RsaPss,"
            " and Sign or SignAndEncrypt."
        ) from error
