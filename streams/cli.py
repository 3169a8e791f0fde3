"""The command `orchestrator`: runs a subcommand, and tells what stopped it in one clear line."""

from __future__ import annotations

import sys

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it."""


def main() -> None:
    """Run the subcommand. An error that we know is one clear line and exit status 2, Ctrl-C says nothing at all."""
    try:
        # Imported here: it takes more than a second, and Ctrl-C in that time is Ctrl-C too.
        from streams.cli_commands import app  # noqa: PLC0415 - see above

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except Exception as error:
        line = explained(error)
        if line is None:
            raise
        sys.stderr.write(f"orchestrator: {line}\n")
        sys.exit(2)


def explained(error: Exception) -> str | None:
    """Say for a person what went wrong; None when it is nothing that is known to happen, so a defect of ours."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - as above

    from schemas.errors import OrchestratorError  # noqa: PLC0415 - as above
    from streams.plain_text import printable  # noqa: PLC0415 - as above

    match error:
        case OrchestratorError():
            return printable(str(error), keep="\n\t")
        case KafkaError():
            return printable(f"Kafka refused or was gone: {type(error).__name__}: {error}")
        case OSError(filename=str() as path, strerror=str() as reason):
            return printable(f"{path}: {reason}")
        case ConnectionError():
            return printable(f"a connection was lost: {error}")
        case _:
            return None


if __name__ == "__main__":
    main()
