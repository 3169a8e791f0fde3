"""Text that others wrote, made safe to show: it must not be able to drive the terminal it is shown on. Pure."""

from __future__ import annotations


def shortened(text: str, characters: int) -> str:
    """Cut a text to one line of at most `characters`."""
    flat = " ".join(printable(text).split())
    return flat if len(flat) <= characters else flat[: characters - 1] + "…"


def printable(text: str, keep: str = "") -> str:
    """Replace by blanks what is not printable (control, bidi, invisible characters), except what is in `keep`."""
    return "".join(character if character.isprintable() or character in keep else " " for character in text)


def printable_json(document: str) -> str:
    r"""Escape what is not printable in a JSON document as `\uXXXX`; it stays the same document.

    orjson escapes only what JSON has to. Outside of its strings, where an escape would break it, a document has no
    other character of that kind than line feeds.
    """
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in document)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
