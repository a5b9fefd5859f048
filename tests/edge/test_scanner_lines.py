"""Lines become codes however the bytes are cut; what is no code is named and harms no neighbour."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidestream_edge.drivers.lines import MAX_LINE_BYTES, Fault, LineSplitter

CODES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00"), min_size=1, max_size=512)


@given(st.lists(CODES, max_size=8), st.sampled_from(["\n", "\r", "\r\n"]), st.data())
def test_codes_survive_any_cut_and_any_line_end(codes: list[str], end: str, data: st.DataObject) -> None:
    stream = "".join(code + end for code in codes).encode()
    splitter, found = LineSplitter(), []
    while stream:
        n = data.draw(st.integers(1, len(stream)))
        found += splitter.feed(stream[:n])
        stream = stream[n:]
    assert found == codes
    assert splitter.cut() is None


@given(st.lists(st.binary(max_size=3000), max_size=6))
def test_any_bytes_give_codes_or_faults_and_bounded_memory(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    for chunk in chunks:
        for item in splitter.feed(chunk):
            assert isinstance(item, Fault) or 0 < len(item) <= 512
        assert len(splitter._rest) <= MAX_LINE_BYTES
    assert list(splitter.feed(b"\n")) is not None
    assert list(splitter.feed(b"good\n")) == ["good"]


def test_what_is_no_code_is_named_and_neighbours_are_taken() -> None:
    splitter = LineSplitter()
    found = list(splitter.feed(b"one\n\xff\xfe\ntw\x00o\n" + b"x" * 600 + b"\n" + b"y" * 9000 + b"\nthree\n"))
    assert [item if isinstance(item, str) else item.counter for item in found] == [
        "one", "bad_lines", "bad_lines", "bad_lines", "bad_lines", "three",
    ]  # fmt: skip
    assert "0xff" in found[1].text or "\\xff" in found[1].text


def test_half_a_line_at_the_end_is_a_fault_and_not_a_code() -> None:
    splitter = LineSplitter()
    assert list(splitter.feed(b"whole\nhal")) == ["whole"]
    half = splitter.cut()
    assert half is not None
    assert half.counter == "half_lines"
    assert list(splitter.feed(b"next\n")) == ["next"]
