"""`sidestream edge drivers`."""

from __future__ import annotations

import inspect
from dataclasses import asdict, dataclass

from sidestream_app.commands.answer import print_json
from sidestream_app.commands.options import AsJson
from sidestream_contracts.edge import BUILT_IN
from sidestream_contracts.edge_plugins import installed, load_plugin
from sidestream_contracts.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class _Found:
    """One type of driver on this machine; `trouble` says why it can't be used."""

    type: str
    comes_from: str
    about: str
    trouble: str | None = None


def drivers(*, as_json: AsJson = False) -> int:
    """Which types of drivers `edge.yaml` may name on this machine: those of Sidestream and those that other packages bring.

    Exit code 1 when a package brings a driver that can't be used, 0 else.
    """
    found = [_Found(kind, "sidestream", _first_sentence(model)) for kind, model in BUILT_IN.items()]
    found += [_plugged(kind) for kind in sorted(installed())]
    if as_json:
        print_json({"drivers": [asdict(one) for one in found]})
    else:
        width = max(len(one.type) for one in found)
        for one in found:
            whose = "" if one.comes_from == "sidestream" else f"  [{one.comes_from}]"
            print(f"{one.type:<{width}}  {one.about}{whose}")
            if one.trouble:
                print(f"{'':<{width}}  can't be used: {one.trouble}")
    return int(any(one.trouble for one in found))


def _plugged(kind: str) -> _Found:
    point = installed()[kind]
    package = f"{point.dist.name} {point.dist.version}" if point.dist else point.module
    if kind in BUILT_IN:
        return _Found(
            kind, package, "", f"Sidestream has a driver {kind!r} of its own, which is taken; rename this one"
        )
    try:
        return _Found(kind, package, load_plugin(kind).about)
    except ConfigurationError as error:
        return _Found(kind, package, "", str(error))


def _first_sentence(model: type) -> str:
    return inspect.cleandoc(model.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " ")
