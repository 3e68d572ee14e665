"""A person at a desk, as a program sees it: signed in over HTTP, reading and answering through the same doors."""

from __future__ import annotations

from types import TracebackType
from typing import Any
from urllib.parse import quote

import httpx

from server.demo.processes import DemoError

ANSWER_SECONDS_MAX = 30.0
QUEUE_ROWS = 200


class Desk:
    """A signed-in person. Raises DemoError where the server answers anything but success."""

    def __init__(self, address: str, username: str, password: str) -> None:
        self.username = username
        self._client = httpx.Client(base_url=address, timeout=ANSWER_SECONDS_MAX, trust_env=False)
        welcome = self.get("/api/sign-in")
        self._client.headers[welcome["csrf_header"]] = welcome["csrf_token"]
        self.me = self.post("/api/sign-in", {"username": username, "password": password})

    def __enter__(self) -> Desk:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON behind a door."""
        return self._checked("GET", path, params=parameters)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """The JSON that a door answers to this body."""
        return self._checked("POST", path, json=body)

    def page(self, path: str) -> httpx.Response:
        """A page of the console as a browser gets it, redirects followed."""
        return self._answer("GET", path, headers={"accept": "text/html"}, follow_redirects=True)

    def alerts(self, borough: str | None = None) -> list[dict[str, Any]]:
        """The queue: alerts that are not closed, of one borough or of all this person sees."""
        narrowed = {} if borough is None else {"borough": borough}
        found: list[dict[str, Any]] = self.get("/api/alerts", limit=QUEUE_ROWS, **narrowed)["alerts"]
        return found

    def alert(self, alert_id: int) -> dict[str, Any]:
        """An alert with its steps and the ids of its notes."""
        whole: dict[str, Any] = self.get(f"/api/alerts/{alert_id}")
        return whole

    def child(self, child_id: int) -> dict[str, Any]:
        """A child with flags and alerts; a reason is given in case the record is restricted."""
        whole: dict[str, Any] = self._reading(f"/api/children/{child_id}")
        return whole

    def timeline(self, child_id: int) -> dict[str, Any]:
        """A child's timeline."""
        whole: dict[str, Any] = self._reading(f"/api/children/{child_id}/timeline")
        return whole

    def _reading(self, path: str) -> Any:
        reason = quote("Demonstration with synthetic children")
        return self._checked("GET", path, headers={"X-Access-Reason": reason})

    def _answer(self, method: str, path: str, **parts: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **parts)
        except httpx.TransportError as error:
            raise DemoError(
                f"{method} {path}: the server did not answer ({type(error).__name__})."
            ) from error

    def _checked(self, method: str, path: str, **parts: Any) -> Any:
        answer = self._answer(method, path, **parts)
        if answer.is_success:
            return answer.json() if answer.content else None
        try:
            said = answer.json()
            detail = f"{said.get('detail', '')} {said.get('hint', '')}".strip()
        except ValueError:
            detail = ""
        raise DemoError(f"{method} {path} was answered with {answer.status_code}.", detail)
