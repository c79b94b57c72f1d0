"""One table of the configuration becomes one channel, and what is wrong with it is said before it is used."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from alerts.channels.factory import AnyChannel, build_channel
from alerts.channels.file import File
from alerts.channels.smtp import Smtp
from alerts.channels.webhook import Webhook
from thresholds.settings import Settings, validate


class Channels(Settings):
    channels: tuple[AnyChannel, ...] = Field(default=())


HOOK = {"kind": "webhook", "name": "hook", "url": "https://hook.example/", "secret": {"file": "hook.secret"}}
MAIL = {"kind": "smtp", "name": "mail", "host": "mail.example", "sender": "a@b.example"}
FILE = {"kind": "file", "name": "file", "path": "out.jsonl"}


def test_the_kind_decides_which_channel_is_built(tmp_path: Path) -> None:
    made, faults = validate(Channels, {"channels": [HOOK, MAIL, FILE]}, "config.toml")
    assert made is not None, faults
    built = [build_channel(options, tmp_path) for options in made.channels]
    assert [type(channel) for channel in built] == [Webhook, Smtp, File]
    assert [channel.name for channel in built] == ["hook", "mail", "file"]


def test_an_unknown_kind_and_a_wrong_key_name_their_place() -> None:
    _, faults = validate(Channels, {"channels": [FILE, {"kind": "fax", "name": "x"}]}, "config.toml")
    assert faults[0].key.startswith("channels[2]")
    _, faults = validate(Channels, {"channels": [{**FILE, "pat": 1}]}, "config.toml")
    assert [f.key for f in faults] == ["channels[1].pat"]


def test_building_opens_nothing(tmp_path: Path) -> None:
    made, _ = validate(Channels, {"channels": [HOOK, MAIL, FILE]}, "config.toml")
    assert made is not None
    for options in made.channels:
        build_channel(options, tmp_path)
    assert list(tmp_path.iterdir()) == []
