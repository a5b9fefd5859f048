"""Every driver's folder has a sample that loads and builds, and a README with a quality table; bad sources are refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from edge_rig import edge_file

import sidestream_edge.drivers
from sidestream_contracts.edge import load_edge
from sidestream_contracts.edge_lines import ScannerDriver
from sidestream_contracts.errors import ConfigurationError
from sidestream_edge.drivers import build

FOLDER = Path(sidestream_edge.drivers.__file__).parent


@pytest.mark.parametrize("driver", sorted(p.parent.name for p in FOLDER.glob("*/driver.py")))
def test_the_sample_loads_and_builds_without_network_or_file(driver: str, tmp_path: Path) -> None:
    edges = [load_edge(sample) for sample in FOLDER.glob(f"{driver}/sample*.yaml")]
    built = [build(config, tmp_path, edge) for edge in edges for config in edge.drivers]
    assert {one.type for one in built} == {driver}
    assert all(one.patience_s >= 10 for one in built)
    readme = (FOLDER / driver / "README.md").read_text()
    assert all(f"| {row}" in readme for row in ("reconnect", "bad value", "units", "docs, sample, cases", "simulator"))


@pytest.mark.parametrize("source", ["tcp://nohost", "udp://a:1", "tcp://a:99999", "tcp://:5"])
def test_an_impossible_scanner_source_is_a_configuration_error(source: str, tmp_path: Path) -> None:
    config = ScannerDriver(id="gate", type="scanner", source=source, sensor="s")
    with pytest.raises(ConfigurationError, match="tcp://host:port"):
        build(config, tmp_path, edge_file(1, config.model_dump()))
