"""A certificate authority that lives as long as its pair, and one certificate of it: made at start, so that no private
key is shipped, and without a package for it. ECDSA on P-256 (FIPS 186-5), X.509 in DER (RFC 5280).

For tests alone: the arithmetic takes no care of time or memory, and the keys guard nothing.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets
from dataclasses import dataclass

__all__ = ["Certificates", "make"]

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_A = _P - 3
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_DAYS = 30

_Point = tuple[int, int] | None


@dataclass(frozen=True)
class Certificates:
    """In PEM."""

    ca: str
    certificate: str
    key: str


def make(*hosts: str) -> Certificates:
    """A certificate for these names, by an authority of its own."""
    ca, server = _Key(), _Key()
    issuer = _name(f"A test of {hosts[0]}")
    authority = _certificate(issuer, issuer, ca, ca, _of_authority(ca))
    names = _sequence(*(_tlv(0x82, host.encode("ascii")) for host in hosts))
    certificate = _certificate(_name(hosts[0]), issuer, server, ca, _of_server(server, ca, names))
    return Certificates(_pem("CERTIFICATE", authority), _pem("CERTIFICATE", certificate), server.pem())


# ---- the curve -------------------------------------------------------------------------------------------------------


def _add(one: _Point, two: _Point) -> _Point:
    if one is None or two is None:
        return one or two
    (x1, y1), (x2, y2) = one, two
    if x1 == x2 and (y1 + y2) % _P == 0:
        return None
    rise, run = (3 * x1 * x1 + _A, 2 * y1) if one == two else (y2 - y1, x2 - x1)
    slope = rise * pow(run, -1, _P)
    x = (slope * slope - x1 - x2) % _P
    return x, (slope * (x1 - x) - y1) % _P


def _times(number: int, point: _Point) -> tuple[int, int]:
    product: _Point = None
    while number:
        if number & 1:
            product = _add(product, point)
        point = _add(point, point)
        number >>= 1
    assert product is not None
    return product


class _Key:
    def __init__(self) -> None:
        self._secret = secrets.randbelow(_N - 1) + 1
        x, y = _times(self._secret, _G)
        self.point = b"\x04" + x.to_bytes(32, "big") + y.to_bytes(32, "big")

    @property
    def identifier(self) -> bytes:
        return hashlib.sha256(self.point).digest()[:20]

    def public(self) -> bytes:
        return _sequence(_sequence(_oid(_EC_KEY), _oid(_P256)), _bits(self.point))

    def pem(self) -> str:
        secret = _tlv(0x04, self._secret.to_bytes(32, "big"))
        return _pem("EC PRIVATE KEY", _sequence(_integer(1), secret, _tlv(0xA0, _oid(_P256))))

    def sign(self, data: bytes) -> bytes:
        digest = int.from_bytes(hashlib.sha256(data).digest(), "big")
        while True:
            once = secrets.randbelow(_N - 1) + 1
            r = _times(once, _G)[0] % _N
            s = pow(once, -1, _N) * (digest + r * self._secret) % _N
            if r and s:
                return _sequence(_integer(r), _integer(s))


# ---- DER -------------------------------------------------------------------------------------------------------------

_EC_KEY, _P256, _ECDSA_SHA256 = "1.2.840.10045.2.1", "1.2.840.10045.3.1.7", "1.2.840.10045.4.3.2"
_COMMON_NAME, _SERVER = "2.5.4.3", "1.3.6.1.5.5.7.3.1"
_SUBJECT_KEY, _KEY_USAGE, _NAMES, _CONSTRAINTS, _AUTHORITY_KEY, _PURPOSES = (
    f"2.5.29.{number}" for number in (14, 15, 17, 19, 35, 37)
)


def _tlv(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    digits = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(digits))) + digits + content


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))


def _integer(number: int) -> bytes:
    return _tlv(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _bits(content: bytes, unused: int = 0) -> bytes:
    return _tlv(0x03, bytes((unused,)) + content)


def _oid(text: str) -> bytes:
    first, second, *others = map(int, text.split("."))
    content = bytes((first * 40 + second,))
    for number in others:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | number & 0x7F)
        content += bytes(reversed(digits))
    return _tlv(0x06, content)


def _name(common: str) -> bytes:
    text = _tlv(0x0C, common.encode()[:64])
    return _sequence(_tlv(0x31, _sequence(_oid(_COMMON_NAME), text)))


def _extension(oid: str, value: bytes, critical: bool = False) -> bytes:
    flag = _tlv(0x01, b"\xff") if critical else b""
    return _sequence(_oid(oid), flag, _tlv(0x04, value))


def _of_authority(key: _Key) -> list[bytes]:
    return [
        _extension(_CONSTRAINTS, _sequence(_tlv(0x01, b"\xff")), critical=True),
        _extension(_KEY_USAGE, _bits(b"\x04", 2), critical=True),
        _extension(_SUBJECT_KEY, _tlv(0x04, key.identifier)),
    ]


def _of_server(key: _Key, authority: _Key, names: bytes) -> list[bytes]:
    return [
        _extension(_CONSTRAINTS, _sequence(), critical=True),
        _extension(_KEY_USAGE, _bits(b"\x80", 7), critical=True),
        _extension(_PURPOSES, _sequence(_oid(_SERVER))),
        _extension(_SUBJECT_KEY, _tlv(0x04, key.identifier)),
        _extension(_AUTHORITY_KEY, _sequence(_tlv(0x80, authority.identifier))),
        _extension(_NAMES, names),
    ]


def _certificate(subject: bytes, issuer: bytes, key: _Key, signer: _Key, extensions: list[bytes]) -> bytes:
    now = datetime.datetime.now(datetime.timezone.utc)
    span = (now - datetime.timedelta(days=1), now + datetime.timedelta(days=_DAYS))
    algorithm = _sequence(_oid(_ECDSA_SHA256))
    content = _sequence(
        _tlv(0xA0, _integer(2)),
        _integer(secrets.randbits(126) | 1),
        algorithm,
        issuer,
        _sequence(*(_tlv(0x17, time.strftime("%y%m%d%H%M%SZ").encode()) for time in span)),
        subject,
        key.public(),
        _tlv(0xA3, _sequence(*extensions)),
    )
    return _sequence(content, algorithm, _bits(signer.sign(content)))


def _pem(kind: str, content: bytes) -> str:
    text = base64.b64encode(content).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"
