"""`sidestream replay`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sidestream_app.commands.options import AsJson


def replay(
    *files: Path,
    tags: Annotated[
        Path | None, Parameter(help="Map of tags to places for RFID reads; else the one beside them.")
    ] = None,
    meter_position: Annotated[
        Literal["supply", "return"] | None, Parameter(help="Leg in which the heat meter's flow part sits.")
    ] = None,
    home: Annotated[Path, Parameter(name="--dir", help="Where data and logs lie; one folder for each file.")] = Path(
        ".sidestream/replay"
    ),
    as_json: AsJson = False,
) -> int:
    """Take recorded files through the whole chain, with their own timestamps (clock `recorded`).

    A file is recognised by its header: hourly records of a district-heating meter, or RFID reads of a portal. Tells what
    was sent, committed, lost and doubled; for a heat meter the energy that the twin computes beside the meter's own
    register; for RFID how many tags have no known place. Afterwards `sidestream where TAG --dir …` answers for one tag.

    Parameters
    ----------
    files
        CSV files, each of a kind that is known.
    """
    from sidestream_app.demo import replay as chain
    from sidestream_contracts.errors import ConfigurationError
    from sidestream_simulators.recordings import recognise

    if not files:
        raise ConfigurationError("Name at least one CSV file to replay.")
    recordings = [recognise(path) for path in files]
    if tags:
        recordings = [
            recognise(f, tags) if r.name == "rfid-portal" else r for f, r in zip(files, recordings, strict=True)
        ]
    env: dict[str, str] = {"SIDESTREAM_METER_POSITION": meter_position} if meter_position else {}
    results = [chain.replay(r, home / r.name, env, chain.say) for r in recordings]
    if as_json:
        print(json.dumps({"replays": results}, ensure_ascii=False))
    else:
        for result in results:
            print("\n".join(_lines(result)))
    return 1 if any(r["lost"] or r["doubled"] for r in results) else 0


def _lines(result: dict[str, Any]) -> list[str]:
    lines = [
        (
            f"{result['recording']}: sent {result['sent']}, committed {result['committed']}, "
            f"quarantined {result['quarantined']}, lost {result['lost']}, doubled {result['doubled']}"
        )
    ]
    lines += [
        f"  stream {h['stream']}: {h['computed_mwh']} MWh computed from volume and temperatures, {h['register_mwh']} MWh by the "
        f"meter's own register, difference {h['difference_pct']:+} %"
        for h in result.get("heat", ())
    ]
    if tags := result.get("tags"):
        lines.append(
            f"  {tags['scans']} reads of {tags['tags']} tags; place unknown for {tags['tags_without_place']} tags "
            f"({tags['scans_without_place']} reads)"
        )
        lines.append(f"  ask for one: sidestream where TAG --dir {result['dir']}")
    return lines
