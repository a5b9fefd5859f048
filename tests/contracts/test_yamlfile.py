"""Each mistake in a file is told with its line, the wrong value and a way out; no file whatever gives a traceback."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from sidestream_contracts import yamlfile
from sidestream_contracts.edge import EdgeFile, check_edge
from sidestream_contracts.errors import ConfigurationError
from sidestream_contracts.hub import HubFile
from sidestream_contracts.part import FilePart
from sidestream_contracts.yamlfile import Problem


class Part(FilePart):
    name: str = "?"
    count: int = Field(default=1, ge=1, le=9)


class Sample(FilePart):
    word: str = ""
    number: float = 0.0
    flag: bool = False
    parts: list[Part] = Field(default=[])
    named: dict[str, str] = Field(default={})


def load(tmp_path: Path, text: str | bytes, env: dict[str, str] | None = None) -> Sample:
    path = tmp_path / "sample.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return yamlfile.load(path, Sample, env=env or {})


def complaint(tmp_path: Path, text: str | bytes, env: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, env)
    return str(caught.value).replace(f"{tmp_path}/", "")


def test_no_stays_a_word(tmp_path):
    assert load(tmp_path, "word: no").word == "no"
    assert load(tmp_path, "word: on").word == "on"


def test_a_date_and_a_code_with_leading_zeros_in_quotes_stay_text(tmp_path):
    assert load(tmp_path, "word: 2026-01-31").word == "2026-01-31"
    assert load(tmp_path, "word: '0010'").word == "0010"


@pytest.mark.parametrize(
    "text", ["number: 0x10", "number: 1_6", "number: 16.0", "number: 1.6e1", "number: '16'", "number: 0o20"]
)
def test_numbers_are_read_as_yaml_writes_them(tmp_path, text):
    assert load(tmp_path, text).number == 16.0


def test_windows_line_endings_and_a_byte_order_mark_are_read(tmp_path):
    assert load(tmp_path, b"\xef\xbb\xbfword: a\r\nnumber: 2\r\n") == Sample(word="a", number=2)
    assert complaint(tmp_path, "word: a\r\nnumbr: 2\r\n").startswith("sample.yaml:2: numbr: unknown key")


def test_an_anchor_is_written_out_and_a_merge_key_brings_in_what_is_not_said_here(tmp_path):
    text = "parts:\n  - &first {name: a, count: 2}\n  - *first\n  - {<<: *first, name: b}\n"
    assert load(tmp_path, text).parts == [Part(name="a", count=2), Part(name="a", count=2), Part(name="b", count=2)]


def test_an_anchor_that_is_named_twice_is_refused_with_both_lines(tmp_path):
    """YAML lets it pass; whoever reads the file can't see which of the two an alias means."""
    said = complaint(tmp_path, "word: &one a\nnumber: &one 2\n")
    assert said.startswith("sample.yaml:2: the anchor &one is taken already (line 1)")


def test_a_variable_comes_from_the_environment_or_its_default(tmp_path):
    text = "word: tcp://${HOST}:${PORT:-1883}/\nnumber: ${N:-3}\nflag: ${F:-true}\n"
    assert load(tmp_path, text, {"HOST": "hub"}) == Sample(word="tcp://hub:1883/", number=3, flag=True)


def test_what_a_variable_brings_is_not_searched_for_variables(tmp_path):
    assert load(tmp_path, "word: ${PASSWORD}", {"PASSWORD": "a${b}"}).word == "a${b}"


