"""The tool `current_time`: the time of day in a time zone of the IANA database."""

from __future__ import annotations

import difflib
import functools
import zoneinfo
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, TypedDict

from pydantic import Field

from agents.tools.tool import ToolFailed, tool

_SUGGESTIONS = 5


class UnknownZone(ToolFailed):
    """Unknown time zone {zone!r}: {advice}."""


class LocalTime(TypedDict):
    """The time in one zone: `time` is ISO 8601 with offset, `utc_offset` is `+HH:MM`, `weekday` is English."""

    time: str
    zone: str
    utc_offset: str
    weekday: str


_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@tool
def current_time(
    zone: Annotated[
        str,
        Field(
            min_length=1,
            max_length=64,
            description="IANA time zone such as `Europe/Berlin`; a city is enough if only one zone is named after it.",
        ),
    ] = "UTC",
) -> LocalTime:
    """Tell the current date and time in a time zone."""
    name = resolve_zone(zone)
    return local_time(datetime.now(zoneinfo.ZoneInfo(name)), name)


def local_time(moment: datetime, zone: str) -> LocalTime:
    """Describe `moment`, which is aware and already in `zone`."""
    # Not strftime("%A"): that would follow the machine's locale.
    iso = moment.isoformat(timespec="seconds")
    return LocalTime(
        time=iso,
        zone=zone,
        utc_offset=f"{moment:%z}"[:3] + ":" + f"{moment:%z}"[3:5],
        weekday=_WEEKDAYS[moment.weekday()],
    )


def resolve_zone(zone: str) -> str:
    """Return the IANA name meant by `zone`, in any case and with spaces or underscores; else `UnknownZone`.

    A bare city is accepted when exactly one zone ends with it, so nothing is ever guessed.
    """
    wanted = zone.strip().replace(" ", "_").casefold()
    names = _names()
    found = names.get(wanted, ())
    if len(found) == 1:
        return found[0]
    if found:
        raise UnknownZone(zone=zone, advice=f"it could be {' or '.join(found)}")
    close = difflib.get_close_matches(wanted, names, n=_SUGGESTIONS, cutoff=0.6)
    suggestions = list(dict.fromkeys(name for key in close for name in names[key]))[:_SUGGESTIONS]
    advice = f"perhaps {' or '.join(suggestions)}" if suggestions else "use an IANA name such as Europe/Berlin"
    raise UnknownZone(zone=zone, advice=advice)


@functools.cache
def _names() -> Mapping[str, tuple[str, ...]]:
    """Return case-folded zone and city names -> the zones they stand for; cached, because it reads a folder."""
    zones = sorted(zoneinfo.available_timezones())
    cities: defaultdict[str, list[str]] = defaultdict(list)
    for zone in zones:
        # Only places: `Etc/Zulu` or `US/Eastern` are not cities, and old aliases would make real cities ambiguous.
        if zone.split("/", 1)[0] in _PLACES:
            cities[zone.rsplit("/", 1)[-1].casefold()].append(zone)
    full = {zone.casefold(): (zone,) for zone in zones}
    return {city: tuple(found) for city, found in cities.items()} | full


_PLACES = frozenset({
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
})  # fmt: skip
