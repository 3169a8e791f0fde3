"""How the embedded broker is set up: one small node, everything on 127.0.0.1, nothing replicated."""

from __future__ import annotations

JVM_OPTIONS = (
    # 256 MB hold thousands of partitions and 4 MiB records, because the cleaner's buffer is small (below).
    "-Xmx256m",
    "-XX:+UseSerialGC",
    # One compiler tier: a start takes half the time, and throughput is bounded by Python here anyway.
    "-XX:TieredStopAtLevel=1",
    # A broker that ran out of memory answers strangely for minutes; one that ended is restarted.
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Dlog4j2.configurationFile=log4j2.properties",
)

# Paths are relative to the working directory, the data directory: so no character of its name needs escaping.
_SERVER = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={storage}

# Topics come from topics.yaml; a typing error in a name must not make one.
auto.create.topics.enable=false
# One node holds every copy there is.
default.replication.factor=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
# Each partition of an internal topic costs files and time at the first use and at every start.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=8
share.coordinator.state.topic.num.partitions=1
# Groups start at once, and may notice a dead member within a second (the default floor is six).
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# A transaction whose writer was killed holds up every read_committed reader until it is aborted.
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000

# After a crash the controller takes the broker's last session for alive until it times out (9 s by default), and lets
# nobody else register: a start would take that long.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500

# Small: the default of 128 MB for the cleaner alone is half of the heap.
log.cleaner.dedupe.buffer.size=8388608
log.cleaner.threads=1
# Compaction looks for work this often; 15 s by default.
log.cleaner.backoff.ms=5000
# Indexes are mapped at their full size, 10 MB by default, twice per partition.
log.index.size.max.bytes=1048576
log.segment.delete.delay.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
num.recovery.threads.per.data.dir=2
# An idle controller writes a record this often; twice a second by default.
metadata.max.idle.interval.ms=5000
"""

_LOG4J = """\
status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName=kafka.log
appender.file.filePattern=kafka.log.%i
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=10MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{ISO8601} %-5p %m (%c{1})%n%ex
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
# Start and stop are worth a line; the configuration dumps around them (2,000 lines) are not.
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""


def server_properties(*, port: int, controller_port: int, storage: str) -> str:
    """Return Kafka's own configuration. `storage` is a folder relative to the data directory."""
    return _SERVER.format(port=port, controller_port=controller_port, storage=storage)


def log4j_properties() -> str:
    """Return the configuration of Kafka's log: `kafka.log` in the working directory, at most 30 MB in three files."""
    return _LOG4J
