"""The two pages and their files, all from this package: a plant network has no internet.

FastAPI's own documentation pages load scripts from a CDN, so `/docs` is a small page of ours over `/openapi.json`.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

STATIC = Path(str(files("sidestream_web") / "static"))
LANGUAGES = ("nb", "en")
_NORWEGIAN = frozenset({"nb", "no", "nn"})
router = APIRouter(include_in_schema=False)


def language(asked: str | None, accept: str) -> str:
    """`nb` or `en`: what `?lang=` asks for, else the reader's most wanted one in Accept-Language, else English."""
    if asked in LANGUAGES:
        return str(asked)
    for tag in _by_weight(accept):
        primary = tag.partition("-")[0]
        if primary in _NORWEGIAN:
            return "nb"
        if primary == "en":
            return "en"
    return "en"


def _by_weight(accept: str) -> list[str]:
    weighted: list[tuple[float, str]] = []
    for part in accept.lower().split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            weighted.append((-float(weight or 1), tag))
        except ValueError:
            continue
    return [tag for weight, tag in sorted(weighted, key=lambda pair: pair[0]) if weight < 0]


def _page(request: Request, name: str) -> HTMLResponse:
    chosen = language(request.query_params.get("lang"), request.headers.get("accept-language", ""))
    text = (STATIC / name).read_text(encoding="utf-8").replace("{{lang}}", chosen)
    return HTMLResponse(text, headers={"Vary": "Accept-Language", "Content-Language": chosen})


@router.get("/")
def live_page(request: Request) -> HTMLResponse:
    """The live page in the reader's language."""
    return _page(request, "index.html")


@router.get("/docs")
def docs_page(request: Request) -> HTMLResponse:
    """The reference of the read API."""
    return _page(request, "docs.html")
