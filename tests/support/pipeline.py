"""The whole path in one process: planner, tools and aggregator on a real broker, and a foreign client beside them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Self

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import RecordMetadata

from agents.llm.model import ChatModel
from agents.llm.router import Router
from agents.llm.script import Script
from agents.llm.scripted import ScriptedModel
from agents.tools.registry import Registry
from agents.tools.tool import Tool
from streams import topology
from streams.commit_metadata import decode_finished
from streams.installation import topic_specs
from streams.kafka.admin import apply_plan, observe
from streams.kafka.topic_plan import plan
from streams.planner_app import PlannerRole
from streams.role import Role
from streams.routes import Routes
from streams.runs.aggregator import Aggregator
from streams.settings import Settings
from streams.tools_app import ToolsRole
from tests.support.tape import BytesRecord, Tape

PARTITIONS = 3
"""Half of what topics.yaml says: a start is quicker, and nothing depends on the number."""

START_SECONDS = 30.0
POLL_SECONDS = 0.02
Document = dict[str, Any]


def script(*entries: tuple[str, Sequence[Mapping[str, Any]]]) -> str:
    """Write a script: what matches a prompt, and the turns that follow. JSON is YAML."""
    return json.dumps([{"match": match, "turns": list(turns)} for match, turns in entries])


def call(tool: str, **arguments: object) -> Document:
    """Write one call of a scripted turn."""
    return {"tool": tool, "arguments": arguments}


class Pipeline:
    """Topics of its own on a shared broker, the roles that work on them, and what a foreign client reads and writes."""

    def __init__(self, bootstrap_servers: str, prefix: str, text: str, tools: Iterable[Tool], **settings: Any) -> None:  # noqa: ANN401 - handed to Settings
        """Take the broker, a prefix nobody else uses, the model's script and the tools; nothing starts yet."""
        self.settings = Settings(bootstrap_servers=bootstrap_servers, topic_prefix=prefix, **settings)
        self.routes = Routes(prefix)
        self.registry = Registry(tools)
        self.model: ChatModel = ScriptedModel(Script.parse(text))
        self.roles: list[Role] = []
        self.producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
        self._servers = bootstrap_servers
        self._responses: dict[str, list[Document]] = {}
        self._admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        self.tape = Tape(bootstrap_servers)

    async def __aenter__(self) -> Self:
        """Make the topics and connect the foreign client."""
        specs = topic_specs(self.settings, self.registry)
        few = [spec.model_copy(update={"partitions": min(spec.partitions, PARTITIONS)}) for spec in specs]
        options = {"bootstrap_servers": self._servers}
        await apply_plan(options, plan(few, await observe(options, [spec.name for spec in few])))
        partitions = {spec.name: spec.partitions for spec in few}
        await asyncio.gather(self.producer.start(), self._admin.start(), self.tape.start(partitions))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop whatever still runs."""
        await asyncio.gather(*(role.stop() for role in self.roles), return_exceptions=True)
        await asyncio.gather(self.producer.stop(), self._admin.close(), self.tape.stop())

    def new_planner(self, model: ChatModel | None = None) -> PlannerRole:
        """Put a planner together."""
        router = Router({"scripted": model or self.model}, self.settings.model)
        return PlannerRole(self.settings, router, self.registry)

    def new_tools(self, tools: Iterable[Tool] | None = None) -> ToolsRole:
        """Put a tools role together, with other tools of the same names if given."""
        return ToolsRole(self.settings, self.registry if tools is None else Registry(tools))

    def new_aggregator(self) -> Aggregator:
        """Put an aggregator together."""
        return Aggregator(self.settings)

    async def start(self, *roles: Role) -> None:
        """Start roles at the same time and wait until they are ready; without arguments one of each."""
        chosen = roles or (self.new_planner(), self.new_tools(), self.new_aggregator())
        self.roles += chosen
        async with asyncio.timeout(START_SECONDS):
            await asyncio.gather(*(role.start() for role in chosen))
            await asyncio.gather(*(role.ready.wait() for role in chosen))

    async def stop(self, role: Role) -> None:
        """Stop one role in order."""
        self.roles.remove(role)
        await role.stop()

    async def submit(
        self,
        request: Mapping[str, Any] | bytes | None,
        key: bytes | None = None,
        partition: int | None = None,
    ) -> RecordMetadata:
        """Produce a request as any upstream service would; a mapping is written as JSON."""
        value = json.dumps(request).encode() if isinstance(request, Mapping) else request
        return await self.produce(self.routes.requests, value, key, partition)

    async def produce(
        self, topic: str, value: bytes | None, key: bytes | None = None, partition: int | None = None
    ) -> RecordMetadata:
        """Produce one record and wait until the broker has it."""
        if key is None and value is None:  # other clients write such records; aiokafka's own method refuses to
            source = TopicPartition(topic, partition or 0)
            confirmation = await self.producer._message_accumulator.add_message(source, None, None, 10, headers=[])
            sent: RecordMetadata = await confirmation
            return sent
        return await self.producer.send_and_wait(topic, value, key=key, partition=partition)

    async def ask(self, prompt: str, **fields: object) -> Document:
        """Submit a prompt without key and return its response."""
        sent = await self.submit({"prompt": prompt, **fields})
        return await self.response(f"{sent.topic}-{sent.partition}-{sent.offset}")

    def responses(self) -> dict[str, list[Document]]:
        """Return all responses so far by correlation id."""
        for record in self.tape.of(self.routes.responses)[sum(map(len, self._responses.values())) :]:
            document = read(record)
            self._responses.setdefault(document["correlation_id"], []).append(document)
        return self._responses

    async def response(self, correlation_id: str, seconds: float = 20.0) -> Document:
        """Wait for the (first) response of a run."""
        return (await self.tape.until(lambda: self.responses().get(correlation_id), seconds))[0]

    async def answered(self, count: int, seconds: float = 30.0) -> None:
        """Wait until that many runs have a response."""
        await self.tape.until(lambda: len(self.responses()) >= count, seconds)

    def outcomes(self) -> list[Document]:
        """Return the outcomes of calls so far."""
        events = (read(record) for record in self.tape.of(self.routes.run_events))
        return [event for event in events if event["type"].startswith("tool_call.")]

    async def dead_letter(self, value: bytes | None, header: str = "dlq-cause") -> BytesRecord:
        """Wait for the one dead letter with that value and header."""

        def found() -> list[BytesRecord]:
            letters = self.tape.of(self.routes.dead_letters)
            return [one for one in letters if one.value == value and header in dict(one.headers)]

        (letter,) = await self.tape.until(found)
        return letter

    async def delete_topic(self, topic: str) -> None:
        """Delete a topic behind everybody's back, and wait until the broker does not list it any more."""
        await self._admin.delete_topics([topic])
        async with asyncio.timeout(20):
            while topic in await self._admin.list_topics():  # noqa: ASYNC110 - nobody tells of a deletion
                await asyncio.sleep(POLL_SECONDS)

    async def committed(self, role: topology.Role) -> dict[TopicPartition, int]:
        """Return how far the group of a role has come, by partition of its inputs."""
        group = self.routes.group(role, toolset="default")
        offsets = await self._admin.list_consumer_group_offsets(group)
        return {source: found.offset for source, found in offsets.items()}

    async def until_finished_ahead(self, role: topology.Role, source: TopicPartition, finished: set[int]) -> None:
        """Wait until the group of a role has said in its commit which later offsets are finished."""
        group = self.routes.group(role, toolset="default")
        async with asyncio.timeout(20):
            while True:
                found = (await self._admin.list_consumer_group_offsets(group)).get(source)
                if found is not None and decode_finished(found.offset, found.metadata) == finished:
                    return
                await asyncio.sleep(POLL_SECONDS)

    async def until_committed(self, role: topology.Role, source: TopicPartition, offset: int) -> None:
        """Wait until the group of a role has committed at least that offset."""
        async with asyncio.timeout(20):
            while (await self.committed(role)).get(source, 0) < offset:  # noqa: ASYNC110 - nobody tells of a commit
                await asyncio.sleep(POLL_SECONDS)

    async def settled(self, *roles: topology.Role) -> None:
        """Wait until these roles (all when none is named) have finished and committed whatever there is to read.

        Everything a role wrote for a record is confirmed before the record is committed. So once the groups are found
        to be past all records that exist, nothing more can follow of them.
        """
        waiting = roles or topology.ROLES
        async with asyncio.timeout(20):
            while not await self._is_settled(waiting):  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL_SECONDS)

    async def _is_settled(self, roles: Sequence[topology.Role]) -> bool:
        committed: dict[str, dict[TopicPartition, int]] = {role.name: await self.committed(role) for role in roles}
        await self.tape.wind()
        return all(
            record.offset < committed[role.name].get(TopicPartition(record.topic, record.partition), 0)
            for role in roles
            for topic in self._inputs(role)
            for record in self.tape.of(topic)
        )

    def _inputs(self, role: topology.Role) -> list[str]:
        if role is topology.TOOLS:
            return [self.routes.tool_topic(tool) for tool in self.registry]
        return [self.routes.topic(name) for name in role.reads if name != topology.RUNS_CHANGELOG]

    async def assert_answered_once(self, *correlation_ids: str) -> None:
        """Check, after everything has settled, that each of these runs has one response and nobody else has any."""
        await self.settled()
        counts = Counter({name: len(found) for name, found in self.responses().items()})
        assert counts == Counter(correlation_ids)
        assert not self.tape.of(self.routes.dead_letters)


@contextlib.asynccontextmanager
async def running(
    bootstrap_servers: str,
    prefix: str,
    text: str,
    tools: Iterable[Tool],
    **settings: Any,  # noqa: ANN401 - handed to Settings
) -> AsyncIterator[Pipeline]:
    """Provide a pipeline with one of each role, ready to work."""
    async with Pipeline(bootstrap_servers, prefix, text, tools, **settings) as pipeline:
        await pipeline.start()
        yield pipeline


def read(record: BytesRecord) -> Document:
    """Read a record's value as a JSON object."""
    document = json.loads(record.value or b"")
    assert isinstance(document, dict)
    return document


def results(response: Document) -> list[object]:
    """Return what the calls of a response gave, in their order."""
    return [result["result"] for result in response["results"]]
