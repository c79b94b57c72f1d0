"""The mail channel against real mail servers: one that works, and ones that refuse, hang or hang up."""

from __future__ import annotations

import email
import email.policy
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from hypothesis import given
from hypothesis import strategies as st

from alerts.channels.base import SendError
from alerts.channels.smtp import Smtp, SmtpOptions, dotted, mail, wire_address
from tests.alerts.channels.contract import NOW, message
from tests.alerts.channels.far_end import FarEnd, certificate, closed_port, cut, dripping, listening, server_context
from thresholds.settings import validate

PASSWORD = "geheim"


class Box:
    """Keeps the mails; refuses some recipients and some texts."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, EmailMessage]] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]
    ) -> str:
        if address.startswith("unknown"):
            return "550 5.1.1 no such mailbox"
        if address.startswith("full"):
            return "452 4.2.2 mailbox full"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        if b"x-refuse" in envelope.content:
            return "554 5.7.1 content refused"
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
        assert isinstance(parsed, EmailMessage)
        self.mails.append((envelope.rcpt_tos[0], parsed))
        return "250 2.0.0 queued as 77"


def check(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword) -> AuthResult:
    good = data.login == b"alarm" and data.password == PASSWORD.encode()
    return AuthResult(success=good, handled=False)


@contextmanager
def server(box: Box, **more: Any) -> Iterator[int]:
    controller = Controller(box, hostname="127.0.0.1", port=closed_port(), **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def channel(port: int, base: Path = Path(), **more: Any) -> Smtp:
    tables = {
        "kind": "smtp",
        "name": "mail",
        "host": "localhost",
        "port": port,
        "security": "none",
        "sender": "alarm@price.example",
        "timeout": "1s",
        **more,
    }
    options, faults = validate(SmtpOptions, tables, "config.toml")
    assert options is not None, faults
    return Smtp(options, base)


def to(address: str = "duty@price.example", **changes: Any) -> Any:
    return message(address=address, **changes)


def failing(send: Callable[[], object]) -> SendError:
    with pytest.raises(SendError) as caught:
        send()
    return caught.value


def test_the_mail_arrives_with_chinese_subject_text_and_key() -> None:
    box = Box()
    with server(box) as port:
        sent = channel(port).send(to(), NOW)
    ((recipient, got),) = box.mails
    assert recipient == got["To"] == "duty@price.example"
    assert got["Subject"] == "【三级】大米上涨12.0%"
    assert got["From"] == "价格与风险预警 <alarm@price.example>"
    assert got["Message-ID"] == "<k1@price.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got.get_content().replace("\r\n", "\n").strip() == message().body
    assert "queued as 77" in sent.detail


def test_an_unknown_recipient_is_permanent_and_a_full_mailbox_is_not() -> None:
    box = Box()
    with server(box) as port:
        unknown = failing(lambda: channel(port).send(to("unknown@price.example"), NOW))
        full = failing(lambda: channel(port).send(to("full@price.example"), NOW))
    assert (unknown.reason, unknown.permanent, unknown.uncertain) == ("address", True, False)
    assert (full.reason, full.permanent, full.uncertain) == ("address", False, False)
    assert box.mails == []


def test_a_refused_text_is_permanent_and_has_not_arrived() -> None:
    with server(Box()) as port:
        error = failing(lambda: channel(port).send(to(key="x-refuse"), NOW))
    assert (error.permanent, error.uncertain) == (True, False)
    assert "554" in str(error)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "100",
        "a@b\r\nRCPT TO:<x@y>",
        "a@b, c@d",
        "<a@b>",
        "a b@c",
        "张@price.example",
        "a@" + "x" * 300,
        "a@b\x00c",
        "a@..",
    ],
)
def test_what_is_no_mail_address_is_refused_before_connecting(address: str) -> None:
    error = failing(lambda: channel(closed_port()).send(to(address), NOW))
    assert (error.reason, error.permanent) == ("address", True)


def test_an_international_domain_goes_in_its_ascii_form() -> None:
    assert (
        wire_address("duty@价格.example")
        == "duty@xn--9kq967o.example"[:5] + "价格".encode("idna").decode() + ".example"
    )


@given(subject=st.text(max_size=200), body=st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
def test_no_subject_or_body_can_add_a_header_or_end_the_text(subject: str, body: str) -> None:
    options = channel(1).options
    made = mail(to(subject=subject, body=body), "duty@price.example", options, NOW)
    wire = dotted(made)
    assert wire.endswith(b"\r\n.\r\n")
    assert b"\r\n.\r\n" not in wire[:-3]
    got = email.message_from_bytes(made, policy=email.policy.SMTP)
    names = [name for name, _ in got.items()]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    }


def test_dots_at_the_beginning_of_lines_are_doubled() -> None:
    assert dotted(b".a\r\n..\r\nb") == b"..a\r\n...\r\nb\r\n.\r\n"


def test_starttls_with_login_works_and_a_wrong_password_can_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, key = certificate(tmp_path)
    box = Box()
    login = {"username": "alarm", "password": {"env": "MAIL_PASSWORD"}}

    def send(password: str, **more: Any) -> None:
        monkeypatch.setenv("MAIL_PASSWORD", password)
        channel(port, tmp_path, **{"security": "starttls", "ca": "cert.pem", **login, **more}).send(to(), NOW)

    tls = {"tls_context": server_context(made, key), "require_starttls": True}
    with server(box, **tls, authenticator=check, auth_required=True) as port:
        errors = [failing(partial(send, password)) for password in ("wrong", "", "nicht ASCII: ü")]
        untrusted = failing(lambda: send(PASSWORD, ca=""))
        assert not box.mails
        send(PASSWORD)
    assert [(error.reason, error.permanent, error.uncertain) for error in errors] == [("auth", False, False)] * 3
    assert (untrusted.reason, untrusted.permanent) == ("tls", False)
    assert len(box.mails) == 1


def test_tls_from_the_first_byte(tmp_path: Path) -> None:
    made, key = certificate(tmp_path)
    box = Box()

    with smtps(box, server_context(made, key)) as port:
        channel(port, tmp_path, security="tls", ca="cert.pem").send(to(), NOW)
        error = failing(lambda: channel(port, tmp_path, security="tls").send(to(), NOW))
        other = failing(
            lambda: channel(port, tmp_path, security="tls", ca="cert.pem", host="127.0.0.1").send(to(), NOW)
        )
    assert len(box.mails) == 1
    assert error.reason == other.reason == "tls"
    assert not error.uncertain


def greet(client: ssl.SSLContext, controller: Controller) -> None:
    """The test server's own check of readiness, which cannot know our certificate."""
    client.wrap_socket(socket.create_connection(("127.0.0.1", controller.port))).close()


