"""The bugs that the run engine must not have, each with the tests that would find it."""

from __future__ import annotations

from tests.mutations.mutation import Edit, Mutation

SIMULATION = "tests/simulation/test_simulation.py::test_every_seed_keeps_every_promise"
OFFSETS = "tests/unit/streams/test_offsets.py::"
REDUCE = "tests/unit/streams/runs/test_reduce.py::"
EXECUTOR = "tests/unit/agents/test_executor.py::"
COMMUTES = "tests/unit/streams/runs/test_commutes_dependent.py::"
OPEN_ORDER = "tests/kafka/test_open_order.py::"
LAST_MOMENT = OPEN_ORDER + "test_what_the_owner_before_commits_at_the_last_moment_is_neither_lost_nor_done_twice"

FENCE = "writer = await Writer.fence(shared.options, self.number, shared.routes, shared.group)"
LOAD = "await load_runs(shared.options, shared.routes.runs_changelog, self.number)"
BEGIN = "def _write(self, batch: Batch) -> None:\n        await self._producer.begin_transaction()\n"

ACKNOWLEDGEMENT = (
    Mutation(
        "commit past a head gap",
        (
            Edit(
                "streams/offsets.py",
                "return next(iter(self._unfinished), self._last + 1)",
                "return self._last + 1",
            ),
        ),
        (OFFSETS + "test_a_slow_record_holds_back_the_fast_ones_behind_it", SIMULATION),
    ),
    Mutation(
        "acknowledge before the handler is done",
        (
            Edit(
                "streams/agent_host.py",
                "        try:\n            await self._handle_or_bury(record, handle)\n",
                "        consumer.finish(ticket)\n"
                "        try:\n            await self._handle_or_bury(record, handle)\n",
            ),
        ),
        ("tests/kafka/test_acknowledgement.py::test_tools_never_commit_past_a_call_that_still_runs",),
    ),
    Mutation(
        "acknowledge before the broker has the effect",
        (
            Edit(
                "streams/outbox.py",
                "results = await asyncio.gather(*(confirmation for _, confirmation in sent), return_exceptions=True)",
                "results = [None for _ in sent]",
            ),
        ),
        ("tests/unit/streams/test_outbox.py::test_the_record_that_is_not_confirmed_is_the_one_that_is_named",),
    ),
    Mutation(
        "begin a record again that is delivered again",
        (Edit("streams/offsets.py", "offset <= self._last", "offset < 0"),),
        (OFFSETS + "test_a_record_is_begun_once", SIMULATION),
    ),
    Mutation(
        "do not write the commit metadata",
        (
            Edit(
                "streams/faust_consumer.py",
                "Commit(offset, encode_finished(offset, offsets.finished_ahead()))",
                'Commit(offset, "" and encode_finished(offset, ()))',
            ),
        ),
        (SIMULATION,),
    ),
    Mutation(
        "do not read the commit metadata",
        (
            Edit(
                "streams/faust_consumer.py",
                "InOrderOffsets(finished) for tp, finished",
                "InOrderOffsets() for tp, finished",
            ),
        ),
        ("tests/kafka/test_out_of_order.py::test_a_crash_repeats_only_what_was_in_flight",),
    ),
    Mutation(
        "forget at the first commit what an earlier owner has finished",
        (
            Edit(
                "streams/offsets.py",
                "return self._finished_before.union(self._finished_ahead)",
                "return set(self._finished_ahead)",
            ),
        ),
        ("tests/unit/streams/test_offsets_inherited.py::test_an_owner_that_dies_soon_hands_on_what_it_inherited",),
    ),
)

OWNERSHIP = (
    Mutation(
        "skip the fence",
        (
            Edit(
                "streams/runs/writer.py",
                "transactional_id=routes.transactional_id(partition)",
                "transactional_id=f\"{routes.transactional_id(partition)}-{__import__('time').time_ns()}\"",
            ),
        ),
        ("tests/kafka/test_exactly_once.py::test_a_writer_that_was_replaced_can_write_nothing", LAST_MOMENT),
    ),
    Mutation(
        "read the committed offset before fencing",
        (
            Edit(
                "streams/runs/partition.py",
                FENCE,
                f"early = [await shared.consumer.committed(source) for source in self._inputs]\n        {FENCE}",
            ),
            Edit(
                "streams/runs/partition.py",
                "committed = await shared.consumer.committed(source)",
                "committed = early[self._inputs.index(source)]",
            ),
        ),
        (LAST_MOMENT,),
    ),
    Mutation(
        "load before fencing",
        (
            Edit("streams/runs/partition.py", FENCE, f"loaded = {LOAD}\n        {FENCE}"),
            Edit("streams/runs/partition.py", "runs = await load_runs(", "runs = loaded if True else await load_runs("),
        ),
        (LAST_MOMENT,),
    ),
    Mutation(
        "response outside the transaction",
        (
            Edit(
                "streams/runs/writer.py",
                BEGIN,
                f"{BEGIN}"
                "        await asyncio.gather(*[await send(self._producer, record) for record in batch.records])\n"
                "        await self._producer.commit_transaction()\n"
                "        await self._producer.begin_transaction()\n",
            ),
            Edit("streams/runs/writer.py", ", *batch.records]", "]"),
        ),
        (OPEN_ORDER + "test_a_response_whose_transaction_fails_was_never_given",),
    ),
)

