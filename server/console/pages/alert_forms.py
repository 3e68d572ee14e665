"""What the forms around one alert share: hand over, close, grade and transfer."""

from server.access.policy import Permission
from server.console.pages.desk import Desk
from server.console.views import QueueRow
from server.records import alerts
from server.records.alerts import Alert
from server.storage.port import Transaction

REASON_CHARACTERS_MIN = 3  # "ill" is a reason


def own_alert(tx: Transaction, desk: Desk, alert_id: int) -> tuple[Alert, QueueRow]:
    """An alert of the person's own boroughs, and its row. Raises NotAllowed."""
    alert = alerts.require(tx, desk.person, alert_id, Permission.ACKNOWLEDGE_ALERTS)
    alert = alerts.show(tx, desk.person, alert.alert_id, now=desk.now)
    return alert, desk.row(tx, alert)
