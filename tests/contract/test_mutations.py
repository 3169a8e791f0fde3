"""The mutations still fit the code: `python -m tests.mutations.run` puts each in and sees that tests find it."""

from __future__ import annotations

import ast

import pytest

from tests.mutations.catalogue import CATALOGUE
from tests.mutations.mutation import ROOT, Mutation


@pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_code(mutation: Mutation) -> None:
    """What it replaces is there exactly once, and what it makes is Python: else it would prove nothing."""
    texts = {edit.file: (ROOT / edit.file).read_text() for edit in mutation.edits}
    for edit in mutation.edits:
        assert edit.occurrences() == 1, f"{edit.file}: {edit.old!r}"
        texts[edit.file] = texts[edit.file].replace(edit.old, edit.new)
    for file, text in texts.items():
        ast.parse(text)
        assert text != (ROOT / file).read_text()


@pytest.mark.parametrize("mutation", CATALOGUE, ids=lambda mutation: mutation.name)
def test_the_killers_of_a_mutation_are_tests(mutation: Mutation) -> None:
    """A test that was renamed kills nothing any more."""
    assert mutation.killers
    for killer in mutation.killers:
        file, _, name = killer.partition("::")
        assert f"def {name}(" in (ROOT / file).read_text(), killer


def test_the_names_of_mutations_differ() -> None:
    """The table tells them apart."""
    assert len({mutation.name for mutation in CATALOGUE}) == len(CATALOGUE)
