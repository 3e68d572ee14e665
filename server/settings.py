"""Settings: the environment, read once into one frozen `Settings`.

Every field is one setting. Its environment variable is `EARLYSIGN_` and the field's name in capitals; its
description stands beside it, is printed by `earlysign doctor --settings`, and makes the table of the README.
A test fails when a field has no description. Nothing else in the server reads the environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

PREFIX = "EARLYSIGN_"
OTHER_PROGRAMS = ("EARLYSIGN_DEVICE_", "EARLYSIGN_TEST_", "EARLYSIGN_DEMO_", "EARLYSIGN_BENCH_")
DATABASE_FILE = "earlysign.db"
ATTACHMENTS_FOLDER = "attachments"
MEGABYTE = 1_000_000
WORKERS_MAX = (
    8  # each opens nine connections to PostgreSQL, which takes 100 by default (see server/beside.py too)
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class SettingsError(ValueError):
    """A setting that cannot be used. The message names the variable and says what to write instead."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be chosen without changing code. Times carry their unit in their name."""

    data: Annotated[
        Path,
        Meta(
            description="Folder for the database, the secret key, attachments and backups. "
            "Only the account that runs the server should be able to open it."
        ),
    ] = Path("earlysign-data")
    database: Annotated[
        str,
        Meta(
            description="Empty for SQLite in the data folder, or `postgresql://user@host/name` "
            "(needs the extra `postgres`)."
        ),
    ] = ""
    host: Annotated[str, Meta(description="Address to listen on.", min_length=1)] = "127.0.0.1"
    port: Annotated[int, Meta(description="Port to listen on.", ge=1, le=65535)] = 8000
    workers: Annotated[
        int,
        Meta(
            description="Server processes at that address. More than 1 need PostgreSQL; one for each core "
            "is plenty.",
            ge=1,
            le=WORKERS_MAX,
        ),
    ] = 1
    public_url: Annotated[
        str,
        Meta(
            description="The address that phones and browsers use, such as "
            "`https://earlysign.example.police.uk`. Empty means `http://HOST:PORT`. When it begins with "
            "`https://`, cookies are sent over TLS only."
        ),
    ] = ""
    trusted_proxies: Annotated[
        str,
        Meta(
            description="Addresses of the proxies in front, separated by commas: only from these is the "
            "`X-Forwarded-For` header believed."
        ),
    ] = "127.0.0.1"
    linkage_ahead: Annotated[
        Literal["auto", "yes", "no"],
        Meta(
            description="Let a process of its own work out which children a push is about while others are written "
            "to SQLite. `auto`: yes where there are two cores or more."
        ),
    ] = "auto"
    migrate_on_start: Annotated[
        Literal["auto", "yes", "no"],
        Meta(
            description="Bring the database up to date when the server starts. `auto`: yes for SQLite, "
            "no for PostgreSQL (run `earlysign migrate` there)."
        ),
    ] = "auto"
    jobs: Annotated[
        bool,
        Meta(
            description="Run escalation, delivery and housekeeping here; of several processes on one database, "
            "one at a time does."
        ),
    ] = True
    policy: Annotated[
        Path | None,
        Meta(
            description="A TOML file whose roles replace the built-in ones of the same name "
            "(`server/access/policy.toml` shows the form)."
        ),
    ] = None
    boroughs: Annotated[
        Path | None,
        Meta(
            description="A TOML file with the force's boroughs and command units, in place of London's "
            "(`server/casework/boroughs.toml` shows the form)."
        ),
    ] = None
    rules: Annotated[
        Path | None,
        Meta(
            description="A TOML file with the rules, clocks and escalations to use in place of the built-in pack "
            "(`server/casework/rules.toml` shows the form), until `earlysign rules reload` puts another in force."
        ),
    ] = None
    secret: Annotated[
        str,
        Meta(
            description="Key from which cookie, cursor and receipt keys are derived, 64 hexadecimal digits. "
            "Empty: made once and kept in the data folder. Several servers on one database need the same one."
        ),
    ] = ""
    metrics_token: Annotated[
        str,
        Meta(description="Bearer token that `/metrics` asks for. Empty: only this machine may ask."),
    ] = ""
    session_idle_minutes: Annotated[
        int, Meta(description="A person is signed out after this long without a request.", ge=1, le=1440)
    ] = 30
    session_hours: Annotated[
        int, Meta(description="A person is signed out this long after signing in.", ge=1, le=168)
    ] = 12
    sign_in_attempts: Annotated[
        int,
        Meta(
            description="Wrong passwords for one username within the window before it must wait.",
            ge=1,
            le=1000,
        ),
    ] = 10
    sign_in_attempts_per_address: Annotated[
        int,
        Meta(
            description="Wrong passwords or enrolment codes from one network address within the window "
            "before it must wait. A police station shares one address, so this is larger.",
            ge=1,
            le=100_000,
        ),
    ] = 50
    sign_in_window_minutes: Annotated[
        int, Meta(description="The window over which wrong attempts are counted.", ge=1, le=1440)
    ] = 15
    password_hashes_at_once: Annotated[
        int,
        Meta(
            description="Passwords checked at the same time. Each takes about 0.1 s of one core and 64 MiB.",
            ge=1,
            le=64,
        ),
    ] = 2
    enrol_code_minutes: Annotated[
        int, Meta(description="How long a one-time code for a phone can be used.", ge=1, le=10_080)
    ] = 15
    briefing_hours: Annotated[
        int,
        Meta(
            description="How long a phone may hold the briefing of its ward once its officer opens it: a shift. "
            "Then it is erased, with signal or without. 0: no briefings.",
            ge=0,
            le=24,
        ),
    ] = 10
    device_token_minutes: Annotated[
        int,
        Meta(description="How long a phone's access token lasts before it asks for another.", ge=1, le=1440),
    ] = 60
    clock_tolerance_seconds: Annotated[
        int,
        Meta(
            description="How far a phone's clock may be wrong when it asks for a token. Beyond it, the "
            "answer tells the phone the server's time.",
            ge=0,
            le=600,
        ),
    ] = 60
    attachment_megabytes: Annotated[
        int,
        Meta(
            description="The largest photograph or recording that is taken, in MB.",
            ge=1,
            le=4_000,
        ),
    ] = 100
    attachment_upload_hours: Annotated[
        int,
        Meta(
            description="An upload that has not moved for this long is given up; the phone begins it again.",
            ge=1,
            le=24 * 366,
        ),
    ] = 168
    attachment_reserve_megabytes: Annotated[
        int,
        Meta(
            description="So much of the disk is left free by attachments, in MB, so that notes are still taken.",
            ge=0,
            le=1_000_000,
        ),
    ] = 512
    webhooks: Annotated[
        Path | None,
        Meta(
            description="A TOML file with the other systems to which alerts are also sent, each with an address, a key "
            "and, if wanted, its own boroughs and grades (`server/alerts/webhooks.py` shows the form). Only the "
            "server's account should read it. Messages are signed by the Standard Webhooks specification and name "
            "nobody."
        ),
    ] = None
    telling: Annotated[
        Path | None,
        Meta(
            description="A TOML file with what each borough's people may choose of how they are told, in place of "
            "the built-in one (`server/alerts/telling.toml` shows the form)."
        ),
    ] = None
    contact: Annotated[
        str,
        Meta(
            description="An address at which the operators of browsers' push services reach whoever runs this server."
        ),
    ] = "postmaster@localhost.localdomain"
    smtp_host: Annotated[
        str, Meta(description="The force's mail server. Empty: alerts are not sent by e-mail.")
    ] = ""
    smtp_port: Annotated[int, Meta(ge=1, le=65535, description="The port of the mail server.")] = 587
    smtp_security: Annotated[
        Literal["starttls", "tls", "none"],
        Meta(
            description="How the connection to the mail server is encrypted: `starttls`, `tls` from the first byte, "
            "or `none`, which only a mail server on this machine may have."
        ),
    ] = "starttls"
    smtp_sender: Annotated[str, Meta(description="The address that e-mail about alerts comes from.")] = (
        "earlysign@localhost.localdomain"
    )
    smtp_username: Annotated[
        str, Meta(description="The account at the mail server, where it asks for one.")
    ] = ""
    smtp_password: Annotated[str, Meta(description="The password of that account.")] = ""
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="The least severe line that is logged."),
    ] = "info"
    log_format: Annotated[
        Literal["json", "console"],
        Meta(description="One JSON object a line, or coloured text for a terminal."),
    ] = "json"

    @property
    def uses_sqlite(self) -> bool:
        return not self.database

    @property
    def sqlite_path(self) -> Path:
        """The database file of the embedded default."""
        return self.data / DATABASE_FILE

    @property
    def attachments(self) -> Path:
        """The folder of attachments, whichever database engine is used."""
        return self.data / ATTACHMENTS_FOLDER

    @property
    def migrates_on_start(self) -> bool:
        return self.uses_sqlite if self.migrate_on_start == "auto" else self.migrate_on_start == "yes"

    @property
    def decides_ahead(self) -> bool:
        """Whether a process beside the writer works out what linkage says. On PostgreSQL, more workers do that."""
        wanted = self.linkage_ahead == "yes" or (
            self.linkage_ahead == "auto" and len(os.sched_getaffinity(0)) > 1
        )
        return self.uses_sqlite and wanted

    @property
    def base_url(self) -> str:
        """The public address without a trailing slash: the audience that phones name in what they sign."""
        if self.public_url:
            return self.public_url.rstrip("/")
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def audiences(self) -> frozenset[str]:
        """Every audience accepted in a phone's signature. A server on this machine has several names."""
        names = {self.base_url}
        if not self.public_url and self.host in LOOPBACK | {"0.0.0.0", "::"}:
            names |= {f"http://{name}:{self.port}" for name in ("127.0.0.1", "localhost", "[::1]")}
        return frozenset(names | {f"{name}/api/devices/token" for name in names})

    @property
    def behind_tls(self) -> bool:
        return self.public_url.startswith("https://")


