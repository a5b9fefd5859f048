"""What went wrong between this gateway and an OPC UA server, and what to do about it, in one sentence each. Pure."""

from __future__ import annotations

import asyncio
import socket
import struct

from asyncua import ua
from asyncua.crypto.uacrypto import InvalidSignature

from sidestream_contracts.edge_opcua import OpcUaDriver
from sidestream_edge.drivers.opcua import status
from sidestream_edge.drivers.opcua.keys import Own

FAILURES = (OSError, asyncio.TimeoutError, ua.UaError, InvalidSignature, ValueError, struct.error)
"""What asyncua raises for a server that is away, refuses us, or does not speak as it should."""

_OUR_CERTIFICATE = frozenset({
    "BadCertificateUntrusted", "BadSecurityChecksFailed", "BadCertificateInvalid", "BadCertificateUriInvalid", "BadCertificateRevoked",
    "BadCertificateChainIncomplete", "BadCertificateUseNotAllowed", "BadCertificateHostNameInvalid", "BadCertificatePolicyCheckFailed",
    "BadCertificateIssuerUseNotAllowed", "BadNoValidCertificates", "BadApplicationSignatureInvalid",
})  # fmt: skip
_LOGIN = frozenset(
    {"BadIdentityTokenRejected", "BadIdentityTokenInvalid", "BadUserAccessDenied", "BadUserSignatureInvalid"}
)
_FULL = frozenset({"BadTooManySessions", "BadTooManySubscriptions", "BadTcpNotEnoughResources", "BadMaxConnectionsReached", "BadTooManyMonitoredItems"})  # fmt: skip
_CLOCK = frozenset({"BadInvalidTimestamp", "BadCertificateTimeInvalid", "BadCertificateIssuerTimeInvalid"})
_POLICY = frozenset({"BadSecurityPolicyRejected", "BadSecurityModeRejected", "BadSecurityModeInsufficient"})


def code_of(error: BaseException) -> int | None:
    """The StatusCode that the server answered with."""
    return int(error.code) if isinstance(error, ua.UaStatusCodeError) else None


def explain(error: BaseException, where: str, config: OpcUaDriver, own: Own | None) -> str:
    """A sentence that names the device, the cause and what to do."""
    code = code_of(error)
    if code is not None:
        return f"{where} {_answered(code, config, own)}"
    return f"{where} {_away(error, config, own)}"


def _away(error: BaseException, config: OpcUaDriver, own: Own | None) -> str:
    """For a server that did not even answer no."""
    match error:
        case socket.gaierror():
            return f"can't be reached: there is no host {config.address[0]!r}. Check `url` and this gateway's DNS."
        case ConnectionRefusedError():
            return f"can't be reached: nothing listens on port {config.address[1]}. Check `url`, and whether the server runs."
        case asyncio.TimeoutError():
            return f"does not answer (time-out {config.timeout_s:g} s). Check the server, the network, and a firewall between."
        case OSError():
            return f"is gone: {error.strerror or error or 'the line was cut'}. Connecting again.{_hung_up(own)}"
        case InvalidSignature():
            return "signed with another key than that of its certificate. Connecting again; if it stays so, somebody may sit between."
    return f"answered something that can't be understood ({type(error).__name__}: {error}). Connecting again."


def _answered(code: int, config: OpcUaDriver, own: Own | None) -> str:
    """For a server that said no."""
    name = status.name(code)
    if name in _OUR_CERTIFICATE and own is not None:
        return (
            f"does not accept this gateway's certificate ({name}). Trust it at the server: move the one of 'Sidestream edge', SHA-1 thumbprint"
            f" {own.thumbprint}, from its rejected to its trusted list, or copy {own.certificate} there. Trying again by itself."
        )
    if name in _LOGIN:
        who = f"user {config.user!r}" if config.user else "a user without a name"
        return f"does not let {who} in ({name}). Check `user` and `password`, and that user's rights at the server."
    probe = f"`sidestream edge probe opcua {config.url}` lists what it offers"
    said = {
        **dict.fromkeys(_FULL, "takes no further client ({}). Close other clients, or raise its limit; sessions left open end by themselves. Trying again."),
        **dict.fromkeys(_CLOCK, "refuses our times or certificate ({}). Compare the clocks of gateway and server, and the certificates' validity."),
        **dict.fromkeys(_POLICY, "refuses this security ({}). " + probe + "; correct `security`."),
        "BadTcpEndpointUrlInvalid": "has no endpoint of this address ({}). " + probe + "; correct `url`.",
    }  # fmt: skip
    return said[name].format(name) if name in said else f"answered {status.words(code)}. Trying again."


def _hung_up(own: Own | None) -> str:
    if own is None:
        return ""
    return f" Some servers hang up without a word on a certificate that they don't trust: look there for thumbprint {own.thumbprint}."
