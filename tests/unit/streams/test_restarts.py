"""Promises of the pauses before restarts."""

from __future__ import annotations

from streams.restarts import HEALTHY_SECONDS, RESTART_SECONDS, RestartPauses


class Clock:
    """A clock that is set."""

    now = 0.0

    def __call__(self) -> float:
        """Return the seconds."""
        return self.now


def test_pauses_grow_while_it_keeps_dying() -> None:
    """Up to the last one, whether it came up in between or not."""
    pauses = RestartPauses(Clock())
    given = [pauses.next(), pauses.next()]
    pauses.up()
    given += [pauses.next(), pauses.next()]
    assert given == [*RESTART_SECONDS, RESTART_SECONDS[-1]]


def test_a_healthy_minute_makes_the_next_death_the_first_one() -> None:
    """What dies once a day is started again at once."""
    clock = Clock()
    pauses = RestartPauses(clock)
    for _ in range(5):
        pauses.next()
    pauses.up()
    clock.now += HEALTHY_SECONDS
    assert pauses.next() == RESTART_SECONDS[0]
    clock.now += HEALTHY_SECONDS
    assert pauses.next() == RESTART_SECONDS[1], "it was down all the time"
