"""Promises of the tool `search_documents`."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.builtin.search_documents import (
    MAX_FILE_BYTES,
    DocumentIndex,
    DocumentsUnavailable,
    project_documents,
    search_documents,
)
from tests.support.call_context import CONTEXT

DOCUMENTS = {
    "delivery.md": "# Exactly once\n\nEvery request gets exactly one response; it is sent exactly once.\n",
    "below/deadlines.rst": "Deadlines\n=========\n\nA deadline is reached once. Exactly when it passes, a run ends.\n",
    "notes.txt": "Nothing but notes about München and café.\n",
    "code.py": "exactly once",
    ".hidden/secret.md": "exactly once",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the documents and return their folder."""
    for name, text in DOCUMENTS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def paths(index: DocumentIndex, query: str, limit: int = 20) -> list[str]:
    """Return only where the hits are."""
    return [found["path"] for found in index.search(query, limit)]


async def test_the_folder_comes_from_the_environment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The best document is first; path, title, excerpt and score are what a model can use."""
    monkeypatch.setenv("ORCHESTRATOR_DOCUMENTS", str(folder))
    first, second = await search_documents.run({"query": "what is exactly once"}, CONTEXT)
    assert (first["path"], first["title"]) == ("delivery.md", "Exactly once")
    assert "sent exactly once" in first["excerpt"]
    assert (second["path"], second["title"]) == ("below/deadlines.rst", "Deadlines")
    assert first["score"] > second["score"]


async def test_the_projects_own_documents_are_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a setting the docs of this repository and its README are searched."""
    monkeypatch.delenv("ORCHESTRATOR_DOCUMENTS", raising=False)
    found = await search_documents.run({"query": "scripted model placeholders", "limit": 20}, CONTEXT)
    assert found[0]["path"] == "docs/scripted-model.md"
    assert "README.md" in paths(project_documents(), "orchestrator")


def test_the_title_is_the_heading_or_the_name(folder: Path) -> None:
    """A text file without heading is called by its name."""
    assert DocumentIndex(folder, folder).search("notes", 1)[0]["title"] == "notes"


def test_words_are_found_in_any_form(folder: Path) -> None:
    """Case, plural and accents do not matter."""
    index = DocumentIndex(folder, folder)
    assert paths(index, "REQUESTS") == ["delivery.md"]
    assert paths(index, "munchen CAFÉ") == ["notes.txt"]


def test_the_limit_is_kept(folder: Path) -> None:
    """And is itself limited to 1 to 20."""
    assert len(paths(DocumentIndex(folder, folder), "exactly", limit=1)) == 1
    assert search_documents.check({"query": "a", "limit": 20}) is None
    assert search_documents.check({"query": "a", "limit": 0}) is not None
    assert search_documents.check({"query": "a", "limit": 21}) is not None


def test_changes_are_seen_at_the_next_search(folder: Path) -> None:
    """A file that is new, changed or gone is so for the next query; nothing is read again without a change."""
    index = DocumentIndex(folder, folder)
    assert paths(index, "zebra") == []
    unchanged = index._connection
    assert paths(index, "giraffe") == []
    assert index._connection is unchanged
    (folder / "new.md").write_text("a zebra")
    assert paths(index, "zebra") == ["new.md"]
    (folder / "new.md").write_text("a giraffe")
    assert paths(index, "zebra") == []
    assert paths(index, "giraffe") == ["new.md"]
    (folder / "new.md").unlink()
    assert paths(index, "giraffe") == []


@pytest.mark.parametrize(
    "query",
    [
        '"',
        "'; DROP TABLE documents; --",
        "NEAR(exactly once, 2)",
        "title : exactly",
        "exactly AND NOT once",
        "once*",
        "^exactly",
        "{title body} : once",
        "exactly\x00once",
        "-once",
        "a" * 500,
        "(((((",
        "AND",
        "OR OR OR",
        "\U0001f4a5 \ud800 \uff45\uff58",
    ],
)
def test_a_query_is_never_syntax(folder: Path, query: str) -> None:
    """Operators, quotes and column filters are words or nothing."""
    index = DocumentIndex(folder, folder)
    paths(index, query)
    assert paths(index, "exactly")[0] in {"delivery.md", "below/deadlines.rst"}


def test_operators_are_words(folder: Path) -> None:
    """`NOT once` finds documents with `once`, because NOT is a word like any other."""
    index = DocumentIndex(folder, folder)
    assert set(paths(index, "NOT once")) == {"delivery.md", "below/deadlines.rst"}
    assert paths(index, "path : code") == []


def test_any_text_can_be_searched_for(tmp_path: Path) -> None:
    """No query raises."""
    (tmp_path / "a.md").write_text("text")
    index = DocumentIndex(tmp_path, tmp_path)

    @given(st.text(max_size=100))
    def search(query: str) -> None:
        assert isinstance(index.search(query, 5), list)

    search()


def test_files_outside_large_or_odd_are_left_out(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Links do not lead out of the folder, huge files are skipped, bytes that are not UTF-8 do no harm."""
    outside = tmp_path_factory.mktemp("outside") / "outside.md"
    outside.write_text("elephant")
    (folder / "link.md").symlink_to(outside)
    (folder / "linked").symlink_to(outside.parent, target_is_directory=True)
    (folder / "huge.md").write_text("elephant " * (MAX_FILE_BYTES // 9 + 1))
    (folder / "broken.md").write_bytes(b"\xff\xfe elephant")
    os.mkfifo(folder / "pipe.md")
    assert paths(DocumentIndex(folder, folder), "elephant") == ["broken.md"]


def test_a_missing_folder_is_a_clear_error(tmp_path: Path) -> None:
    """The error names the folder and the setting."""
    with pytest.raises(DocumentsUnavailable, match=r"nowhere.*ORCHESTRATOR_DOCUMENTS"):
        DocumentIndex(tmp_path / "nowhere", tmp_path).search("a", 1)


def test_many_threads_can_search_while_files_change(folder: Path) -> None:
    """Tools run in threads: each search sees a whole index."""
    index = DocumentIndex(folder, folder)
    stop = threading.Event()

    def search() -> int:
        return min(len(index.search("exactly", 20)) for _ in range(20))

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            (folder / "changing.txt").write_text(f"version {number}")

    with ThreadPoolExecutor() as pool:
        writer = pool.submit(write)
        try:
            counts = [future.result(timeout=60) for future in [pool.submit(search) for _ in range(3)]]
        finally:
            stop.set()
        writer.result(timeout=10)
    assert counts == [2, 2, 2]
