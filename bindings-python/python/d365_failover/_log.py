"""What the package says through `logging`."""

from __future__ import annotations

import contextlib
import logging

logger = logging.getLogger("d365_failover")
logger.addHandler(logging.NullHandler())

_reporter = logging.NullHandler()


def say(level: int, message: str, *args: object, cause: BaseException | None = None) -> None:
    """Logs. A filter or a handler of the application's that fails is reported, and takes nothing with it."""
    try:
        logger.log(level, message, *args, exc_info=cause)
    except Exception:
        report(message, *args)


def report(message: str, *args: object) -> None:
    """Reports the exception being handled, past the application's filters and handlers, as `logging` reports theirs."""
    with contextlib.suppress(Exception):
        _reporter.handleError(logging.LogRecord(logger.name, logging.ERROR, __file__, 0, message, args, None))
