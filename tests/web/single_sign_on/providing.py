"""A real OpenID provider, oidc-provider from npm, in a process of its own, and somebody who signs in at it."""

import asyncio
import json
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPResponse

FOLDER = Path(__file__).parent / "provider"
FORM = re.compile(r'<form[^>]* action="([^"]+)" method="post">\s*<input type="hidden" name="prompt" value="(\w+)"')
SECRET = "a secret: with + and %"
"""That of the client `abtest`; the client `public` has none."""
needs_provider = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "node_modules").is_dir(),
    reason="needs node, and the packages that `make packages` installs",
)


class Providing:
    """The provider while it runs. `issuer`: its URL."""

    def __init__(self, process: Process, issuer: str) -> None:
        self.issuer = issuer
        self._process = process
        self._http = AsyncHTTPClient(force_instance=True)

    @classmethod
    async def start(cls, public_url: str, *pem: str) -> "Providing":
        """One that knows the server with this URL. `pem`: a file with a key and a certificate, for TLS."""
        urls = (f"{public_url}/sign-in/provider/return", f"{public_url}/sign-in")
        command = ("node", "provider.mjs", *urls, *pem)
        process = await asyncio.create_subprocess_exec(*command, cwd=FOLDER, stdin=PIPE, stdout=PIPE, stderr=DEVNULL)
        assert process.stdout is not None
        return cls(process, (await process.stdout.readline()).decode().strip())

    async def end(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()
        self._http.close()

    async def status(self, url: str) -> int:
        """What the provider answers to a browser at this URL."""
        return (await self._fetch(url, None, {})).code

    async def account(self, subject: str, **claims: Any) -> None:
        """Set what the provider says of an account."""
        url = f"{self.issuer}/accounts/{subject}"
        await self._http.fetch(url, method="PUT", body=json.dumps(claims), validate_cert=False)

    async def sign_in(self, url: str, subject: str) -> str:
        """Where a browser that is sent to this URL is sent back to, after somebody signed in with this account."""
        cookies: dict[str, str] = {}
        body = None
        while True:
            answer = await self._fetch(url, body, cookies)
            if answer.code == 200:
                found = FORM.search(answer.body.decode())
                assert found, answer.body.decode()
                url, prompt = urljoin(url, found[1]), found[2]
                body = urlencode({"prompt": prompt, "login": subject, "password": "x"})
                continue
            assert answer.code in {302, 303}, answer.body.decode()
            url, body = urljoin(url, answer.headers["Location"]), None
            if not url.startswith(self.issuer):
                return url

    async def _fetch(self, url: str, body: str | None, cookies: dict[str, str]) -> HTTPResponse:
        answer = await self._http.fetch(
            url,
            method="GET" if body is None else "POST",
            body=body,
            headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
            follow_redirects=False,
            raise_error=False,
        )
        for line in answer.headers.get_list("Set-Cookie"):
            cookies |= {name: morsel.value for name, morsel in SimpleCookie(line).items()}
        return answer


def path_of(url: str) -> str:
    """A URL of our server without its host."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"