class SettingRow(msgspec.Struct, frozen=True):
    """One row of the table of settings."""

    variable: str
    kind: str
    default: str
    description: str


def variable_of(field: str) -> str:
    """The environment variable of a field: `EARLYSIGN_DATA` for `data`."""
    return PREFIX + field.upper()


def _kind_of(hint: Any) -> str:
    base = get_args(hint)[0]
    if base is bool:
        return "`yes` or `no`"
    if base is int:
        return "whole number"
    if isinstance(base, type):
        return {"str": "text"}.get(base.__name__, "path")
    choices = get_args(base)
    return ", ".join(f"`{choice}`" for choice in choices if isinstance(choice, str)) or "path"


def describe() -> list[SettingRow]:
    """Every setting with its kind, default and description, in the order of the struct."""
    hints = get_type_hints(Settings, include_extras=True)
    rows = []
    for field in msgspec.structs.fields(Settings):
        hint = hints[field.name]
        meta = next((m for m in get_args(hint)[1:] if isinstance(m, Meta)), None)
        default = "yes" if field.default is True else "no" if field.default is False else field.default
        shown = "" if default is None or default == "" else str(default)
        text = meta.description if meta is not None and meta.description else ""
        rows.append(SettingRow(variable_of(field.name), _kind_of(hint), shown, text))
    return rows