RUNS = (
    Mutation(
        "drop the duplicate check of requests",
        (
            Edit(
                "streams/runs/reduce.py",
                "    if run.row.request is not None:\n        return run\n    update = {",
                "    update = {",
            ),
        ),
        (REDUCE + "test_the_first_fact_wins_and_a_repeated_one_returns_the_very_same_run",),
    ),
    Mutation(
        "first outcome does not win",
        (
            Edit(
                "streams/runs/reduce.py",
                "if known is not None and has_ended(known):",
                "if known is not None and known.outcome is event:",
            ),
        ),
        (REDUCE + "test_the_first_fact_wins_and_a_repeated_one_returns_the_very_same_run", SIMULATION),
    ),
    Mutation(
        "first plan does not win",
        (
            Edit(
                "streams/runs/reduce.py",
                "return turn == run.row.turn and len(run.row.turns) == turn - 1",
                "return turn == run.row.turn",
            ),
        ),
        (REDUCE + "test_the_first_fact_wins_and_a_repeated_one_returns_the_very_same_run", SIMULATION),
    ),
    Mutation(
        "forget the finished marker",
        (
            Edit(
                "streams/runs/run.py",
                "yield row_key(after.correlation_id), after\n",
                "yield row_key(after.correlation_id), None\n",
            ),
        ),
        ("tests/unit/streams/runs/test_table.py::test_the_end_of_a_run_deletes_the_rows_of_its_calls", SIMULATION),
    ),
    Mutation(
        "let facts behind the end count",
        (
            Edit(
                "streams/runs/reduce.py",
                "if isinstance(run, FinishedRow):\n        return Transition(run)",
                "if isinstance(run, FinishedRow):\n        run = None",
            ),
        ),
        (REDUCE + "test_a_fact_after_the_end_changes_nothing", SIMULATION),
    ),
    Mutation(
        "a run that ended before its request was read says less",
        (Edit("streams/runs/advance.py", "_finish(as_if_published(run))", "_finish(run)"),),
        (COMMUTES + "test_a_call_that_was_ready_when_the_run_ended_says_what_it_would_have_been_run_with",),
    ),
    Mutation(
        "announce a deadline once, however early",
        (
            Edit(
                "streams/runs/table.py",
                "            self._watch_again(fact, record.at, before)\n",
                "",
            ),
        ),
        (
            "tests/unit/streams/runs/test_table.py::test_a_deadline_announced_too_early_is_announced_again_in_time",
            SIMULATION,
        ),
    ),
)

EXECUTION = (
    Mutation(
        "execute after the deadline",
        (
            Edit(
                "agents/executor.py",
                "if milliseconds_until(call.deadline_at, self._clock()) <= 0:",
                "if milliseconds_until(call.deadline_at, self._clock()) <= -1e12:",
            ),
        ),
        (
            EXECUTOR + "test_an_expired_call_is_not_run",
            EXECUTOR + "test_a_call_that_expires_while_it_waits_for_its_turn_is_not_run",
        ),
    ),
    Mutation(
        "drop the duplicate check of calls that ran",
        (Edit("agents/executor.py", "if remembered is not None:", "if remembered is ...:"),),
        (EXECUTOR + "test_a_call_published_again_is_answered_from_memory",),
    ),
    Mutation(
        "drop the duplicate check of calls that run",
        (Edit("agents/executor.py", "running = self._running.get(call.call_id)", "running = None"),),
        (EXECUTOR + "test_a_call_that_is_running_is_joined_and_not_run_beside_itself",),
    ),
    Mutation(
        "publish an effectful call before its plan is committed",
        (
            Edit(
                "agents/draft.py",
                'return call if call.error is None and call.effect == "pure" else None',
                "return call if call.error is None else None",
            ),
        ),
        ("tests/unit/agents/test_planner.py::test_an_effectful_call_is_left_to_the_aggregator", SIMULATION),
    ),
)

CATALOGUE = (*ACKNOWLEDGEMENT, *OWNERSHIP, *RUNS, *EXECUTION)
