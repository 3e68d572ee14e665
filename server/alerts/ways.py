"""Which channels the settings open."""

from __future__ import annotations

from server.alerts.channels import WEBHOOK, Channel, WebhookChannel
from server.alerts.mail import MailChannel, MailSettings
from server.alerts.push import PushChannel, VapidKey
from server.alerts.webhooks import load_webhooks
from server.settings import Settings


def open_ways(settings: Settings) -> tuple[str, ...]:
    """The names of the channels that are open. Raises as `channels_of` does."""
    webhooks = [f"{WEBHOOK}:{name}" for name in load_webhooks(settings.webhooks)]
    return (PushChannel.name, *([MailChannel.name] if settings.smtp_host else []), *webhooks)


def channels_of(settings: Settings, secret: bytes) -> tuple[Channel, ...]:
    """The channels that are open. Raises `WebhooksError` for a file of webhooks that cannot be used."""
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
    for name, webhook in load_webhooks(settings.webhooks).items():
        ways.append(WebhookChannel(name, webhook, settings.base_url))
    return tuple(ways)
