"""Which channels the settings open."""

from __future__ import annotations

from server.alerts.channels import PEOPLE, Channel, WebhookChannel
from server.alerts.mail import MailChannel, MailSettings
from server.alerts.push import PushChannel, VapidKey
from server.settings import Settings


def queued(settings: Settings) -> tuple[str, ...]:
    """What each step of an alert is queued for."""
    return (PEOPLE, *(["webhook"] if settings.webhook_url else []))


def open_ways(settings: Settings) -> tuple[str, ...]:
    """The names of the channels that are open."""
    return (
        PushChannel.name,
        *(["mail"] if settings.smtp_host else []),
        *(["webhook"] if settings.webhook_url else []),
    )


def channels_of(settings: Settings, secret: bytes) -> tuple[Channel, ...]:
    """The channels that are open. Raises ValueError for a webhook's secret that is not base64."""
    ways: list[Channel] = [PushChannel(VapidKey(secret), f"mailto:{settings.contact}", settings.base_url)]
    if settings.smtp_host:
        mail = MailSettings(
            host=settings.smtp_host,
            port=settings.smtp_port,
            sender=settings.smtp_sender,
            security=settings.smtp_security,
            username=settings.smtp_username,
            password=settings.smtp_password,
        )
        ways.append(MailChannel(mail, settings.base_url))
    if settings.webhook_url:
        ways.append(WebhookChannel(settings.webhook_url, settings.webhook_secret, settings.base_url))
    return tuple(ways)
