"""Mail: one transaction with the mail server per message and recipient, so that each refusal has its address.

The Message-ID is made of the message's key: a repeat has the same one, and mail programs may drop it.
"""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from alerts.channels.base import ChannelOptions, Message, SendError, Sent
from alerts.channels.deadline import deadline
from thresholds.settings import Secret

ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[^\s@<>,;:\"()\[\]\\]{1,255}")
PORTS = {"starttls": 587, "tls": 465, "none": 25}


class SmtpOptions(ChannelOptions):
    """security  starttls (the server must offer it), tls (from the first byte), none (a relay on a trusted network)
    ca        PEM file of the authority that signed the server's certificate, in place of the system's
    """

    kind: Literal["smtp"]
    host: str = Field(min_length=1)
    port: int = Field(default=0, ge=0, le=65535)
    """0: the usual one, 587 for starttls, 465 for tls, 25 for none"""
    security: Literal["starttls", "tls", "none"] = "starttls"
    username: str = ""
    password: Secret | None = None
    sender: str
    sender_name: str = "价格与风险预警"
    ca: str = ""

    @field_validator("sender")
    @classmethod
    def mail_address(cls, value: str) -> str:
        if not ADDRESS.fullmatch(value):
            raise ValueError(f"{value!r} is not a mail address|Write it as name@example.org")
        return value

    @model_validator(mode="after")
    def whole_login(self) -> SmtpOptions:
        if bool(self.username) != bool(self.password):
            raise ValueError("only one of username and password is given|Give both, or none")
        return self


class Smtp:
    """4xx is temporary, 5xx to MAIL, RCPT and DATA permanent; a refused login or greeting is the channel's fault, so
    temporary. A connection lost after the text went out and before the server's answer is `uncertain`."""

    def __init__(self, options: SmtpOptions, base: Path) -> None:
        self.name = options.name
        self.options = options
        self.base = base

    def send(self, message: Message, now: datetime) -> Sent:
        recipient = wire_address(message.address)
        data = mail(message, recipient, self.options, now)
        talk = Conversation(self.options, self.base)
        with deadline(self.options.timeout.total_seconds(), lambda: talk.socket) as limit:
            try:
                talk.greet()
                limit.check()
                return talk.deliver(recipient, data)
            except (smtplib.SMTPException, OSError) as error:
                raise talk.failure(error, passed=limit.passed) from error
            finally:
                talk.close()


