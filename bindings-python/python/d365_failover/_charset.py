"""Which text encoding a response names, and how its bytes are decoded whatever it names."""

from __future__ import annotations

import codecs
import functools
import re
import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Buffer as ReadableBuffer

__all__: list[str] = []

FALLBACK = "utf-8"
_PARAMETER = re.compile(
    r"""
    ;\s*([^\s;=]*)\s*
    (?: =\s* (?: "((?:[^"\\]|\\.)*) (?:"|\\?\Z)   # one that does not end goes to the end, as in browsers
               | '([^']*)'\s*(?=;|\Z)              # no quotes by the standard
               | ([^\s;"']*) ) )?
    [^;]*
    """,
    re.VERBOSE | re.DOTALL,
)
"""One after the other, each begins where the last one has ended: what stands in quotes is none."""
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_NO_CHARSETS = frozenset(("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem"))
"""Encodings of Python's own or of host names: no text on the Web is in one, and some fail on what they dislike."""


def charset_of(content_type: str) -> str:
    """What a Content-Type names, if bytes can be decoded by it; else UTF-8."""
    for parameter in _PARAMETER.finditer(content_type):
        name, quoted, in_single, bare = parameter.groups("")
        if name.lower() != "charset":
            continue
        charset = (_ESCAPED.sub(r"\1", quoted) or in_single or bare).strip()
        if charset:
            return charset if _is_known(charset) else FALLBACK
    return FALLBACK


@functools.lru_cache(64)
def _is_known(name: str) -> bool:
    if _NAME.fullmatch(name) is None:
        return False
    try:
        codec = codecs.lookup(name)
        b"a".decode(name, "replace")  # refuses what is no encoding of text: base64, rot13
    except Exception:  # codecs may be anybody's
        return False
    return codec.name.replace("-", "_").lower() not in _NO_CHARSETS


def decoded(content: bytes, charset: str) -> str:
    """The text, with U+FFFD for what is none. Never fails."""
    try:
        return content.decode(charset, "replace")
    except Exception:  # as above
        return content.decode(FALLBACK, "replace")


def decoder(charset: str) -> codecs.IncrementalDecoder:
    """What decodes piece by piece, with U+FFFD for what is no text."""
    try:
        codec = codecs.lookup(charset)
        if codec.name in _MARKED:
            return _ByMark(codec.name)
        return _Unfailing(codecs.getincrementaldecoder(charset)("replace"))
    except Exception:  # as above
        return codecs.getincrementaldecoder(FALLBACK)("replace")


class _Unfailing(codecs.IncrementalDecoder):
    """One that replaces what its encoding fails on in spite of "replace": those of ISO 2022 cannot keep an escape
    sequence that does not end."""

    def __init__(self, decoder: codecs.IncrementalDecoder) -> None:
        super().__init__("replace")
        self._decoder = decoder

    def decode(self, input: ReadableBuffer, final: bool = False) -> str:
        before = self._decoder.getstate()
        try:
            return self._decoder.decode(input, final)
        except Exception:  # as above
            self._decoder.setstate(before)
        text = []
        rest = deque(bytes(input))
        while rest:
            kept, state = self._decoder.getstate()
            byte = bytes((rest.popleft(),))
            try:
                text.append(self._decoder.decode(byte))
            except Exception:  # as above
                text.append("\ufffd")
                self._decoder.setstate((b"", state))
                rest.extendleft(reversed((kept + byte)[1:]))
        if final:
            try:
                text.append(self._decoder.decode(b"", True))
            except Exception:  # as above
                text.append("\ufffd")
                self._decoder.reset()
        return "".join(text)

    def reset(self) -> None:
        self._decoder.reset()


_MARKED = {
    "utf-16": ((codecs.BOM_UTF16_LE, codecs.utf_16_le_decode), (codecs.BOM_UTF16_BE, codecs.utf_16_be_decode)),
    "utf-32": ((codecs.BOM_UTF32_LE, codecs.utf_32_le_decode), (codecs.BOM_UTF32_BE, codecs.utf_32_be_decode)),
}


class _ByMark(codecs.BufferedIncrementalDecoder):
    """UTF-16 or UTF-32 in the order of its mark; without one in this machine's, as `bytes.decode` has it. Python's own
    decoder fails there."""

    def __init__(self, name: str) -> None:
        super().__init__("replace")
        self._marked = _MARKED[name]
        self._order: Callable[..., tuple[str, int]] | None = None

    def _buffer_decode(self, input: ReadableBuffer, errors: str, final: bool) -> tuple[str, int]:
        data = bytes(input)
        skipped = 0
        if self._order is None:
            if len(data) < len(self._marked[0][0]) and not final:
                return "", 0
            self._order = self._marked[sys.byteorder == "big"][1]
            for mark, order in self._marked:
                if data.startswith(mark):
                    self._order, skipped = order, len(mark)
        text, used = self._order(data[skipped:], errors, final)
        return text, skipped + used
