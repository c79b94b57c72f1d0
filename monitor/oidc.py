"""OpenID Connect: the code flow with PKCE, state and nonce, as a client of the provider of the office.

Nothing here knows accounts or pages. Whatever the provider says is checked: its own name, the signature by its keys,
issuer, audience, times and nonce of the identity token. A fault is an OidcError whose `reason` goes into the log;
neither code nor token nor secret does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

if TYPE_CHECKING:
    import httpx

    from monitor.web.context import OidcSettings

ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA"]
METADATA_KEPT = timedelta(hours=1)
KEYS_AGAIN = timedelta(minutes=1)
SKEW = 120
MOST_BYTES = 1_000_000


class OidcError(Exception):
    """Signing in by the provider did not work. `reason` says what is wrong, for the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Journey:
    """What a sign-in carries to the provider and back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def new(cls) -> Journey:
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(48))

    @property
    def challenge(self) -> str:
        """Of PKCE, method S256 (RFC 7636)."""
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).decode().rstrip("=")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the provider says it is."""

    subject: str
    name: str
    shown: str


class Provider:
    """One provider; remembers what it published. Thread-safe."""

    def __init__(self, settings: OidcSettings, base: Path) -> None:
        self.settings, self.base = settings, base
        self._lock = threading.Lock()
        self._metadata: tuple[datetime, Mapping[str, Any]] | None = None
        self._keys: tuple[datetime, Mapping[str, Any]] | None = None

    def address(self, journey: Journey, redirect_uri: str, now: datetime) -> str:
        """Where to send the browser. Raises OidcError."""
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": journey.state,
            "nonce": journey.nonce,
            "code_challenge": journey.challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self.endpoint("authorization_endpoint", now)
        return endpoint + ("&" if "?" in endpoint else "?") + urlencode(query)

    def identity(self, code: str, nonce: str, verifier: str, redirect_uri: str, now: datetime) -> Identity:
        """Exchange the code and check what comes back. Raises OidcError."""
        answer = self.exchange(code, verifier, redirect_uri, now)
        claims = self.verified(str(answer.get("id_token", "")), nonce, now)
        wanted = self.settings.name_claim
        if not claims.get(wanted) and answer.get("access_token"):
            claims = {**self.user_info(str(answer["access_token"]), str(claims["sub"]), now), **claims}
        name = claims.get(wanted)
        if not isinstance(name, str) or not name.strip():
            raise OidcError(f"the provider did not say the claim {wanted!r}")
        shown = claims.get("name")
        return Identity(str(claims["sub"]), name.strip(), shown.strip() if isinstance(shown, str) else "")

    # --- what the provider publishes

    def metadata(self, now: datetime) -> Mapping[str, Any]:
        with self._lock:
            if self._metadata is not None and abs(now - self._metadata[0]) < METADATA_KEPT:
                return self._metadata[1]
        found = self.get(self.settings.issuer.rstrip("/") + "/.well-known/openid-configuration")
        if str(found.get("issuer", "")).rstrip("/") != self.settings.issuer.rstrip("/"):
            raise OidcError(f"the provider calls itself {found.get('issuer')!r}, not {self.settings.issuer!r}")
        with self._lock:
            self._metadata = (now, found)
        return found

    def endpoint(self, name: str, now: datetime) -> str:
        address = str(self.metadata(now).get(name, ""))
        if not address or not is_safe(address):
            raise OidcError(f"the provider has no {name} that can be used")
        return address

    def keys(self, now: datetime, *, again: bool = False) -> Mapping[str, Any]:
        """The provider's keys; `again` asks for them anew, at most once a minute."""
        with self._lock:
            if self._keys is not None and abs(now - self._keys[0]) < (KEYS_AGAIN if again else METADATA_KEPT):
                return self._keys[1]
        found = self.get(self.endpoint("jwks_uri", now))
        with self._lock:
            self._keys = (now, found)
        return found

    # --- tokens

    def exchange(self, code: str, verifier: str, redirect_uri: str, now: datetime) -> Mapping[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
            "client_id": self.settings.client_id,
        }
        try:
            secret = self.settings.client_secret.read(self.base)
        except ValueError as error:
            raise OidcError(f"the client secret cannot be read: {error}") from error
        methods = self.metadata(now).get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        basic = "client_secret_basic" in methods
        endpoint = self.endpoint("token_endpoint", now)
        with self.client() as client:
            if basic:
                return self.answer(client, "POST", endpoint, data=form, auth=(self.settings.client_id, secret))
            return self.answer(client, "POST", endpoint, data={**form, "client_secret": secret})

    def verified(self, token: str, nonce: str, now: datetime) -> Mapping[str, Any]:
        """The claims of an identity token (OpenID Connect Core, 3.1.3.7)."""
        claims = self.decoded(token, now)
        at = int(now.timestamp())
        audience = claims.get("aud")
        audiences = [audience] if isinstance(audience, str) else audience if isinstance(audience, list) else []
        if str(claims.get("iss", "")).rstrip("/") != self.settings.issuer.rstrip("/"):
            raise OidcError("the token is of another issuer")
        if self.settings.client_id not in audiences:
            raise OidcError("the token is for another program")
        if (len(audiences) > 1 or "azp" in claims) and claims.get("azp") != self.settings.client_id:
            raise OidcError("the token was asked for by another program")
        if not is_time(claims.get("exp")) or claims["exp"] + SKEW <= at:
            raise OidcError("the token has expired")
        if not is_time(claims.get("iat")) or claims["iat"] - SKEW > at:
            raise OidcError("the token is from the future; do the clocks agree?")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise OidcError("the token belongs to another sign-in")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise OidcError("the token names nobody")
        return claims

    def decoded(self, token: str, now: datetime) -> dict[str, Any]:
        """The claims of a token whose signature is by one of the provider's keys, which it may have changed."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        for again in (False, True):
            try:
                keys = KeySet.import_key_set(self.keys(now, again=again))  # type: ignore[arg-type]
                return jwt.decode(token, keys, algorithms=ALGORITHMS).claims
            except (JoseError, ValueError, KeyError, TypeError) as error:
                problem = type(error).__name__
        raise OidcError(f"the token is not signed by the provider ({problem})")

    def user_info(self, access_token: str, subject: str, now: datetime) -> Mapping[str, Any]:
        with self.client() as client:
            headers = {"Authorization": f"Bearer {access_token}"}
            found = self.answer(client, "GET", self.endpoint("userinfo_endpoint", now), headers=headers)
        if found.get("sub") != subject:
            raise OidcError("the provider speaks of two different people")
        return found

    # --- HTTP

    def get(self, address: str) -> Mapping[str, Any]:
        with self.client() as client:
            return self.answer(client, "GET", address)

    def client(self) -> httpx.Client:
        import ssl

        import httpx

        verify: ssl.SSLContext | bool = True
        if self.settings.ca_file:
            verify = ssl.create_default_context(cafile=str(self.base / self.settings.ca_file))
        return httpx.Client(timeout=self.settings.timeout.total_seconds(), verify=verify)

    def answer(self, client: httpx.Client, method: str, address: str, **request: Any) -> Mapping[str, Any]:
        """A JSON object. Redirects are not followed: they would carry secrets elsewhere."""
        import httpx

        where = urlsplit(address)._replace(query="", fragment="").geturl()
        try:
            found = client.request(method, address, **request)
            body = found.json() if len(found.content) <= MOST_BYTES else None
        except httpx.HTTPError as error:
            raise OidcError(f"{where} does not answer ({type(error).__name__})") from error
        except ValueError as error:
            raise OidcError(f"{where} answers {found.status_code} without JSON") from error
        if found.status_code != 200 or not isinstance(body, dict):
            said = body.get("error") if isinstance(body, dict) else ""
            raise OidcError(f"{where} answers {found.status_code} {str(said or '')[:60]}")
        return body


def is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_safe(address: str) -> bool:
    """Whether an address is https, or on this very machine."""
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
