"""The jars: locked, fetched once, verified, without network."""

from __future__ import annotations

import hashlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event

import pytest

from streams.kafka import jars
from streams.kafka.jars import (
    EmbeddedBrokerUnavailable,
    FetchCancelled,
    Jar,
    JarHashMismatch,
    JarLockInvalid,
    class_path,
    read_lock,
)


def locked(artifact: str) -> Jar:
    """Return the lock of a jar whose content is its artifact's name."""
    return Jar(coordinates=f"org.example:{artifact}:1.0", sha256=hashlib.sha256(artifact.encode()).hexdigest())


class Registry:
    """A registry that answers from memory and remembers what was asked."""

    def __init__(self, **contents: bytes) -> None:
        """Hold contents by artifact; an artifact that is not named has its own name as content."""
        self.contents = contents
        self.asked: list[str] = []

    def __call__(self, coordinates: str, directory: Path) -> Path:
        """Write the jar into the directory."""
        self.asked.append(coordinates)
        artifact = coordinates.split(":")[1]
        path = directory / f"{artifact}.jar"
        path.write_bytes(self.contents.get(artifact, artifact.encode()))
        return path


def refuse(coordinates: str, directory: Path) -> Path:
    """Be offline."""
    message = f"no route to the registry for {coordinates} (wanted in {directory})"
    raise ConnectionError(message)


def test_the_lock_holds_kafka_and_its_logging() -> None:
    """Every jar is there once, by exact version and hash."""
    lock = read_lock()
    assert jars.KAFKA in {jar.coordinates for jar in lock}
    assert any(jar.coordinates.startswith(jars.LOGGING) for jar in lock)
    assert len({jar.coordinates.rpartition(":")[0] for jar in lock}) == len(lock)
    assert len({jar.filename for jar in lock}) == len(lock)


def test_the_lock_names_no_registry() -> None:
    """Coordinates only: where they come from is the installation's business."""
    assert "//" not in jars.LOCK.read_text()


def test_jars_are_fetched_once(tmp_path: Path) -> None:
    """The second start needs no network."""
    registry = Registry()
    first = class_path([locked("a"), locked("b")], cache=tmp_path, fetch=registry)
    assert sorted(registry.asked) == ["org.example:a:1.0", "org.example:b:1.0"]
    assert class_path([locked("a"), locked("b")], cache=tmp_path, fetch=refuse) == first
    assert [Path(path).read_bytes() for path in first.split(":")] == [b"a", b"b"]
    assert len(list(tmp_path.iterdir())) == 2, "nothing temporary is left"


def test_a_damaged_jar_is_fetched_again(tmp_path: Path) -> None:
    """A truncated or altered file in the cache never reaches java."""
    path = Path(class_path([locked("a")], cache=tmp_path, fetch=Registry()))
    path.write_bytes(b"b")
    registry = Registry()
    class_path([locked("a")], cache=tmp_path, fetch=registry)
    assert registry.asked == ["org.example:a:1.0"]
    assert path.read_bytes() == b"a"


def test_another_jar_than_the_locked_one_is_refused(tmp_path: Path) -> None:
    """The error names the jar and both hashes, and nothing of it stays."""
    with pytest.raises(JarHashMismatch) as wrong:
        class_path([locked("a")], cache=tmp_path, fetch=Registry(a=b"evil"))
    for fact in ("org.example:a:1.0", locked("a").sha256, hashlib.sha256(b"evil").hexdigest()):
        assert fact in str(wrong.value)
    assert not list(tmp_path.iterdir())


def test_a_hiccup_of_the_network_is_tried_again(tmp_path: Path) -> None:
    """One lost connection among 46 downloads is no failure."""
    registry, lost = Registry(), iter([True, True])

    def sometimes(coordinates: str, directory: Path) -> Path:
        return refuse(coordinates, directory) if next(lost, False) else registry(coordinates, directory)

    assert class_path([locked("a")], cache=tmp_path, fetch=sometimes)


def test_offline_without_jars_says_three_ways_on(tmp_path: Path) -> None:
    """Connect once, name a broker, or use Docker; and where the jars would be kept."""
    with pytest.raises(EmbeddedBrokerUnavailable) as offline:
        class_path([locked("a")], cache=tmp_path, fetch=refuse)
    for fact in ("connect to the network once", "KAFKA_BOOTSTRAP_SERVERS", "docker compose up", str(tmp_path)):
        assert fact in str(offline.value)


def test_a_cache_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    """A file where the folder should be: no traceback from inside."""
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(EmbeddedBrokerUnavailable, match="cannot be kept"):
        class_path([locked("a")], cache=tmp_path / "cache", fetch=Registry())


def test_two_processes_may_fetch_the_same_jar_at_once(tmp_path: Path) -> None:
    """Each works in a folder of its own and moves the whole file into place."""
    both = Barrier(2, timeout=30)
    registry = Registry()

    def together(coordinates: str, directory: Path) -> Path:
        path = registry(coordinates, directory)
        both.wait()
        return path

    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda _: class_path([locked("a")], cache=tmp_path, fetch=together), range(2)))
    assert paths[0] == paths[1]
    assert Path(paths[0]).read_bytes() == b"a"


def test_progress_is_counted_on_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first start takes a while, and says why."""
    class_path([locked("a"), locked("b")], cache=tmp_path, fetch=Registry())
    captured = capsys.readouterr()
    assert "2/2" in captured.err
    assert not captured.out


def test_without_the_extra_the_error_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A production installation has neither jgo nor java."""
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    with pytest.raises(EmbeddedBrokerUnavailable, match=r"jgo is not installed; `pip install -e '\.\[embedded\]'`"):
        class_path([locked("a")], cache=tmp_path)


def test_a_line_in_the_lock_that_is_none_is_reported_with_its_number(tmp_path: Path) -> None:
    """A merge conflict in the lock is found before anything is fetched."""
    path = tmp_path / "jars.lock"
    path.write_text("# header\n<<<<<<< HEAD\n")
    with pytest.raises(JarLockInvalid, match=r"jars\.lock:2: .*<<<<<<< HEAD"):
        read_lock(path)


def test_the_cache_is_where_the_xdg_specification_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A relative XDG_CACHE_HOME is invalid and ignored."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert jars.cache_dir() == tmp_path / "async-toolformer-orchestrator" / "jars"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert jars.cache_dir() == Path.home() / ".cache" / "async-toolformer-orchestrator" / "jars"


def test_fetching_can_be_cancelled_in_the_middle(tmp_path: Path) -> None:
    """It ends within a moment although the registry does not, and keeps nothing."""
    cancelled, release = Event(), Event()

    def hang(coordinates: str, directory: Path) -> Path:
        cancelled.set()
        release.wait(30)
        return Registry()(coordinates, directory)

    with pytest.raises(FetchCancelled):
        class_path([locked("a"), locked("b")], cache=tmp_path, fetch=hang, cancelled=cancelled)
    assert not list(tmp_path.glob("*.jar"))
    release.set()