CASES = {
    "empty": ("", "sample.yaml:1: is empty"),
    "only a comment": ("# nothing\n", "sample.yaml:1: is empty"),
    "a word": ("hello", "sample.yaml:1: must be a mapping, `key: value` on each line, and is a single word"),
    "a list": ("\n- a\n", "sample.yaml:2: must be a mapping, `key: value` on each line, and is a list"),
    "a tab": ("word: a\n\tnumber: 1\n", "sample.yaml:2: is not YAML"),
    "a tab's way out": ("word: a\n\tnumber: 1\n", "indent with spaces, not with tabs"),
    "an open bracket": ("parts: [\nword: a\n", "sample.yaml:3: is not YAML: expected ',' or ']'"),
    "a second colon": ("word: a: b", "put a text that holds `: ` in quotes"),
    "two documents": ("word: a\n---\nword: b\n", "sample.yaml:2: is not YAML"),
    "a null byte": ("word: a\x00", "sample.yaml:1: is not YAML"),
    "not UTF-8": (b"word: \xff", "sample.yaml: is not UTF-8 (byte 6)"),
    "a key twice": ("word: a\nnumber: 1\nword: b\n", "sample.yaml:3: word: the key stands twice, first on line 1"),
    "a nested key twice": (
        "parts:\n  - name: a\n    name: b\n",
        "sample.yaml:3: parts.0.name: the key stands twice, first on line 2",
    ),
    "a list as a key": ("? [a, b]\n: 1", "a key must be a word"),
    "a tag": ("word: !secret x", "sample.yaml:1: word: the YAML tag '!secret' means nothing here"),
    "a Python tag": ("word: !!python/object/apply:os.system [x]", "the YAML tag '!!python/object/apply:os.system'"),
    "a tag that lies": ("number: !!int x", "sample.yaml:1: number: 'x' can't be read as int"),
    "an alias in itself": ("parts: &all [*all]", "parts.0: the alias stands inside what it names"),
    "an alias of nothing": ("word: *nothing", "sample.yaml:1: is not YAML: found undefined alias"),
    "a merge of a word": ("<<: x\nword: a", "`<<` takes a mapping"),
    "deep nesting": ("parts: " + "[" * 5000, "sample.yaml:1: is nested deeper than 50 levels"),
    "a giant number": ("number: 0x" + "f" * 9000, "can't be read as int"),
    "an unset variable": ("word: a\nnumber: ${N}", "sample.yaml:2: number: the environment has no N; set it, or write ${N:-default}"),
    "an unclosed variable": ("word: ${HOST", "word: '${HOST': write ${NAME} or ${NAME:-default}"),
    "an unknown key": ("word: a\nflagg: true", "sample.yaml:2: flagg: unknown key, did you mean 'flag'?; allowed here: flag, named,"),
    "a number as a word": ("word: 5", "sample.yaml:1: word: must be a text, and is 5; put it in quotes: '5'"),
    "a truth as a word": ("word: true", "word: must be a text, and is true; put it in quotes: 'true'"),
    "a word as a number": ("number: many", "sample.yaml:1: number: must be a number, and is 'many'"),
    "a decimal comma": ("number: 1,5", "number: must be a number, and is '1,5'; write the decimals after a point: 1.5"),
    "a truth as a number": ("number: true", "sample.yaml:1: number: must be a number, and is true"),
    "not a number": ("number: .nan", "number: must be a finite number, and is nan"),
    "infinity": ("number: -.inf", "number: must be a finite number, and is -inf"),
    "nothing": ("word:\n", "sample.yaml:1: word: must be a text, and is empty"),
    "a word as a truth": ("flag: perhaps", "flag: must be true or false, and is 'perhaps'"),
    "a mapping for a list": ("parts: {name: a}", "parts: must be a list, `- ` before each item, and is a mapping"),
    "a list for a mapping": ("named: [a]", "named: must be a mapping, `key: value` on each line, and is a list"),
    "a word for a mapping": ("parts:\n  - a", "sample.yaml:2: parts.0: must be a mapping, `key: value` on each line, and is 'a'"),
    "too small": ("parts:\n  - name: a\n    count: 0", "sample.yaml:3: parts.0.count: 0 is out of range; it must be at least 1"),
    "too large": ("parts: [{count: 10}]", "parts.0.count: 10 is out of range; it must be at most 9"),
    "half": ("parts: [{count: 1.5}]", "parts.0.count: must be a whole number, and is 1.5"),
    "a long text": ("number: " + "x" * 500, "'" + "x" * 60 + "…'"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_mistake_is_told_with_its_line_its_value_and_a_way_out(tmp_path, case):
    text, expected = CASES[case]
    said = complaint(tmp_path, text)
    assert expected in said
    assert "pydantic" not in said
    assert "Input should" not in said


def test_every_mistake_is_told_at_once_in_the_order_of_the_file(tmp_path):
    said = complaint(tmp_path, "flag: x\nnumber: y\nword: [z]\n").splitlines()
    assert [line.split(": ")[0] for line in said] == ["sample.yaml:1", "sample.yaml:2", "sample.yaml:3"]


def test_the_secret_that_a_variable_brings_is_not_asked_for_when_it_is_there(tmp_path):
    assert "hush" not in complaint(tmp_path, "word: ${PASSWORD}\nflagg: 1", {"PASSWORD": "hush"})


def test_aliases_that_multiply_are_stopped(tmp_path):
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    assert "are aliases (`*name`) nested?" in complaint(tmp_path, bomb)


def test_a_file_that_is_not_there_and_a_folder_are_told(tmp_path):
    for path in (tmp_path / "nowhere.yaml", tmp_path):
        with pytest.raises(ConfigurationError, match="can't be read"):
            yamlfile.load(path, Sample)


def test_a_further_problem_takes_the_line_of_its_place_or_of_the_nearest_parent(tmp_path):
    path = tmp_path / "sample.yaml"
    path.write_text("word: a\nparts:\n  - name: a\n  - name: b\n")
    places = [("parts", 1, "name"), ("parts", 1, "count"), ("parts",), ("nowhere", 3)]
    with pytest.raises(ConfigurationError) as caught:
        yamlfile.load(path, Sample, lambda _: [Problem(place, str(n)) for n, place in enumerate(places)], {})
    assert [line.rsplit(":", 2)[1:] for line in str(caught.value).splitlines()] == [
        ["1", " 3"],
        ["2", " 2"],
        ["4", " 0"],
        ["4", " 1"],
    ]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
KEYS = st.sampled_from([*HubFile.model_fields, *EdgeFile.model_fields, "id", "type", "host", "stream", "range"])
PLAIN = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)
YAMLISH = st.lists(
    st.sampled_from(
        ["version: 1", "hub", ": ", "\n", "  ", "- ", "[", "]", "{", "}", "&a ", "*a", "!!int ", "!x ", "<<: ", "? ", "|\n", "%YAML 1.1\n",
         "---\n", "'", '"', "\\x", "\\UFFFFFFFF", "#", "\t", "${A}", "${", ".inf", "1e400", "2020-99-99", "drivers", "type: modbus", "~", "\r\n"]
    ),
    max_size=25,
).map("".join)  # fmt: skip


def load_anything(model: type[HubFile | EdgeFile], text: str) -> bool:
    """Whether the file loads or is complained of with its name on each line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.yaml"
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            yamlfile.load(path, model, check_edge if model is EdgeFile else lambda _: (), env={})
        except ConfigurationError as error:
            return all(line.startswith(str(path)) for line in str(error).split("\n"))
    return True


@given(st.sampled_from([HubFile, EdgeFile]), YAMLISH | st.text(max_size=60))
def test_no_text_raises_anything_but_a_configuration_error(model, text):
    assert load_anything(model, text)


@given(st.sampled_from([HubFile, EdgeFile]), st.dictionaries(KEYS, PLAIN, max_size=6))
def test_no_document_raises_anything_but_a_configuration_error(model, document):
    assert load_anything(model, json.dumps(document))
