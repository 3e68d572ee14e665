"""Cross-site request forgery: Litestar's signed double-submit check, mended in two places.

Litestar's own comparison raises `TypeError` (a 500) for a token with a character outside ASCII, and its
refusal does not say what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from litestar.exceptions import PermissionDeniedException
from litestar.middleware.csrf import CSRFMiddleware

from server.http.problems import CSRF_FAILED, Problem

if TYPE_CHECKING:
    from litestar.types import Receive, Scope, Send

COOKIE, HEADER, FIELD = "csrftoken", "x-csrftoken", "_csrf_token"


class CSRFCheck(CSRFMiddleware):
    """The token of the cookie must come back in the header or in the form."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except PermissionDeniedException as error:
            if error.detail != "CSRF token verification failed":
                raise
            raise Problem(CSRF_FAILED, "The token against forged requests is missing or wrong.") from None

    def _csrf_tokens_match(self, request_csrf_token: str, cookie_csrf_token: str) -> bool:
        if not (
            isinstance(request_csrf_token, str)
            and request_csrf_token.isascii()
            and cookie_csrf_token.isascii()
        ):
            return False
        return super()._csrf_tokens_match(request_csrf_token, cookie_csrf_token)
