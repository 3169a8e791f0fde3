"""Promises of the tool `current_time`."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.builtin.current_time import UnknownZone, current_time, local_time, resolve_zone
from tests.support.call_context import CONTEXT


async def test_it_tells_the_time_now() -> None:
    """In UTC unless told otherwise, to the second."""
    before = datetime.now(UTC).replace(microsecond=0)
    result = await current_time.run({}, CONTEXT)
    assert (result["zone"], result["utc_offset"]) == ("UTC", "+00:00")
    assert before <= datetime.fromisoformat(result["time"]) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("zone", "described"),
    [
        ("Asia/Tokyo", ("2026-11-23T08:30:00+09:00", "+09:00", "Monday")),
        ("America/St_Johns", ("2026-11-22T20:00:00-03:30", "-03:30", "Sunday")),
        ("UTC", ("2026-11-22T23:30:00+00:00", "+00:00", "Sunday")),
    ],
)
def test_offset_and_weekday_are_those_of_the_place(zone: str, described: tuple[str, str, str]) -> None:
    """The same moment is Monday in one place and Sunday in another."""
    moment = datetime(2026, 11, 22, 23, 30, tzinfo=UTC)
    time, offset, weekday = described
    expected = {"time": time, "zone": zone, "utc_offset": offset, "weekday": weekday}
    assert local_time(moment.astimezone(zoneinfo.ZoneInfo(zone)), zone) == expected


def test_daylight_saving_is_in_the_offset() -> None:
    """Berlin in July is two hours ahead."""
    berlin = zoneinfo.ZoneInfo("Europe/Berlin")
    july = datetime(2026, 7, 1, 12, tzinfo=berlin)
    assert local_time(july, "Europe/Berlin")["utc_offset"] == "+02:00"
    assert local_time(july + timedelta(days=180), "Europe/Berlin")["utc_offset"] == "+01:00"


@pytest.mark.parametrize(
    ("written", "zone"),
    [
        ("Europe/Berlin", "Europe/Berlin"),
        ("europe/berlin", "Europe/Berlin"),
        (" America/New York ", "America/New_York"),
        ("Tokyo", "Asia/Tokyo"),
        ("new york", "America/New_York"),
        ("utc", "UTC"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_a_zone_may_be_written_as_people_write_it(written: str, zone: str) -> None:
    """Any case, spaces, and a city that only one zone is named after."""
    assert resolve_zone(written) == zone


@pytest.mark.parametrize(
    ("written", "advice"),
    [
        ("Europe/Berln", "perhaps Europe/Berlin"),
        ("Tokio", "perhaps .*Asia/Tokyo"),
        ("Louisville", "could be America/Kentucky/Louisville or America/Louisville"),
        ("Atlantis", "Europe/|America/|Atlantic/|Asia/"),
        ("qqqqqqqq", "use an IANA name"),
        ("../../etc/passwd", "use an IANA name"),
        ("/etc/localtime", "IANA name|perhaps"),
    ],
)
async def test_an_unknown_zone_is_an_error_with_advice(written: str, advice: str) -> None:
    """It names close zones; nothing is guessed, and no path is followed."""
    with pytest.raises(UnknownZone, match=advice):
        await current_time.run({"zone": written}, CONTEXT)


@given(st.text(max_size=64))
def test_any_text_is_a_zone_or_a_clear_error(text: str) -> None:
    """Hostile or not."""
    try:
        assert resolve_zone(text) in zoneinfo.available_timezones()
    except UnknownZone as error:
        assert len(str(error)) < 600  # noqa: PT017 - both ways out are fine


def test_every_zone_can_be_asked_for() -> None:
    """Each name of the database means itself."""
    assert all(resolve_zone(zone) == zone for zone in zoneinfo.available_timezones())
