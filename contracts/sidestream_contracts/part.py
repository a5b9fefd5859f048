"""What every section of `hub.yaml` and `edge.yaml` has in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FilePart(BaseModel):
    """A section of a file: frozen, no unknown keys, no NaN or Infinity. Numbers may be text, since `${NAME}` gives text."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
