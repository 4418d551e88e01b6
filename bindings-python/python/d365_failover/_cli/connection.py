"""The options by which a command reaches an organization, and the client that they make."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import click

from .. import Client
from .._sys.command import arguments_of

_SECRET = ("secret", "token", "password")
_NO_SECRETS = frozenset(("token_precedence",))
_USER = re.compile(r"://[^/]*@")
_TOKEN_TIME = 60
_LARGEST_TOKEN = 256 << 10
"""Bytes: what the library takes."""
_LOOK = 0.1

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Connection:
    """What was said of an organization."""

    url: str
    settings: dict[str, Any]

    @property
    def has_token(self) -> bool:
        """Whether what is asked for is asked for with one."""
        return "token_provider" in self.settings or any(name.startswith("oauth_") for name in self.settings)

    @contextlib.contextmanager
    def client(self, **more: Any) -> Iterator[Client]:
        try:
            client = Client(self.url, **{**self.settings, **more})
        except TypeError as error:
            # A value of `--set` that is of another kind.
            raise click.UsageError(str(error)) from None
        with client:
            try:
                yield client
            finally:
                provider = self.settings.get("token_provider")
                if isinstance(provider, _TokenCommand):
                    provider.end()


def organization(function: F) -> F:
    """Adds the argument and the options, which come as keywords."""
    for decorate in reversed(
        (
            click.argument("url", envvar="D365_URL"),
            click.option(
                "--alternate-url", envvar="D365_ALTERNATE_URL", help="The other endpoint, if no rule gives it."
            ),
            click.option(
                "--url-form", type=click.Choice(["host", "path"]), help="Where the organization's name stands."
            ),
            click.option(
                "--ca-bundle", envvar="D365_CA_BUNDLE", metavar="FILE", help="Certificate authorities, in PEM."
            ),
            click.option(
                "--connect-to",
                envvar="D365_CONNECT_TO",
                metavar="HOST:PORT:ADDRESS:PORT",
                help="Where a host really is; several with commas.",
            ),
            click.option(
                "--token-command",
                envvar="D365_TOKEN_COMMAND",
                metavar="COMMAND",
                help="Prints a token for the endpoint in $D365_ENDPOINT_URL. Without it $D365_TOKEN is the token; with "
                "--set oauth_client_id and oauth_tenant, $D365_OAUTH_CLIENT_SECRET is the secret.",
            ),
            click.option(
                "--set",
                "more",
                multiple=True,
                metavar="NAME=VALUE",
                help="Another setting of the library's, by its name in Python. No secrets: they would show in ps.",
            ),
        )
    ):
        function = decorate(function)
    return function


def url_of_environment() -> str:
    """Where the one word that was given is what follows the URL."""
    url = os.environ.get("D365_URL")
    if not url:
        raise click.UsageError("Missing argument 'URL': there is no D365_URL either.")
    return url


def connection(
    url: str,
    alternate_url: str | None,
    url_form: str | None,
    ca_bundle: str | None,
    connect_to: str | None,
    token_command: str | None,
    more: tuple[str, ...],
) -> Connection:
    settings: dict[str, Any] = {
        "alternate_url": alternate_url,
        "url_form": url_form,
        "ca_bundle": ca_bundle,
        "connect_to": connect_to,
        "token_provider": _provider(token_command),
    }
    for one in more:
        name, is_one, value = one.partition("=")
        if not is_one:
            raise click.UsageError(f"--set {name}: it wants NAME=VALUE")
        if name not in _NO_SECRETS and any(secret in name for secret in _SECRET):
            raise click.UsageError(f"--set {name}: a secret in an argument can be read by all who see processes")
        if _USER.search(value):
            raise click.UsageError(
                f"--set {name}: user and password in an argument can be read by all who see processes"
            )
        settings[name] = _value(value)
    if "oauth_client_id" in settings:
        settings["oauth_client_secret"] = os.environ.get("D365_OAUTH_CLIENT_SECRET") or None
    return Connection(url, {name: value for name, value in settings.items() if value is not None})


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _provider(command: str | None) -> Callable[[str], str] | None:
    if command is not None:
        try:
            arguments = arguments_of(command)
        except ValueError as error:
            raise click.UsageError(f"--token-command: {error}") from None
        if not arguments:
            raise click.UsageError("--token-command: it is empty")
        return _TokenCommand(arguments)
    token = os.environ.get("D365_TOKEN", "").strip()
    return None if not token else lambda url: token


class _TokenCommand:
    def __init__(self, arguments: str | list[str]) -> None:
        self._arguments = arguments
        self._is_over = False

    def __call__(self, url: str) -> str:
        try:
            asked = subprocess.Popen(
                self._arguments,
                env={**os.environ, "D365_ENDPOINT_URL": url},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # What it says is its own; it may be more than should be seen.
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise RuntimeError(f"the token command cannot be run: {error.strerror}") from None
        with asked:
            try:
                token = self._said(asked)
            finally:
                asked.kill()
        if asked.returncode != 0:
            raise RuntimeError(f"the token command ended with {asked.returncode}")
        return token.decode(errors="replace").strip()

    def _said(self, asked: subprocess.Popen[bytes]) -> bytes:
        # A program that it has started may hold its output open when it is gone itself: who reads is left behind then,
        # with what is read from.
        output, asked.stdout = asked.stdout, None
        assert output is not None
        said: list[bytes] = []
        reader = threading.Thread(target=_read, args=(output, said), daemon=True)
        reader.start()
        end = time.monotonic() + _TOKEN_TIME
        while not self._is_over and time.monotonic() < end:
            reader.join(_LOOK)
            if said and len(said[0]) > _LARGEST_TOKEN:
                raise RuntimeError(f"the token command was ended: it gave more than {_LARGEST_TOKEN} bytes")
            if said:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    asked.wait(_LOOK)
                    return said[0]
        why = "nobody waits for it any more" if self._is_over else f"it gave nothing in {_TOKEN_TIME} s"
        raise RuntimeError(f"the token command was ended: {why}")

    def end(self) -> None:
        """Nobody waits for a token any more."""
        self._is_over = True


def _read(output: IO[bytes], said: list[bytes]) -> None:
    with output:
        said.append(output.read(_LARGEST_TOKEN + 1))
