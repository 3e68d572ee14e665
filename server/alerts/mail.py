"""Alerts by e-mail: a grade, a borough and a link, over SMTP with TLS."""

from __future__ import annotations

import ssl
from collections.abc import Collection
from email.message import EmailMessage
from email.utils import format_datetime, localtime

import aiosmtplib
import msgspec

from server.alerts.channels import SEND_SECONDS_MAX, ChannelTrouble, Message
from server.alerts.wording import lines_of, title_of
from sync.vocabulary import Grade


class MailSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`security`: `starttls`, `tls` (from the first byte) or `none` (this machine only)."""

    host: str
    port: int
    sender: str
    security: str
    username: str = ""
    password: str = ""


class MailChannel:
    """Hands each message to the force's mail server. `context` is for tests."""

    name = "mail"

    def __init__(self, settings: MailSettings, base_url: str, context: ssl.SSLContext | None = None) -> None:
        self._settings = settings
        self._base_url = base_url.rstrip("/")
        self._context = context or ssl.create_default_context()

    def hears(self, boroughs: Collection[str], grades: Collection[Grade]) -> bool:
        return False

    async def send(self, message: Message, *, now: int) -> None:
        settings = self._settings
        try:
            await aiosmtplib.send(
                self._mail(message),
                recipients=[message.to],
                sender=settings.sender,
                hostname=settings.host,
                port=settings.port,
                username=settings.username or None,
                password=settings.password or None,
                use_tls=settings.security == "tls",
                start_tls=settings.security == "starttls",
                tls_context=self._context,
                timeout=SEND_SECONDS_MAX,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [refused.code for refused in error.recipients]
            raise _refused(codes[0] if codes else 550) from None
        except aiosmtplib.SMTPAuthenticationError:
            raise ChannelTrouble("the mail server refused our username or password") from None
        except aiosmtplib.SMTPResponseException as error:
            raise _refused(error.code) from None
        except (aiosmtplib.SMTPException, OSError, ssl.SSLError, TimeoutError, ValueError):
            raise ChannelTrouble("no connection to the mail server") from None

    async def close(self) -> None:
        """Nothing is kept open between messages."""

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._settings.sender
        mail["To"] = message.to
        mail["Subject"] = title_of(message)
        mail["Date"] = format_datetime(localtime())
        # The same at every attempt, so that a mail program shows a repeat once.
        mail["Message-ID"] = f"<{message.message_id}@{self._settings.sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content("\n".join([*lines_of(message, self._base_url), ""]))
        return mail


def _refused(code: int) -> ChannelTrouble:
    """5xx is the mail server's last word on an address or a message; 4xx may have passed by the next attempt."""
    return ChannelTrouble(f"the mail server refused it with {code}", is_final=500 <= code < 600)