class Conversation:
    """One connection to the mail server. `left` is true once the whole text, with its final dot, has gone out."""

    def __init__(self, options: SmtpOptions, base: Path) -> None:
        self.options = options
        self.base = base
        self.stage = "connecting"
        self.left = False
        name = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname()) or "localhost"
        seconds = options.timeout.total_seconds()
        self.smtp: smtplib.SMTP
        if options.security == "tls":
            self.smtp = smtplib.SMTP_SSL(local_hostname=name, timeout=seconds, context=self.context())
        else:
            self.smtp = smtplib.SMTP(local_hostname=name, timeout=seconds)

    @property
    def socket(self) -> socket.socket | None:
        return self.smtp.sock

    def context(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=str(self.base / self.options.ca) if self.options.ca else None)
        except (OSError, ssl.SSLError) as error:
            raise SendError(
                "tls", f"the authority file of channel {self.options.name} cannot be used: {error}"
            ) from error

    def deliver(self, recipient: str, data: bytes) -> Sent:
        """Log in and hand over the text. Raises SendError, or what `failure` makes one of."""
        self.login()
        self.stage = "MAIL"
        self.expect(self.smtp.mail(self.options.sender))
        self.stage = "RCPT"
        self.expect(self.smtp.rcpt(recipient))
        self.stage = "DATA"
        self.expect(self.smtp.docmd("DATA"), first="3")
        self.smtp.send(dotted(data))
        self.left = True
        code, text = self.smtp.getreply()
        self.left = code < 200  # a real answer settles it
        self.expect((code, text))
        return Sent(detail=said(text))

    def greet(self) -> None:
        """Connect, and secure the connection as configured."""
        options = self.options
        self.smtp._host = options.host  # type: ignore[attr-defined]  # the name that the certificate is checked against
        self.expect(self.smtp.connect(options.host, options.port or PORTS[options.security]))
        self.smtp.ehlo_or_helo_if_needed()
        if options.security == "starttls":
            self.stage = "STARTTLS"
            self.expect(self.smtp.starttls(context=self.context()))
            self.smtp.ehlo_or_helo_if_needed()

    def login(self) -> None:
        if self.options.password is None:
            return
        self.stage = "AUTH"
        try:
            password = self.options.password.read(self.base)
        except ValueError as error:
            raise SendError("auth", f"the password of channel {self.options.name} cannot be read: {error}") from error
        try:
            self.smtp.login(self.options.username, password)
        except UnicodeError as error:
            raise SendError("auth", "user name and password must be plain ASCII") from error

    def expect(self, reply: tuple[int, bytes], first: str = "2") -> None:
        """Raise SendError unless the code begins with `first`."""
        code, text = reply
        if str(code).startswith(first):
            return
        if code < 200:
            raise smtplib.SMTPServerDisconnected("the answer cannot be understood")
        permanent = code >= 500 and self.stage in ("MAIL", "RCPT", "DATA")
        reason = {"RCPT": "address", "AUTH": "auth", "STARTTLS": "tls"}.get(self.stage, "refused")
        raise SendError(
            reason, f"the mail server answered {code} to {self.stage} ({said(text)})", permanent=permanent
        )

    def failure(self, error: Exception, *, passed: bool) -> SendError:
        """Our error for one of smtplib, ssl or the system."""
        may = "; it may have arrived" if self.left else ""
        if passed or isinstance(error, TimeoutError):
            return SendError("timeout", f"no answer within the time-out at {self.stage}{may}", uncertain=self.left)
        if isinstance(error, ssl.SSLError):
            return SendError("tls", f"no secure connection at {self.stage} ({error}){may}", uncertain=self.left)
        if isinstance(error, smtplib.SMTPResponseException):
            try:
                self.expect((error.smtp_code, as_bytes(error.smtp_error)), first="never")
            except SendError as ours:
                return ours
            except smtplib.SMTPException:
                return SendError("protocol", f"an answer at {self.stage} cannot be understood")
        if isinstance(error, smtplib.SMTPNotSupportedError):
            reason = "tls" if self.stage == "STARTTLS" else "auth" if self.stage == "AUTH" else "protocol"
            return SendError(reason, f"the mail server does not offer what is configured ({error})")
        if isinstance(error, smtplib.SMTPException):
            return SendError("protocol", f"the connection broke at {self.stage} ({error}){may}", uncertain=self.left)
        return SendError("refused" if self.stage == "connecting" else "io", f"{error}{may}", uncertain=self.left)

    def close(self) -> None:
        """Say good-bye where there is a connection; what was accepted stays accepted, whatever happens here."""
        try:
            if self.smtp.sock is not None:
                self.smtp.sock.settimeout(2)
                self.smtp.quit()
        except (smtplib.SMTPException, OSError):
            self.smtp.close()


def wire_address(address: str) -> str:
    """The address as it goes on the wire, international domains in their ASCII form. Raises SendError 'address'."""
    if ADDRESS.fullmatch(address) and address.isprintable():
        local, _, domain = address.rpartition("@")
        try:
            return f"{local}@{domain.encode('idna').decode('ascii')}"
        except UnicodeError:
            pass
    raise SendError("address", "the contact's address is not a mail address; correct the contact", permanent=True)


def mail(message: Message, recipient: str, options: SmtpOptions, now: datetime) -> bytes:
    """The mail as bytes. Line breaks and control characters in header values become blanks."""
    made = EmailMessage(policy=SMTP)
    made["From"] = Address(header_text(options.sender_name), addr_spec=options.sender)
    made["To"] = Address(addr_spec=recipient)
    made["Subject"] = header_text(message.subject)
    made["Date"] = format_datetime(now)
    made["Message-ID"] = f"<{re.sub(r'[^A-Za-z0-9._-]', '-', message.key)}@{options.sender.rpartition('@')[2]}>"
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(message.body, charset="utf-8", cte="base64")
    return made.as_bytes()


def header_text(text: str) -> str:
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def dotted(data: bytes) -> bytes:
    """The text as DATA wants it: a leading dot doubled, a lone dot at the end."""
    ended = data if data.endswith(b"\r\n") else data + b"\r\n"
    return re.sub(rb"(?m)^\.", b"..", ended) + b".\r\n"


def said(text: bytes) -> str:
    """What a server said, fit for a log line."""
    return header_text(text.decode("utf-8", "replace"))[:200]


def as_bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else str(text).encode("utf-8", "replace")
