"""docs/wire-contract.md: what it says of topics, fields and ids is what the schemas say."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import BaseModel

from schemas.events import CODECS
from schemas.failure import Failure
from schemas.ids import call_id
from schemas.plan import PlannedCall
from schemas.rows import TurnRow
from schemas.run import CallResult, Usage
from schemas.tool_call import ReplyTo
from schemas.topics import TopicSpec, load_topics
from schemas.turn import TurnRecord

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "wire-contract.md").read_text(encoding="utf-8")
OBJECTS: tuple[type[BaseModel], ...] = (Failure, ReplyTo, CallResult, PlannedCall, TurnRecord, TurnRow, Usage)
DOCUMENTED: dict[str, type[BaseModel]] = {
    **{name: event for codec in CODECS.values() for name, event in codec._by_type.items()},
    **{model.__name__: model for model in OBJECTS},
}
EVERYWHERE = {"type", "v"}
"""Fields that the page describes once, for all events."""

UNITS = {"hour": 3_600_000, "hours": 3_600_000, "days": 86_400_000}


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables in a text, headings left out."""
    table = [
        line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| field", "| topic"))
    ]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table]


def section(heading: str, level: str = "####") -> str:
    """Return the text under a heading, up to the next one."""
    found = re.search(rf"^{level} {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def described(name: str) -> dict[str, list[str]]:
    """Return the described fields of an event or object, with their cells."""
    return {cells[0].strip("`"): cells for cells in rows(section(f"`{name}`"))}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_every_field_is_described_and_no_other(name: str) -> None:
    """A program written after the page reads and writes what the schemas do."""
    common = EVERYWHERE if "type" in DOCUMENTED[name].model_fields else set()
    assert set(described(name)) == set(DOCUMENTED[name].model_fields) - common
    for field, cells in described(name).items():
        assert len(cells) == 4, field
        assert all(cells), field


@pytest.mark.parametrize("name", DOCUMENTED)
def test_required_fields_are_called_required(name: str) -> None:
    """And the others have their default."""
    for field, (_, _, default, _) in described(name).items():
        assert (default == "required") == DOCUMENTED[name].model_fields[field].is_required(), field
        assert (default == "null") == (
            DOCUMENTED[name].model_fields[field].get_default() is None and default != "required"
        )


def test_every_event_and_object_has_one_section() -> None:
    """None is left over of a schema that is gone."""
    headings = re.findall(r"^#### `([^`]+)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == sorted(DOCUMENTED)


def kept(spec: TopicSpec) -> str:
    """Say how long a topic keeps its records."""
    if spec.config["cleanup.policy"] == "compact":
        return "compacted"
    milliseconds = int(spec.config["retention.ms"])
    unit = "days" if milliseconds % UNITS["days"] == 0 else "hour" if milliseconds == UNITS["hour"] else "hours"
    return f"{milliseconds // UNITS[unit]} {unit}"


def test_the_table_of_topics_is_that_of_the_topics_file() -> None:
    """Key, values, writers, readers, retention and which are co-partitioned."""
    contract = load_topics()
    stated = {
        spec.name: [
            f"`{spec.name}`{' =' if spec.co_partitioned else ''}",
            spec.key,
            " ".join(f"`{type_}`" for type_ in spec.types) or "original bytes",
            ", ".join(spec.producers),
            ", ".join(spec.consumers),
            kept(spec),
        ]
        for spec in (*contract.topics, contract.template)
    }
    table = rows(section("Topics", "##"))
    assert {cells[0].strip("`= "): cells for cells in table} == stated
    reserved = section("Topics", "##").split("reserved")[0].splitlines()[-1]
    assert set(re.findall(r"`([a-z-]+)`", reserved)) <= {spec.name for spec in contract.topics if spec.reserved}


def test_the_example_of_a_call_id_is_right() -> None:
    """Whoever computes it as the page says gets what the page shows, and what the planner makes."""
    found = re.search(r'^(\["order-1734-summary".*\]) -> ([0-9a-f]{32})$', PAGE, re.MULTILINE)
    assert found
    assert sha256(found[1].encode()).hexdigest()[:32] == found[2]
    assert call_id("order-1734-summary", 1, "calculate", {"expression": "17*23"}, 0) == found[2]


@pytest.mark.parametrize("page", ["wire-contract.md", "failure-codes.md", "glossary.md"])
def test_links_lead_somewhere(page: str) -> None:
    """To a file of the project, or to a heading of the page."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    anchors = {
        re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        else:
            assert (ROOT / "docs" / target).exists(), target
