"""Tokens: who is believed, and how keys change hands."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from ironloop.options.v1 import options_pb2
from jwt.algorithms import OKPAlgorithm

from services.kit import tokens
from services.kit.errors import Unauthenticated
from services.kit.tokens import Authenticator, FixedKeys, KeysUnavailable, PublishedKeys


class Signer:
    """An issuer of a few keys, and its JWKS."""

    def __init__(self) -> None:
        self.keys: dict[str, Ed25519PrivateKey] = {}

    def add(self, key_id: str) -> None:
        self.keys[key_id] = Ed25519PrivateKey.generate()

    def jwks(self) -> dict[str, Any]:
        return {
            "keys": [
                OKPAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": key_id}
                for key_id, key in self.keys.items()
            ]
        }

    def token(self, key_id: str, **claims: Any) -> str:
        whole = {
            "iss": "us",
            "aud": "ironloop",
            "sub": "users/1",
            "party": "parties/1",
            "roles": ["SELLER", "UNHEARD_OF"],
            "exp": time.time() + 60,
        } | claims
        return jwt.encode(
            {name: value for name, value in whole.items() if value is not None},
            self.keys[key_id],
            algorithm="EdDSA",
            headers={"kid": key_id},
        )


class Published:
    """A signer's JWKS over HTTP, which counts who asks."""

    def __init__(self, signer: Signer) -> None:
        published = self
        self.asked = 0
        self.is_down = False

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                published.asked += 1
                self.send_response(500 if published.is_down else 200)
                self.end_headers()
                self.wfile.write(json.dumps(signer.jwks()).encode())

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/jwks"


@pytest.fixture
def signer() -> Signer:
    made = Signer()
    made.add("first")
    return made


@pytest.fixture
def published(signer: Signer) -> Iterator[Published]:
    listener = Published(signer)
    yield listener
    listener.server.shutdown()
    listener.server.server_close()


def authenticator(keys: tokens.Keys) -> Authenticator:
    return Authenticator(keys, issuer="us", audience="ironloop")


async def test_a_token_tells_who_calls(signer: Signer) -> None:
    caller = await authenticator(FixedKeys(signer.jwks)).principal(
        "Bearer " + signer.token("first", obo="users/2")
    )
    assert (caller.subject, caller.party) == ("users/1", "parties/1")
    assert caller.roles == {options_pb2.ROLE_SELLER}
    assert caller.actor == "users/2"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": "them"},
        {"aud": "elsewhere"},
        {"exp": 1},
        {"exp": None},
        {"exp": "soon"},
        {"sub": None},
        {"sub": 7},
        {"roles": "SELLER"},
        {"roles": 5},
        {"nbf": 4_000_000_000},
    ],
)
async def test_claims_that_do_not_fit_are_refused(signer: Signer, claims: dict[str, Any]) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(FixedKeys(signer.jwks)).principal(
            "Bearer " + signer.token("first", **claims)
        )


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer ", "Basic abc", "Bearer abc", "Bearer a.b.c", "Bearer " + "x" * 9_000,
     "Bearer W1tb." + "W1tb" * 1_500 + ".x", "Bearer é.é.é"],
)  # fmt: skip
async def test_what_is_no_token_is_refused(signer: Signer, header: str) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator(FixedKeys(signer.jwks)).principal(header)


async def test_a_forged_token_is_refused(signer: Signer) -> None:
    forger = Signer()
    forger.add("first")
    forged = forger.token("first")
    unsigned = jwt.encode({"sub": "users/1"}, "", algorithm="none", headers={"kid": "first"})
    shared = jwt.encode({"sub": "users/1"}, "k" * 32, algorithm="HS256", headers={"kid": "first"})
    for token in (forged, unsigned, shared):
        with pytest.raises(Unauthenticated):
            await authenticator(FixedKeys(signer.jwks)).principal(f"Bearer {token}")


async def test_a_new_key_counts_at_once_without_a_restart(
    signer: Signer, published: Published
) -> None:
    door = authenticator(PublishedKeys(published.url))
    await door.principal("Bearer " + signer.token("first"))
    signer.add("second")
    caller = await door.principal("Bearer " + signer.token("second"))
    assert caller.subject == "users/1"
    await door.principal("Bearer " + signer.token("first", sub="users/9"))
    assert published.asked == 2


async def test_unknown_keys_ask_the_issuer_seldom(
    signer: Signer, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "KEYS_REFETCH_AFTER_S", 0.05)
    door = authenticator(PublishedKeys(published.url))
    stranger = Signer()
    for number in range(50):
        stranger.add(f"strange {number}")
    calls = (door.principal("Bearer " + stranger.token(key_id)) for key_id in stranger.keys)
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, Unauthenticated) for answer in answers)
    assert published.asked == 1


async def test_a_call_that_comes_while_the_keys_are_fetched_takes_what_comes(
    published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching, let_go = threading.Event(), threading.Event()

    def slowly(url: str) -> object:
        fetching.set()
        let_go.wait()
        return read(url)

    read = tokens._read_json
    monkeypatch.setattr(tokens, "_read_json", slowly)
    keys = PublishedKeys(published.url)
    first = asyncio.create_task(keys.find("first"))
    await asyncio.to_thread(fetching.wait)
    second = asyncio.create_task(keys.find("first"))
    await asyncio.sleep(0)  # until it waits
    let_go.set()
    assert await first is await second is not None
    assert published.asked == 1


async def test_a_withdrawn_key_stops_counting(
    signer: Signer, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "KEYS_STALE_AFTER_S", 0.0)
    monkeypatch.setattr(tokens, "KEYS_REFETCH_AFTER_S", 0.0)
    door = authenticator(PublishedKeys(published.url))
    token = signer.token("first")
    await door.principal(f"Bearer {token}")
    signer.add("second")
    del signer.keys["first"]
    with pytest.raises(Unauthenticated):
        await door.principal(f"Bearer {token}")


async def test_known_keys_outlive_an_issuer_that_is_away(
    signer: Signer, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "KEYS_STALE_AFTER_S", 0.0)
    monkeypatch.setattr(tokens, "KEYS_REFETCH_AFTER_S", 0.0)
    keys = PublishedKeys(published.url)
    assert await keys.find("first") is not None
    published.is_down = True
    assert await keys.find("first") is not None
    with pytest.raises(KeysUnavailable):
        await keys.find("unknown")
    monkeypatch.setattr(tokens, "KEYS_USABLE_FOR_S", -1.0)
    with pytest.raises(KeysUnavailable):
        await keys.find("first")
    published.is_down = False
    assert published.asked == 4
    assert await keys.find("first") is not None


async def test_a_verified_token_counts_until_it_expires(signer: Signer) -> None:
    door = authenticator(FixedKeys(signer.jwks))
    token = signer.token("first", exp=time.time() + 30)
    assert await door.principal(f"Bearer {token}") is await door.principal(f"Bearer {token}")
    assert timedelta(seconds=tokens.LEEWAY_S) < timedelta(seconds=30)
