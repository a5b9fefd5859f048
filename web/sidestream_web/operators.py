"""Who may change something: whoever shows the operator's token, and says who they are.

Reading needs no token; writing is off until one is set. The token comes as a bearer header only, which no foreign page can
make a browser send, so a page that an operator has open elsewhere can't write in their name.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from sidestream_web.errors import ErrorBody, Problem, RefusedError

TOKEN_VARIABLE = "SIDESTREAM_OPERATOR_TOKEN"  # noqa: S105  the variable's name
DSN_VARIABLE = "SIDESTREAM_OPERATOR_DSN"
SHORTEST_TOKEN = 16
_MAX_NAME = 80
_HOW_TO_ENABLE = (
    f"This server only reads. To let operators write, start `sidestream web run` with {TOKEN_VARIABLE} (a secret of "
    f"{SHORTEST_TOKEN} characters or more) and {DSN_VARIABLE} (a database login that may write)."
)

REFUSALS: dict[int | str, dict[str, object]] = {
    401: {"model": ErrorBody, "description": "the token is missing or wrong"},
    403: {"model": ErrorBody, "description": "this server only reads; the message says how to enable writing"},
}
"""For the `responses` of a router of writing endpoints."""

_bearer = HTTPBearer(
    auto_error=False,
    scheme_name="operator",
    description=f"The operator's token, as set in {TOKEN_VARIABLE}: `Authorization: Bearer …`.",
)


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who may write: their name for the record, and the database login to write with. Holds a secret."""

    name: str
    dsn: str


def operator(
    request: Request,
    shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    by: Annotated[
        str | None, Header(alias="X-Sidestream-By", description="who does it, by name; stays on record")
    ] = None,
) -> Operator:
    """The operator who asks; RefusedError 403 where writing is off, 401 for a wrong token, 422 where no name is given."""
    enabled = request.app.state.settings.operators
    if not enabled.token or not enabled.dsn:
        raise RefusedError(403, Problem(code="writing_is_off", message=_HOW_TO_ENABLE))
    if shown is None or not _same(shown.credentials, enabled.token):
        message = "Writing needs the operator's token, as header `Authorization: Bearer TOKEN`."
        raise RefusedError(401, Problem(code="not_an_operator", message=message))
    name = (by or "").strip()
    if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        message = (
            f"Say who you are, in the header `X-Sidestream-By: NAME` (1 to {_MAX_NAME} characters); it stays on record."
        )
        raise RefusedError(422, Problem(code="bad_parameter", message=message, parameter="X-Sidestream-By"))
    return Operator(name, enabled.dsn)


def _same(shown: str, token: str) -> bool:
    """Whether both are equal, in a time that tells nothing of how much of it is right or how long it is."""
    given, wanted = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (shown, token))
    return hmac.compare_digest(given, wanted)


TheOperator = Annotated[Operator, Depends(operator)]