def settings_table() -> str:
    """The table for the README, in Markdown."""
    lines = ["| setting | value | default | what it does |", "| --- | --- | --- | --- |"]
    for row in describe():
        default = f"`{row.default}`" if row.default else ""
        lines.append(f"| `{row.variable}` | {row.kind} | {default} | {row.description} |")
    return "\n".join(lines)


def _read_value(field: str, text: str) -> object:
    default = getattr(Settings(), field)
    if isinstance(default, bool):
        lowered = text.strip().lower()
        if lowered not in {"yes", "no", "true", "false", "1", "0"}:
            raise SettingsError(f"{variable_of(field)} must be yes or no.")
        return lowered in {"yes", "true", "1"}
    if isinstance(default, int):
        try:
            return int(text)
        except ValueError:
            raise SettingsError(f"{variable_of(field)} must be a whole number.") from None
    return text.strip()


def load_settings(environment: Mapping[str, str] | None = None, **given: object) -> Settings:
    """Read settings from the environment; values given by name win, unless they are `None`.

    Raises `SettingsError` for a value that cannot be used and for an unknown `EARLYSIGN_` variable, since a
    mistyped name would otherwise be a setting that silently does nothing (the phone's program and the tests
    have names of their own: `EARLYSIGN_DEVICE_...`, `EARLYSIGN_TEST_...`).
    """
    source = os.environ if environment is None else environment
    known = {variable_of(name): name for name in Settings.__struct_fields__}
    values: dict[str, object] = {}
    for variable, text in source.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            if variable.startswith(OTHER_PROGRAMS):
                continue
            raise SettingsError(f"{variable} is not a setting. `earlysign doctor --settings` lists them all.")
        if text.strip():
            values[known[variable]] = _read_value(known[variable], text)
    values |= {name: value for name, value in given.items() if value is not None}
    plain = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
    try:
        settings = msgspec.convert(plain, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError(_plain_error(str(error))) from None
    _check(settings)
    return settings


def _decode(kind: type, value: object) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value).expanduser()
    # What msgspec asks of a hook that does not know the kind.
    raise NotImplementedError(f"no reading of {kind.__name__}")


def _plain_error(message: str) -> str:
    """msgspec's sentence, with the variable's name in place of the path."""
    reason, _, path = message.partition(" - at `$.")
    field = path.rstrip("`")
    return f"{variable_of(field)}: {reason}." if field else f"{reason}."


def _check(settings: Settings) -> None:
    if settings.public_url:
        parts = urlsplit(settings.public_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
            raise SettingsError("EARLYSIGN_PUBLIC_URL must look like https://earlysign.example.police.uk")
    if settings.database and not settings.database.startswith(("postgresql://", "postgres://")):
        raise SettingsError(
            "EARLYSIGN_DATABASE must be empty (SQLite in the data folder) or begin with postgresql://"
        )
    _check_mail(settings)
    if settings.secret:
        try:
            length = len(bytes.fromhex(settings.secret))
        except ValueError:
            length = 0
        if length != 32:
            raise SettingsError(
                "EARLYSIGN_SECRET must be 64 hexadecimal digits: `openssl rand -hex 32` makes one."
            )
    for variable, file in (("EARLYSIGN_POLICY", settings.policy), ("EARLYSIGN_BOROUGHS", settings.boroughs)):
        if file is not None and not file.is_file():
            raise SettingsError(f"{variable} names a file that does not exist.")


def _check_mail(settings: Settings) -> None:
    """E-mail leaves this machine over TLS only, and has a sender."""
    if settings.smtp_host and settings.smtp_security == "none" and settings.smtp_host not in LOOPBACK:
        raise SettingsError("EARLYSIGN_SMTP_SECURITY may be `none` only for a mail server on this machine.")
    for name in ("smtp_sender", "contact"):
        if not re.fullmatch(r"[^@\s<>]+@[^@\s<>]+", getattr(settings, name)):
            raise SettingsError(f"EARLYSIGN_{name.upper()} must be an e-mail address.")