@contextmanager
def smtps(box: Box, context: ssl.SSLContext) -> Iterator[int]:
    controller = Controller(box, hostname="127.0.0.1", port=closed_port(), ssl_context=context)
    client = ssl.create_default_context()
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    controller._trigger_server = partial(greet, client, controller)  # type: ignore[method-assign]
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def test_a_server_without_starttls_gets_nothing_when_starttls_is_asked_for() -> None:
    box = Box()
    with server(box) as port:
        error = failing(lambda: channel(port, security="starttls").send(to(), NOW))
    assert (error.reason, error.permanent) == ("tls", False)
    assert not box.mails


def dialogue(*answers: bytes | Callable[[socket.socket], None]) -> Callable[[socket.socket, FarEnd], None]:
    """A server that says its lines one after the other, each after a line of the client; bytes or an action."""

    def behave(connection: socket.socket, end: FarEnd) -> None:
        stream = connection.makefile("rb")
        for number, answer in enumerate(answers):
            if number:
                line = stream.readline()
                while line and in_text[0] and line != b".\r\n":
                    line = stream.readline()
            in_text[0] = isinstance(answer, bytes) and answer.startswith(b"354")
            if callable(answer):
                answer(connection)
                return
            connection.sendall(answer)
        stream.read()

    in_text = [False]
    return behave


