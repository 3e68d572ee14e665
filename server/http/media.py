"""What a door reads: the type it was told to expect, and text that can be decoded.

Litestar reads a body of any type as if it were the expected one, and lets three kinds of bad body through to the
last resort (500): text that is not UTF-8, nesting thousands deep, and form fields in an unknown character set.
"""

from __future__ import annotations

from typing import Any

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import FormMultiDict
from litestar.enums import RequestEncodingType
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers.base import BaseRouteHandler
from litestar.params import BodyKwarg

from server.http.problems import BAD_REQUEST, UNSUPPORTED_ENCODING, UNSUPPORTED_TYPE, Problem

FORMS = (RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART)


class CheckedRequest(Request[Any, Any, Any]):
    """Litestar's request, whose readers answer every unreadable body with a problem."""

    async def json(self) -> Any:
        try:
            return await super().json()
        except RecursionError:
            raise Problem(BAD_REQUEST, "The body is nested too deeply.") from None
        except UnicodeDecodeError:
            raise Problem(BAD_REQUEST, "The body is not UTF-8 text.") from None

    async def form(self) -> FormMultiDict:
        try:
            return await super().form()
        except (UnicodeDecodeError, LookupError):
            raise Problem(
                BAD_REQUEST, "The form's text cannot be decoded.", hint="Send it as UTF-8."
            ) from None


def no_options(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard of the whole application: OPTIONS is for pages of other sites, which have no business here.

    Litestar answers it by itself, with an incomplete Allow. A door that wants it (tus) declares it, with `door`.
    """
    if connection.scope.get("method") == "OPTIONS" and "door" not in handler.opt:
        raise MethodNotAllowedException


async def read_expected_type(
    connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler
) -> None:
    """A guard of the whole application: a body of another type than the door reads is refused (415)."""
    field = handler.parsed_data_field
    definition = field.kwarg_definition if field is not None else None
    if not isinstance(definition, BodyKwarg) or not isinstance(connection, Request):
        return
    expected = definition.media_type
    sent = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
    if expected == RequestEncodingType.JSON:
        allowed = sent == "application/json" or (sent.startswith("application/") and sent.endswith("+json"))
    elif expected in FORMS:
        allowed = sent == expected
    else:
        return
    if not allowed:
        named = str(getattr(expected, "value", expected))
        raise Problem(UNSUPPORTED_TYPE, f"This door reads {named}.", headers={"accept-post": named})
    if connection.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
        raise Problem(UNSUPPORTED_ENCODING, "This door reads no compressed body.", hint="Send it as it is.")
