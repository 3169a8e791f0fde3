"""Promises of text that is safe to show."""

from __future__ import annotations

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.plain_text import printable_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(TEXT, TEXT))
def test_an_escaped_document_is_the_same_document(document: dict[str, str]) -> None:
    """On one line or indented; nothing in it is left that is not printable, but the lines of the document itself."""
    for option in (0, orjson.OPT_INDENT_2):
        shown = printable_json(orjson.dumps(document, option=option).decode())
        assert orjson.loads(shown) == document
        assert shown.replace("\n", "").isprintable()