GREETING, OK, GO = b"220 hello\r\n", b"250 ok\r\n", b"354 go on\r\n"


def with_dialogue(*answers: bytes | Callable[[socket.socket], None]) -> SendError:
    with listening(dialogue(*answers)) as end:
        return failing(lambda: channel(end.port).send(to(), NOW))


def test_a_connection_lost_after_the_text_may_have_been_taken() -> None:
    for then in (cut, lambda connection: connection.close()):
        error = with_dialogue(GREETING, OK, OK, OK, GO, then)
        assert (error.uncertain, error.permanent) == (True, False)


def test_no_answer_after_the_text_may_have_been_taken() -> None:
    error = with_dialogue(GREETING, OK, OK, OK, GO, lambda _: time.sleep(1.5))
    assert (error.reason, error.uncertain) == ("timeout", True)


@pytest.mark.parametrize("before", [(), (GREETING,), (GREETING, OK), (GREETING, OK, OK), (GREETING, OK, OK, OK)])
def test_a_connection_lost_before_the_text_has_not_arrived(before: tuple[bytes, ...]) -> None:
    error = with_dialogue(*before, cut)
    assert (error.uncertain, error.permanent) == (False, False)


@pytest.mark.parametrize(
    ("answers", "permanent"),
    [
        ((b"554 go away\r\n",), False),
        ((GREETING, OK, b"451 later\r\n"), False),
        ((GREETING, OK, b"553 sender refused\r\n"), True),
        ((GREETING, OK, OK, OK, b"451 later\r\n"), False),
        ((GREETING, OK, OK, OK, GO, b"452 no room\r\n"), False),
        ((GREETING, OK, OK, OK, GO, b"552 too large\r\n"), True),
    ],
)
def test_4xx_is_temporary_and_5xx_permanent_except_for_the_greeting(
    answers: tuple[bytes, ...], permanent: bool
) -> None:
    error = with_dialogue(*answers)
    assert (error.permanent, error.uncertain) == (permanent, False)


def test_a_server_that_drips_is_cut_at_the_deadline_of_the_whole() -> None:
    for answers in ((dripping(b"220-", 0.05),), (GREETING, dripping(b"250-x\r\n", 0.05))):
        start = time.monotonic()
        error = with_dialogue(*answers)
        assert error.reason == "timeout"
        assert time.monotonic() - start < 5


def test_an_answer_that_is_no_mail_server_at_all() -> None:
    assert with_dialogue(b"HTTP/1.1 400 Bad Request\r\n\r\n").permanent is False
    assert with_dialogue(GREETING, OK, OK, OK, GO, b"\xff\xfe\r\n").uncertain


def test_nobody_listens() -> None:
    error = failing(lambda: channel(closed_port()).send(to(), NOW))
    assert (error.reason, error.permanent, error.uncertain) == ("refused", False, False)


def test_a_connection_that_breaks_at_good_bye_is_still_success() -> None:
    with listening(dialogue(GREETING, OK, OK, OK, GO, OK, cut)) as end:
        channel(end.port).send(to(), NOW)


def test_wrong_options_are_faults_with_a_remedy() -> None:
    tables = {"kind": "smtp", "name": "mail", "host": "h", "sender": "x\r\ny@z", "username": "u", "security": "ssl"}
    options, faults = validate(SmtpOptions, tables, "config.toml")
    assert options is None
    assert {f.key for f in faults} >= {"sender", "security"}
    _, faults = validate(SmtpOptions, {**tables, "sender": "a@b.c", "security": "tls"}, "config.toml")
    assert "username and password" in faults[0].problem
