"""Promises of the membership: after a standstill nothing is begun before the group has answered."""

from __future__ import annotations

import asyncio

from streams.membership import Membership
from tests.support.virtual_time import run_virtually


class Group:
    """Answers heartbeats after a second, as it is told."""

    def __init__(self, *, takes: bool) -> None:
        """Say whether it takes them."""
        self._takes = takes

    async def _do_heartbeat(self) -> bool:
        await asyncio.sleep(1)
        return self._takes


def new_membership() -> Membership:
    """Return one with a session of six seconds, in the loop's time."""
    return Membership(6, asyncio.get_running_loop().time)


def test_nothing_is_certain_before_the_group_has_given_partitions() -> None:
    """And then for one session."""

    async def story() -> None:
        membership = new_membership()
        waiting = asyncio.create_task(membership.certain())
        await asyncio.sleep(1)
        assert not waiting.done()
        membership.confirm()
        async with asyncio.timeout(0.1):
            await waiting
        certain = []
        for pause in (5.8, 0.2):
            await asyncio.sleep(pause)
            certain.append(membership.is_certain)
        assert certain == [True, False]

    run_virtually(story())


def test_a_heartbeat_that_is_taken_counts_from_when_it_was_sent() -> None:
    """The group's own clock started later, so it cannot have replaced us before ours runs out."""

    async def story() -> None:
        membership, group = new_membership(), Group(takes=True)
        membership.watch(group)
        assert await group._do_heartbeat()
        certain = []
        for pause in (4.9, 0.1):
            await asyncio.sleep(pause)
            certain.append(membership.is_certain)
        assert certain == [True, False]

    run_virtually(story())


def test_after_a_standstill_one_waits_for_the_next_answer() -> None:
    """A heartbeat that is refused is none; the next that is taken, or new partitions, end the wait."""

    async def story() -> None:
        membership, strict, kind = new_membership(), Group(takes=False), Group(takes=True)
        membership.watch(strict)
        membership.watch(kind)
        membership.confirm()
        await asyncio.sleep(60)
        waiting = asyncio.create_task(membership.certain())
        assert not await strict._do_heartbeat()
        assert not waiting.done()
        assert await kind._do_heartbeat()
        await asyncio.wait_for(waiting, 1)

    run_virtually(story())
