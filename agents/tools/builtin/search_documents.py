"""The tool `search_documents`: full-text search over a folder of text files, kept in an SQLite FTS5 index in memory."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypedDict

from pydantic import Field

from agents.tools.tool import ToolFailed, tool

ENVIRONMENT_NAME: Final = "ORCHESTRATOR_DOCUMENTS"
SUFFIXES: Final = frozenset({".md", ".txt", ".rst"})
MAX_FILES: Final = 5_000
MAX_FILE_BYTES: Final = 1_048_576
_REPOSITORY: Final = Path(__file__).resolve().parents[3]
_MAX_TERMS: Final = 32
_EXCERPT_WORDS: Final = 32


class DocumentsUnavailable(ToolFailed):
    """No documents: {folder} is not a folder. Set ORCHESTRATOR_DOCUMENTS to one with .md, .txt or .rst files."""


class FoundDocument(TypedDict):
    """One hit: `path` relative to the searched folder, `excerpt` around the words found, `score` higher is better."""

    path: str
    title: str
    excerpt: str
    score: float


@dataclass(frozen=True, slots=True)
class _Stamp:
    """What tells that a file has changed without reading it."""

    path: Path
    name: str
    modified_ns: int
    size: int


@tool
def search_documents(
    query: Annotated[str, Field(min_length=1, max_length=500, description="Words to look for; no query syntax.")],
    limit: Annotated[int, Field(ge=1, le=20, description="How many documents to return at most.")] = 5,
) -> list[FoundDocument]:
    """Search the project's documents and return the best matching ones with an excerpt, best first."""
    return _index_for(os.environ.get(ENVIRONMENT_NAME)).search(query, limit)


@dataclass(slots=True)
class DocumentIndex:
    """The documents of `folder` (and `extra` single files beside it), searchable; names are relative to `base`."""

    folder: Path
    base: Path
    extra: tuple[Path, ...] = ()
    # Tools run in threads: one lock, because one connection may be used by one thread at a time.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _stamps: tuple[_Stamp, ...] = field(default=(), init=False, repr=False)
    _connection: sqlite3.Connection | None = field(default=None, init=False, repr=False)

    def search(self, query: str, limit: int) -> list[FoundDocument]:
        """Return at most `limit` documents with words of `query`, best first; files changed since are read again."""
        expression = match_expression(query)
        with self._lock:
            connection = self._refreshed()
            if not expression:
                return []
            rows = connection.execute(_SEARCH, {"match": expression, "words": _EXCERPT_WORDS, "limit": limit})
            return [
                FoundDocument(path=path, title=title, excerpt=" ".join(excerpt.split()), score=float(f"{-rank:.4g}"))
                for path, title, excerpt, rank in rows
            ]

    def _refreshed(self) -> sqlite3.Connection:
        """Return an index of the files as they are now."""
        stamps = tuple(self._scan())
        if self._connection is None or stamps != self._stamps:
            fresh = _build(stamps)
            if self._connection is not None:
                self._connection.close()
            self._connection, self._stamps = fresh, stamps
        return self._connection

    def _scan(self) -> Iterator[_Stamp]:
        """Yield the stamps of all files to index, in a fixed order; links are not followed out of the folder."""
        paths = [path for path in self.extra if path.is_file()]
        if not paths and not self.folder.is_dir():
            raise DocumentsUnavailable(folder=str(self.folder))
        for directory, folders, names in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            paths += [Path(directory, name) for name in sorted(names) if Path(name).suffix.lower() in SUFFIXES]
            if len(paths) >= MAX_FILES:
                break
        for path in paths[:MAX_FILES]:
            try:
                status = path.lstat()
            except OSError:
                continue  # gone since it was listed
            if stat.S_ISREG(status.st_mode) and status.st_size <= MAX_FILE_BYTES:
                yield _Stamp(path, path.relative_to(self.base).as_posix(), status.st_mtime_ns, status.st_size)


def match_expression(query: str) -> str:
    """Return an FTS5 expression for the words of `query`, each quoted so that none is ever an operator; empty if none.

    All words as one phrase count as well, which ranks a document that says "exactly once" above one with both words.
    """
    words = re.findall(r"\w+", query)[:_MAX_TERMS]
    terms = [f'"{word}"' for word in dict.fromkeys(words)]
    if len(words) > 1:
        terms.append(f'"{" ".join(words)}"')
    return " OR ".join(terms)


def _build(stamps: tuple[_Stamp, ...]) -> sqlite3.Connection:
    """Read all files into a new index."""
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(
        "CREATE VIRTUAL TABLE documents USING fts5"
        "(path UNINDEXED, title, body, tokenize = 'porter unicode61 remove_diacritics 2')",
    )
    for stamp in stamps:
        try:
            body = stamp.path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # gone or unreadable since the scan: the next scan sees it
        connection.execute("INSERT INTO documents VALUES (?, ?, ?)", (stamp.name, _title(stamp, body), body))
    return connection


def _title(stamp: _Stamp, body: str) -> str:
    """Return the first heading of a Markdown or reStructuredText file, else its name."""
    lines = body.splitlines()[:50]
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        if heading := re.match(r"#{1,6}\s+(.+?)\s*#*$", line):
            return heading[1]
        if line.strip() and re.fullmatch(r"([=\-~#*^])\1{2,}", following.rstrip()):
            return line.strip()
    return stamp.path.stem


_SEARCH: Final = """
    SELECT path, title, snippet(documents, 2, '', '', ' ... ', :words), bm25(documents, 0, 4, 1) AS rank
    FROM documents WHERE documents MATCH :match ORDER BY rank, path LIMIT :limit
"""

_indexes: dict[str | None, DocumentIndex] = {}
_indexes_lock = threading.Lock()


def _index_for(folder: str | None) -> DocumentIndex:
    """Return the index of the folder named by the environment, or of the project's own documents."""
    with _indexes_lock:
        if folder not in _indexes:
            _indexes[folder] = project_documents() if not folder else DocumentIndex(Path(folder), Path(folder))
        return _indexes[folder]


def project_documents() -> DocumentIndex:
    """Return the index of this repository's `docs` folder and `README.md`."""
    return DocumentIndex(_REPOSITORY / "docs", _REPOSITORY, extra=(_REPOSITORY / "README.md",))
