"""Promises of the script format: what is wrong with a script is said with file, line and field."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from agents.llm.script import DEFAULT_SCRIPT, Script, ScriptInvalid, ScriptUnreadable

VALID = """
- match: '(?i)wait (?P<ms>[0-9]+)'
  turns:
    - first_token_ms: 1.5
      per_call_ms: 2
      calls:
        - tool: wait
          arguments: {ms: "{ms:int}", nested: [{deep: "{prompt}"}]}
    - answer: "{results[0]}"
"""


def problems(text: str) -> list[str]:
    """Return the lines of the error that `text` makes."""
    with pytest.raises(ScriptInvalid) as raised:
        Script.parse(text)
    return str(raised.value).splitlines()


def test_a_script_is_read() -> None:
    """Entries, turns, calls and delays are what the file says."""
    [entry] = Script.parse(VALID).entries
    first, second = entry.turns
    assert (first.first_token_ms, first.per_call_ms) == (1.5, 2)
    assert first.calls[0].arguments == {"ms": "{ms:int}", "nested": [{"deep": "{prompt}"}]}
    assert second.answer == "{results[0]}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "script.yaml:1: a script is a list of entries, each with match and turns"),
        ("[]", "script.yaml:1: a script is a list of entries, each with match and turns"),
        ("match: x", "script.yaml:1: a script is a list of entries, each with match and turns"),
        ("- text", "script.yaml:1: must be a mapping of fields"),
        ("- match: x", "script.yaml:1: turns: is missing"),
        ("- match: x\n  turns: []", "script.yaml:2: turns: must have at least one turn"),
        ("- match: x\n  turns: yes", "script.yaml:2: turns: must be a list"),
        ("\n- match: 5\n  turns:\n  - answer: a", "script.yaml:2: match: Input should be a valid string"),
        ("- match: '('\n  turns:\n  - answer: a", "script.yaml:1: match: not a regular expression: missing )"),
        ("- match: '(?P<prompt>a)'\n  turns:\n  - answer: a", "script.yaml:1: match: a group cannot be named prompt"),
        ("- match: x\n  turns:\n  - {}", "script.yaml:3: turns[0]: a turn has either calls (one or more) or an answer"),
        ("- match: x\n  turns:\n  - answer: a\n    calls: [{tool: t}]", "script.yaml:3: turns[0]: a turn has either"),
        ("- match: x\n  turns:\n  - calls: []", "script.yaml:3: turns[0]: a turn has either calls"),
        ("- match: x\n  turns:\n  - answer: a\n    delay: 5", "script.yaml:4: turns[0].delay: there is no such field"),
        ("- match: x\n  turns:\n  - answer: a\n    first_token_ms: -1", "script.yaml:4: turns[0].first_token_ms: "),
        ("- match: x\n  turns:\n  - answer: a\n    first_token_ms: '1'", "script.yaml:4: turns[0].first_token_ms: "),
        ("- match: x\n  turns:\n  - answer: a\n    per_call_ms: 600001", "script.yaml:4: turns[0].per_call_ms: "),
        ("- match: x\n  turns:\n  - answer: a\n    per_call_ms: true", "script.yaml:4: turns[0].per_call_ms: "),
        (
            "- match: x\n  turns:\n  - calls:\n    - tool: t\n    - tool: no good",
            "script.yaml:5: turns[0].calls[1].tool: String should match pattern",
        ),
        (
            "- match: x\n  turns:\n  - calls:\n    - tool: t\n      arguments: [1]",
            "script.yaml:5: turns[0].calls[0].arguments: must be a mapping of fields",
        ),
        (
            "- match: x\n  turns:\n  - calls:\n    - tool: t\n      arguments:\n        a:\n        - '{b}'",
            "script.yaml:7: turns[0].calls[0].arguments.a[0]: {b}: there is no such name; known are prompt, results",
        ),
        (
            "- match: x\n  turns:\n  - answer: '{results[0]}'",
            "script.yaml:3: turns[0].answer: {results[0]}: the turn before makes no calls",
        ),
        (
            "- match: x\n  turns:\n  - calls: [{tool: t}]\n  - answer: '{results[1]}'",
            "script.yaml:4: turns[1].answer: {results[1]}: the turn before makes 1 call(s), counted from 0",
        ),
        (
            "- match: x\n  turns:\n  - calls: [{tool: t}]\n  - answer: '{results[x]}'",
            "script.yaml:4: turns[1].answer: {results[x]}: the results of the previous turn are numbered",
        ),
        (
            "- match: x\n  turns:\n  - answer: '{prompt[0]}'",
            "script.yaml:3: turns[0].answer: {prompt[0]}: prompt is text",
        ),
        ("- match: x\n  turns:\n  - answer: '{prompt.upper}'", "script.yaml:3: turns[0].answer: {prompt.upper} is not"),
        ("- match: x\n  turns:\n  - answer: 'oh {'", "script.yaml:3: turns[0].answer: "),
        ("- match: x\n  turns:\n  - answer: a\n  match: y", "script.yaml:4: the key 'match' occurs twice"),
        ("- match: x\n  turns:\n\t- answer: a", "script.yaml:3: not YAML: found character"),
        ("- match: [x", "script.yaml:1: not YAML: expected ',' or ']'"),
        ("--- a\n--- b", "script.yaml:2: not YAML: but found another document"),
        ("- match: \x01", "script.yaml:1: not YAML: "),
        ("- *nothing", "script.yaml:1: not YAML: found undefined alias"),
        ("- 1: x", "script.yaml:1: a key must be text"),
        ("- [a]: x", "script.yaml:1: a key must be text"),
        ("- !!python/object:os.system {}", "script.yaml:1: the tag 'tag:yaml.org,2002:python/object:os.system'"),
        ("- !!set {a, b}", "script.yaml:1: the tag 'tag:yaml.org,2002:set' is not JSON"),
        ("- !!binary aGk=", "script.yaml:1: the tag 'tag:yaml.org,2002:binary' is not JSON"),
        ("- !!float .nan", "script.yaml:1: '.nan' is not a JSON float"),
        ("- 1e999", "script.yaml:1: '1e999' is not a JSON float"),
        ("- !!int x", "script.yaml:1: 'x' is not a JSON int"),
        ("- 9223372036854775808", "script.yaml:1: '9223372036854775808' is not a JSON int"),
        ("- &a [*a]", "script.yaml:1: nested deeper than 64 levels"),
        ("[" * 5_000, "script.yaml:1: nested deeper than 64 levels"),
        ("[" * 100 + "]" * 100, "script.yaml:1: nested deeper than 64 levels"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_field(text: str, problem: str) -> None:
    """The first problem listed is the one made."""
    assert problems(text)[0].startswith(problem)


def test_all_mistakes_are_listed_at_once() -> None:
    """Up to twenty; then their number."""
    entry = "- match: x\n  turns:\n  - answer: a\n    oops: 1\n"
    assert problems(entry * 3) == [f"script.yaml:{line}: turns[0].oops: there is no such field" for line in (4, 8, 12)]
    assert problems(entry * 25)[-1] == "script.yaml: and 5 more"


def test_values_are_read_as_yaml_1_2() -> None:
    """Times, dates, `on` and numbers with leading zeros are text; the famous surprises of YAML 1.1 are not here."""
    text = "- match: x\n  turns:\n  - calls:\n    - tool: t\n      arguments: {a: 12:30, b: 2026-11-23, c: on, d: 010, "
    text += "e: 1_000, f: 0x1F, g: no, h: 1.5, i: -3, j: true, k: null, l: ~, m: 1e3, n: =, o: <<}"
    arguments = Script.parse(text).entries[0].turns[0].calls[0].arguments
    texts = {"a": "12:30", "b": "2026-11-23", "c": "on", "d": "010", "e": "1_000", "f": "0x1F", "g": "no"}
    others = {"h": 1.5, "i": -3, "j": True, "k": None, "l": None, "m": 1000.0, "n": "=", "o": "<<"}
    assert arguments == texts | others
    assert type(arguments["j"]) is bool


def test_aliases_are_allowed_and_counted() -> None:
    """A shared turn is written once; a billion laughs are not had."""
    shared = "- match: a\n  turns: &turns\n  - answer: same\n- match: b\n  turns: *turns\n"
    assert [entry.turns[0].answer for entry in Script.parse(shared).entries] == ["same", "same"]
    bomb = "- &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    bomb += "".join(f"- &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10))
    start = time.process_time()
    assert re.match(r"script\.yaml:\d+: more than 100,000 values, aliases included", problems(bomb)[0])
    assert time.process_time() - start < 5


def test_size_is_bounded(tmp_path: Path) -> None:
    """One mebibyte of text, whether it is given or in a file."""
    large = "#" * 1_048_577
    assert problems(large) == ["script.yaml:1: the file is larger than 1,048,576 bytes: split it"]
    (tmp_path / "large.yaml").write_text(large)
    with pytest.raises(ScriptUnreadable, match=r"larger than 1,048,576 bytes"):
        Script.load(tmp_path / "large.yaml")
    with pytest.raises(ScriptUnreadable, match="larger"):
        Script.load(Path("/dev/zero"))


def test_a_file_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the file, the reason and the setting."""
    with pytest.raises(ScriptUnreadable, match=r"none\.yaml: No such file.*ORCHESTRATOR_SCRIPT"):
        Script.load(tmp_path / "none.yaml")
    with pytest.raises(ScriptUnreadable, match="Is a directory"):
        Script.load(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"- match: \xe9")
    with pytest.raises(ScriptUnreadable, match="not UTF-8 at byte 9"):
        Script.load(tmp_path / "latin.yaml")
    (tmp_path / "bad.yaml").write_text("- match: x")
    with pytest.raises(ScriptInvalid, match=r"^bad\.yaml:1: turns: is missing$"):
        Script.load(tmp_path / "bad.yaml")


def test_the_first_entry_that_matches_decides() -> None:
    """The expression is searched for anywhere, and case counts unless the script says otherwise."""
    script = Script.parse(
        "".join(f"- match: '{m}'\n  turns: [{{answer: a}}]\n" for m in ("one", "(?i)two", "one|three"))
    )

    def found(prompt: str) -> int | None:
        result = script.find(prompt)
        return None if result is None else script.entries.index(result[0])

    assert [found(prompt) for prompt in ("a one", "One", "TWO", "three two", "four")] == [0, None, 1, 1, None]


def test_the_built_in_script_is_quick_on_any_prompt() -> None:
    """No megabyte of text makes its expressions backtrack."""
    script = Script.load()
    assert script.file == DEFAULT_SCRIPT.name
    size = 1_048_576
    for piece in ("a", " ", "time in ", "wait 1 ", "what time is it in a and ", "1+", "\n", "what is 1, "):
        for prompt in (piece * (size // len(piece)), "calculate 1" + piece * (size // len(piece)) + "!"):
            start = time.process_time()
            assert script.find(prompt) is not None
            assert time.process_time() - start < 3, piece
