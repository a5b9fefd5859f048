"""What the README tells integrators holds: its publisher is taken by the hub, its table names every reason."""

from __future__ import annotations

import queue
import re
import subprocess
import sys
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from sidestream_contracts.frame import ReadingsFrame, parse_key, payload_hash
from sidestream_contracts.reasons import REASONS, as_markdown
from sidestream_contracts.topics import hub_filter, parse_topic

ROOT = Path(__file__).parents[2]
README = (ROOT / "contracts" / "README.md").read_text(encoding="utf-8")
SOURCES = [
    ROOT / "contracts" / "sidestream_contracts",
    ROOT / "ingest" / "sidestream_ingest",
    ROOT / "store" / "sidestream_store",
]
_REASON = re.compile(r'(?:ContractError|quarantined)\(\s*"([a-z_0-9]+)"')
_CHOSEN = re.compile(r'"(time_[a-z_]+)"')


def test_every_reason_in_the_code_is_in_the_table_and_every_one_in_the_table_is_in_the_code():
    code = "\n".join(path.read_text(encoding="utf-8") for folder in SOURCES for path in folder.glob("*.py"))
    table = README.partition("## Quarantine")[2].partition("## Files")[0]
    told = {
        reason
        for row in re.findall(r"^\| (`.+?) \|", table, flags=re.MULTILINE)
        for reason in re.findall(r"`(\w+)`", row)
    }
    times = {"time_future", "time_too_old", "time_impossible"}
    assert times <= set(_CHOSEN.findall(code))
    assert told == set(_REASON.findall(code)) | times
    assert told == set(REASONS)


def test_the_page_on_quarantine_has_the_table_of_reasons_as_the_code_has_it():
    page = (ROOT / "docs" / "quarantine.md").read_text(encoding="utf-8")
    assert as_markdown() in page, "write the table of docs/quarantine.md anew: python -m sidestream_contracts.reasons"


@pytest.mark.server
def test_the_publisher_of_the_readme_sends_a_frame_of_the_contract(broker):
    _, port = broker
    arrived: queue.Queue[mqtt.MQTTMessage] = queue.Queue()
    listening: queue.Queue[bool] = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
    client.on_message = lambda _client, _data, message: arrived.put(message)
    client.on_subscribe = lambda *_: listening.put(True)
    client.connect("127.0.0.1", port)
    client.subscribe(hub_filter("minimal", "readings"), qos=1)
    client.loop_start()
    try:
        listening.get(timeout=10)
        script = re.search(r"```python\n(.*?)```", README, flags=re.DOTALL)
        assert script
        subprocess.run([sys.executable, "-c", script[1].replace("1883", str(port))], check=True, timeout=30)
        message = arrived.get(timeout=10)
    finally:
        client.disconnect()
        client.loop_stop()
    assert parse_topic(message.topic)[0].device == "my-meter"
    assert parse_key(message.properties.UserProperty).hash == payload_hash(message.payload)
    assert ReadingsFrame.model_validate_json(message.payload).val == [12.5]
