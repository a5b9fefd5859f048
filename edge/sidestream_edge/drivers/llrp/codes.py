"""The bits of a tag as the code that is told of it: GS1's identity as a URI, or plain hex."""

from __future__ import annotations

from typing import Literal

from llrpkit import decode_epc

Codes = Literal["uri", "tag_uri", "hex"]


def code_of(epc: bytes, codes: Codes) -> str:
    """`urn:epc:id:…` (or `urn:epc:tag:…` with filter value) for the 96-bit GS1 schemes, upper-case hex for all others.

    GS1 EPC Tag Data Standard: SGTIN, SSCC, SGLN, GRAI, GIAI and GID in 96 bits. The same tag always gives the same code.
    """
    decoded = decode_epc(epc) if codes != "hex" else None
    if decoded is None:
        return epc.hex().upper()
    return decoded.pure_identity_uri if codes == "uri" else decoded.tag_uri
