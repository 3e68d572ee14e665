"""The API's description (OpenAPI) and its pages, with nothing from another host and no inline script."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec
from litestar import Litestar, Request, Router, get
from litestar._openapi.schema_generation.plugins.struct import StructSchemaPlugin
from litestar.enums import OpenAPIMediaType
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme, Tag
from litestar.serialization import encode_json
from litestar.typing import FieldDefinition

from server.http.auth import OPEN
from server.http.csrf import COOKIE, HEADER
from server.http.problems import BY_STATUS, PROBLEM_JSON

if TYPE_CHECKING:
    from litestar._openapi.schema_generation import SchemaCreator
    from litestar.openapi.spec import Schema

DOCS_PATH = "/docs"
VENDOR = "/static/vendor"
PROBLEM_REF = {"$ref": "#/components/schemas/ProblemBody"}
START_JS = f"""\
window.addEventListener("DOMContentLoaded", function () {{
  SwaggerUIBundle({{
    url: "{DOCS_PATH}/openapi.json",
    dom_id: "#doors",
    deepLinking: true,
    validatorUrl: null,
    presets: [SwaggerUIBundle.presets.apis],
    requestInterceptor: function (request) {{
      var pair = document.cookie.split("; ").find(function (row) {{ return row.startsWith("{COOKIE}="); }});
      if (pair) {{ request.headers["{HEADER}"] = pair.split("=")[1]; }}
      return request;
    }},
  }});
}});
"""


class StrictStructSchemaPlugin(StructSchemaPlugin):
    """Says `additionalProperties: false` for a struct that forbids unknown fields; Litestar leaves it out."""

    @staticmethod
    def is_plugin_supported_type(value: Any) -> bool:
        return isinstance(value, type) and issubclass(value, msgspec.Struct)

    def to_openapi_schema(self, field_definition: FieldDefinition, schema_creator: SchemaCreator) -> Schema:
        schema = super().to_openapi_schema(field_definition, schema_creator)
        info = msgspec.inspect.type_info(field_definition.type_)
        if isinstance(info, msgspec.inspect.StructType) and info.forbid_unknown_fields:
            schema.additional_properties = False
        return schema


def description(app: Litestar) -> dict[str, Any]:
    """The API's description as plain JSON values, with the problems that any door of its kind may answer."""
    plain: dict[str, Any] = msgspec.json.decode(encode_json(app.openapi_schema.to_schema()))
    return complete(plain)


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the problems that come from outside the handlers, so that no door has to list them.

    Address, type and size of a body, credentials and the state of the database are looked at before a handler runs.
    What a door documents itself stays as it is.
    """
    _mend(schema)
    for item in schema["paths"].values():
        for method, door in item.items():
            door["responses"].get("204", {}).pop("content", None)
            for status in _common_problems(method, door):
                title = BY_STATUS[status].title
                door["responses"].setdefault(
                    str(status),
                    {"description": f"{title}.", "content": {PROBLEM_JSON: {"schema": PROBLEM_REF}}},
                )
            door["responses"] = dict(sorted(door["responses"].items()))
    return schema


def _mend(part: Any) -> None:
    """Correct what Litestar says of tuples: their items as "exactly one of" types that overlap, or of anything."""
    if isinstance(part, dict):
        items = part.get("items")
        if isinstance(items, dict) and "oneOf" in items:
            kinds = [kind for kind in items.pop("oneOf") if kind]
            part["items"] = items | (kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        _mend(inner)


def _common_problems(method: str, door: dict[str, Any]) -> Iterator[int]:
    yield 503
    if door.get("security"):
        yield from (401, 403)
    elif method != "get":
        yield 403
    if any(parameter["in"] == "path" for parameter in door.get("parameters", [])):
        yield 404
    if "requestBody" in door or door.get("parameters"):
        yield 400
    if "requestBody" in door:
        yield from (413, 415)


class DescriptionFile(OpenAPIRenderPlugin):
    """`openapi.json`, completed."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type=OpenAPIMediaType.OPENAPI_JSON)

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return msgspec.json.encode(description(request.app))


class DocsPage(OpenAPIRenderPlugin):
    """Swagger UI from our own static files; a list of the doors without JavaScript."""

    def __init__(self) -> None:
        super().__init__(path="/")

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        title = html.escape(openapi_schema["info"]["title"])
        return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}: doors for programs</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="{VENDOR}/swagger-ui.css">
<script src="{VENDOR}/swagger-ui-bundle.js"></script><script src="{DOCS_PATH}/start.js"></script>
</head><body><main id="doors"><h1>{title}</h1>
<p>For programs: <a href="{DOCS_PATH}/openapi.json">openapi.json</a>.</p>
<ul>{"".join(_doors(openapi_schema))}</ul></main></body></html>""".encode()

    def receive_router(self, router: Router) -> None:
        @get("/start.js", media_type="text/javascript", sync_to_thread=False)
        def start_js() -> str:
            return START_JS

        router.register(start_js)


def _doors(schema: dict[str, Any]) -> list[str]:
    return [
        f"<li><code>{method.upper()} {html.escape(path)}</code> {html.escape(door.get('summary') or '')}</li>"
        for path, item in schema.get("paths", {}).items()
        for method, door in item.items()
        if isinstance(door, dict)
    ]


def openapi_config(version: str) -> OpenAPIConfig:
    """The OpenAPI settings of the application; its pages are under `/docs`."""
    return OpenAPIConfig(
        title="Earlysign",
        version=version,
        description="Carries a worry about a child from the officer who sees it to the person who can act on "
        "it. Every problem is `application/problem+json` (RFC 9457) with a hint.",
        components=Components(
            security_schemes={
                "session": SecurityScheme(
                    type="apiKey",
                    security_scheme_in="cookie",
                    name="earlysign",
                    description="Set by POST /api/sign-in; with TLS in front its name is __Host-earlysign.",
                ),
                "device": SecurityScheme(
                    type="http", scheme="bearer", description="A phone's token, from POST /api/devices/token."
                ),
            }
        ),
        tags=[
            Tag("phones", "Enrolment and tokens of phones, and what they sync."),
            Tag("people", "Signing in."),
            Tag("work", "Alerts, children, links and reviews."),
            Tag("server", "Health and numbers."),
        ],
        use_handler_docstrings=True,
        openapi_router=Router(DOCS_PATH, route_handlers=[], opt=OPEN, include_in_schema=False),
        render_plugins=[DocsPage(), DescriptionFile()],
    )
