"""The file: a zip with one zstd member per table and `manifest.json` last, so that a file cut short is seen at once.

Any unzip and any zstd open it: `unzip -p FILE tables/scan.copy.zst | zstd -d`. Nothing is ever held whole in memory.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Self

import pyarrow as pa
from pydantic import TypeAdapter, ValidationError

from sidestream_contracts.errors import ConfigurationError

FORMAT = 1
_MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class SavedTable:
    """One table in the archive: its rows as text of COPY, `size` bytes of it before compression."""

    name: str
    columns: tuple[str, ...]
    rows: int
    size: int
    sha256: str
    weeks: tuple[datetime, ...] = ()

    @property
    def member(self) -> str:
        """Where in the archive."""
        return f"tables/{self.name}.copy.zst"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the archive holds and where it is from. `migrations` is the schema, all of it."""

    hub: str
    hub_version: int
    made_at: datetime
    product: str
    server: str
    profile: str
    migrations: tuple[str, ...]
    tables: tuple[SavedTable, ...]
    sequences: dict[str, int]
    left_out: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)


_manifests = TypeAdapter(Manifest)


class Writer:
    """Writes tables one after the other, then the manifest; whoever leaves before that leaves an archive that is none."""

    def __init__(self, file: IO[bytes]) -> None:
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def add(
        self, name: str, columns: tuple[str, ...], weeks: tuple[datetime, ...], parts: Iterable[bytes]
    ) -> SavedTable:
        """Writes one table; a part is any number of whole rows."""
        digest, rows, size = hashlib.sha256(), 0, 0
        with (
            self._zip.open(f"tables/{name}.copy.zst", "w", force_zip64=True) as member,
            pa.CompressedOutputStream(member, "zstd") as packed,
        ):
            for part in parts:
                digest.update(part)
                rows += part.count(b"\n")  # COPY writes a newline inside a value as \n
                size += len(part)
                packed.write(part)
        return SavedTable(name, columns, rows, size, digest.hexdigest(), weeks)

    def finish(self, manifest: Manifest) -> None:
        """The archive is whole."""
        self._zip.writestr(_MANIFEST, _manifests.dump_json(manifest, indent=1))


class Reader:
    """An archive whose manifest could be read; use `verify` before believing the rest."""

    def __init__(self, path: Path, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self.path, self._zip, self.manifest = path, archive, manifest

    def parts(self, table: SavedTable) -> Iterator[bytes]:
        """The table's text in parts, checked to the last byte; ConfigurationError that names the table if it is damaged."""
        digest = hashlib.sha256()
        try:
            with self._zip.open(table.member) as member, pa.CompressedInputStream(member, "zstd") as packed:
                while part := packed.read(_CHUNK_BYTES):
                    digest.update(part)
                    yield part
        except (OSError, KeyError, zipfile.BadZipFile, zlib.error, pa.ArrowException) as error:
            raise self._damaged(table, str(error).partition("\n")[0]) from error
        if digest.hexdigest() != table.sha256:
            raise self._damaged(table, "its SHA-256 is another than the manifest says")

    def verify(self, table: SavedTable) -> None:
        """The table is as it was written; ConfigurationError that names it if not."""
        for _ in self.parts(table):
            pass

    def _damaged(self, table: SavedTable, why: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path}: the table {table.name!r} in it is damaged ({why}); take another backup. Nothing was restored."
        )


@contextmanager
def opened(path: Path) -> Iterator[Reader]:
    """The archive at `path`; ConfigurationError when it is no backup, was cut short, or is of a later format."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield Reader(path, archive, _manifest(path, archive))
    except FileNotFoundError as error:
        raise ConfigurationError(f"{path} is not there.") from error
    except zipfile.BadZipFile as error:
        raise ConfigurationError(f"{path} is no backup of Sidestream, or was cut short ({error}).") from error


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = _manifests.validate_json(archive.read(_MANIFEST))
    except KeyError as error:
        raise ConfigurationError(f"{path} is no backup of Sidestream: it has no {_MANIFEST}.") from error
    except ValidationError as error:
        raise ConfigurationError(f"{path}: its manifest can't be understood: {error.errors()[0]['msg']}.") from error
    if manifest.format != FORMAT:
        raise ConfigurationError(
            f"{path} has format {manifest.format}, this version of Sidestream knows {FORMAT}; use the version that made "
            f"it ({manifest.product}) or a later one."
        )
    return manifest


def manifest_facts(manifest: Manifest) -> dict[str, object]:
    """What to tell of an archive, for `--json`."""
    facts = asdict(manifest)
    facts["made_at"] = manifest.made_at.isoformat()
    facts["tables"] = {table.name: {"rows": table.rows, "bytes": table.size} for table in manifest.tables}
    return {**facts, "rows": manifest.rows}
