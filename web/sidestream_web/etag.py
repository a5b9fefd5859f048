"""An answer that is what the asker has already is not sent again: ETag by content, 304 on If-None-Match.

Only for answers that come in one piece; what is streamed passes through untouched.
"""

from __future__ import annotations

from hashlib import sha256

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Etags:
    """Plain ASGI, since a wrapping middleware would hold back streamed events."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI."""
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        held: list[Message] = []

        async def send_unless_known(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] == 200:
                held.append(message)
                return
            if held:
                start = held.pop()
                if not message.get("more_body"):
                    tag = f'"{sha256(message["body"]).hexdigest()[:32]}"'
                    MutableHeaders(scope=start)["ETag"] = tag
                    if tag in known:
                        start, message = _unchanged(start), {**message, "body": b""}
                await send(start)
            await send(message)

        await self._app(scope, receive, send_unless_known)


def _unchanged(start: Message) -> Message:
    kept = [(name, value) for name, value in start["headers"] if name not in {b"content-length", b"content-type"}]
    return {**start, "status": 304, "headers": kept}
