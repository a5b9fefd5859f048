"""Every refusal as one JSON shape with a sentence that says what is wrong, what is allowed, and the nearest known id."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from sidestream_contracts.errors import ConfigurationError, DomainError, TransientError
from sidestream_contracts.ids import nearest
from sidestream_web.headers import SECURITY_HEADERS

_log = structlog.get_logger()
_NAMED_AT_MOST = 12


class Problem(BaseModel):
    """Why a question was refused."""

    code: str = Field(description="machine-readable and stable: bad_parameter, unknown_id, unavailable, …")
    message: str = Field(description="a sentence for people: what, where, what to do")
    parameter: str | None = Field(default=None, description="the parameter it is about")
    allowed: list[str] | None = Field(default=None, description="what may stand there")
    nearest: str | None = Field(default=None, description="the known id or name most like the given one")


class ErrorBody(BaseModel):
    """The body of every answer with a status of 400 or above."""

    error: Problem


class RefusedError(DomainError):
    """A question that can't be answered, with the HTTP status that says why."""

    def __init__(self, status: int, problem: Problem) -> None:
        super().__init__(problem.message)
        self.status = status
        self.problem = problem


def unknown_id(what: str, given: str, known: Iterable[str], parameter: str) -> RefusedError:
    """404 that names the nearest known id and, where they are few, all of them."""
    ids = sorted(known)
    like = nearest(given, ids)
    hint = f" Did you mean {like!r}?" if like else ""
    listed = f" Known: {', '.join(ids)}." if 0 < len(ids) <= _NAMED_AT_MOST else f" {len(ids)} are known."
    message = f"There is no {what} {given!r} in this hub.{hint}{listed}"
    allowed = ids if len(ids) <= _NAMED_AT_MOST else None
    return RefusedError(
        404, Problem(code="unknown_id", message=message, parameter=parameter, allowed=allowed, nearest=like)
    )


def bad_parameter(parameter: str, message: str, allowed: Iterable[str] | None = None, given: str = "") -> RefusedError:
    """422 about one parameter."""
    names = list(allowed) if allowed is not None else None
    like = nearest(given, names) if names and given else None
    return RefusedError(
        422, Problem(code="bad_parameter", message=message, parameter=parameter, allowed=names, nearest=like)
    )


def install(app: FastAPI) -> None:
    """Every refusal of `app` comes as `ErrorBody`."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(DomainError, _senseless)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(TransientError, _unavailable)
    app.add_exception_handler(ConfigurationError, _misconfigured)
    app.add_exception_handler(Exception, _failed)


def _answer(status: int, problem: Problem, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(ErrorBody(error=problem).model_dump(), status_code=status, headers=headers)


def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return _answer(error.status, error.problem, {"WWW-Authenticate": "Bearer"} if error.status == 401 else None)


def _senseless(_: Request, error: Exception) -> JSONResponse:
    return _answer(422, Problem(code="bad_question", message=str(error)))


def _failed(request: Request, error: Exception) -> JSONResponse:
    """A fault of ours: the traceback goes to the log, a sentence to the asker."""
    _log.error("web.failed", method=request.method, path=request.url.path, exc_info=error)
    message = f"The server failed at {request.url.path!r}; that is its fault, and its log says why."
    # this answer is made outside of the middleware that gives all others their headers
    return _answer(500, Problem(code="server_fault", message=message), SECURITY_HEADERS)


def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return _answer(422, _first_problem(error.errors()[0]))


def _first_problem(found: Mapping[str, Any]) -> Problem:
    name = str(found["loc"][1]) if len(found["loc"]) > 1 else str(found["loc"][0])
    kind, given, context = found["type"], found.get("input"), found.get("ctx") or {}
    if kind == "missing":
        return Problem(code="bad_parameter", message=f"The parameter {name!r} is missing.", parameter=name)
    if kind == "literal_error":
        allowed = [part.strip("' ") for part in str(context["expected"]).replace(" or ", ", ").split(",")]
        message = f"{name!r} is {given!r}; allowed: {', '.join(allowed)}."
        like = nearest(str(given), allowed)
        return Problem(code="bad_parameter", message=message, parameter=name, allowed=allowed, nearest=like)
    if "datetime" in kind or kind == "timezone_aware":
        message = f"{name!r} is {given!r}; give a time with its zone, such as 2026-11-22T10:00:00Z."
        return Problem(code="bad_parameter", message=message, parameter=name)
    return Problem(code="bad_parameter", message=f"{name!r} is {given!r}: {found['msg']}.", parameter=name)


def _http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        message = f"There is nothing at {request.url.path!r}; /docs lists every address."
        return _answer(404, Problem(code="no_such_address", message=message))
    if error.status_code == 405:
        message = f"{request.method} is not allowed at {request.url.path!r}; /docs lists what is."
        return _answer(405, Problem(code="read_only", message=message), error.headers)
    return _answer(error.status_code, Problem(code="http_error", message=str(error.detail)), error.headers)


def _unavailable(_: Request, error: Exception) -> JSONResponse:
    return _answer(
        503,
        Problem(code="unavailable", message=f"{str(error).rstrip('.')}. Ask again in a moment."),
        {"Retry-After": "2"},
    )


def _misconfigured(_: Request, error: Exception) -> JSONResponse:
    return _answer(503, Problem(code="not_set_up", message=str(error)))
