""".env.example: every variable that is read, with what it means and its default."""

from __future__ import annotations

import re
from pathlib import Path

from streams.settings import FILE_SUFFIX, SECRETS, Settings, load_settings

TEXT = (Path(__file__).parents[2] / ".env.example").read_text(encoding="utf-8")
LINES = TEXT.splitlines()
ENTRY = re.compile(r"^#(?P<name>[A-Z][A-Z0-9_]+)=(?P<default>.*)$")
ENTRIES = {
    match["name"]: (number, match["default"]) for number, line in enumerate(LINES) if (match := ENTRY.match(line))
}


def test_it_lists_every_variable_that_is_read_and_no_other() -> None:
    """A variable that nobody reads is a promise that is not kept."""
    assert set(ENTRIES) == Settings.environment_names()
    assert len(ENTRIES) == sum(bool(ENTRY.match(line)) for line in LINES)


def test_it_changes_nothing_as_it_is() -> None:
    """All of it is commented out, so that a copy behaves as no file at all."""
    assert [line for line in LINES if line and not line.startswith("#")] == []


def test_every_variable_says_what_it_means() -> None:
    """In a comment right above it, or above the group it belongs to."""
    for name, (number, _) in ENTRIES.items():
        above = number - 1
        while ENTRY.match(LINES[above]):
            above -= 1
        assert LINES[above].startswith("# "), name


def test_the_defaults_it_states_are_the_defaults() -> None:
    """Uncommented, every line that states a value leaves the settings as they were."""
    stated = {name: default for name, (_, default) in ENTRIES.items()}
    assert load_settings(stated) == load_settings({})
    for name, default in stated.items():
        if not default:
            field = next((f for f in Settings.model_fields.values() if f.validation_alias == name), None)
            assert (field is None and name.removesuffix(FILE_SUFFIX) in SECRETS) or (
                field is not None and not field.default
            ), name
