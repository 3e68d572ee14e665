"""A bad line, for rehearsals: real sockets that are closed at random places, and requests that arrive twice.

It is an httpx transport over httpcore with a network backend of our own, so the cut happens below HTTP:
after N bytes of the request, after the whole request and before the answer, or after N bytes of the answer.
The server meets exactly what it meets when a phone goes into a tunnel.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterable, Iterator
from typing import Any

import httpcore
import httpx

REQUEST_BYTES_SPREAD = 600
"""About the size of our request heads: a cut may fall into the head, the body, or just after."""
ANSWER_BYTES_SPREAD = 1_500


class Counts:
    """What the line did to this phone."""

    def __init__(self) -> None:
        self.requests = 0
        self.cuts = 0
        self.repeats = 0


class _Plan:
    """What happens to the request under way: how many more bytes pass in each direction before the cut."""

    def __init__(self) -> None:
        self.write_bytes: int | None = None
        self.read_bytes: int | None = None

    def clear(self) -> None:
        self.write_bytes = self.read_bytes = None


class _Stream(httpcore.NetworkStream):
    """A socket that obeys the plan."""

    def __init__(self, inner: httpcore.NetworkStream, plan: _Plan, counts: Counts) -> None:
        self._inner, self._plan, self._counts = inner, plan, counts

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        left = self._plan.write_bytes
        if left is None:
            return self._inner.write(buffer, timeout)
        if left < len(buffer):
            if left:
                self._inner.write(buffer[:left], timeout)
            self._cut()
            raise httpcore.WriteError("the line was cut while sending")
        self._plan.write_bytes = left - len(buffer)
        self._inner.write(buffer, timeout)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._plan.read_bytes
        if left is None:
            return self._inner.read(max_bytes, timeout)
        if left == 0:
            self._cut()
            raise httpcore.ReadError("the line was cut before the answer was read")
        got = self._inner.read(min(max_bytes, left), timeout)
        self._plan.read_bytes = left - len(got)
        return got

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout), self._plan, self._counts)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _cut(self) -> None:
        self._plan.clear()
        self._counts.cuts += 1
        self._inner.close()


class _Backend(httpcore.NetworkBackend):
    """Opens sockets that obey the plan."""

    def __init__(self, plan: _Plan, counts: Counts) -> None:
        self._inner = httpcore.SyncBackend()
        self._plan, self._counts = plan, counts

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.connect_tcp(host, port, timeout, local_address, socket_options)
        return _Stream(inner, self._plan, self._counts)

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._inner.connect_unix_socket(path, timeout, socket_options), self._plan, self._counts
        )

    def sleep(self, seconds: float) -> None:
        self._inner.sleep(seconds)


class BadLine(httpx.BaseTransport):
    """One phone's line. `cut` and `repeat` are probabilities for each request; use it from one thread."""

    def __init__(
        self,
        *,
        cut: float,
        repeat: float,
        seed: int,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.counts = Counts()
        self._cut, self._repeat = cut, repeat
        self._random = random.Random(seed)
        self._plan = _Plan()
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl_context or ssl.create_default_context(),
            network_backend=_Backend(self._plan, self.counts),
            max_connections=1,
        )

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Carry one request; where the line is cut, raise what httpx raises."""
        body = request.read()
        if request.url.path.endswith("/push") and self._random.random() < self._repeat:
            self.counts.repeats += 1
            self._carry(request, body).close()
        return self._carry(request, body)

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()

    def _carry(self, request: httpx.Request, body: bytes) -> httpx.Response:
        self.counts.requests += 1
        self._draw(len(body))
        try:
            answer = self._pool.request(
                request.method,
                httpcore.URL(
                    scheme=request.url.raw_scheme,
                    host=request.url.raw_host,
                    port=request.url.port,
                    target=request.url.raw_path,
                ),
                headers=request.headers.raw,
                content=body,
                extensions=request.extensions,
            )
        except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.TimeoutException) as error:
            raise httpx.NetworkError(type(error).__name__, request=request) from error
        finally:
            self._plan.clear()
        return httpx.Response(
            answer.status, headers=answer.headers, stream=_Whole(answer.content), extensions={}
        )

    def _draw(self, body_bytes: int) -> None:
        """Decide whether, and where, the next request is cut."""
        self._plan.clear()
        if self._random.random() >= self._cut:
            return
        where = self._random.choice(("request", "answer", "before the answer"))
        if where == "request":
            self._plan.write_bytes = self._random.randrange(REQUEST_BYTES_SPREAD + body_bytes)
        elif where == "answer":
            self._plan.read_bytes = self._random.randrange(1, ANSWER_BYTES_SPREAD)
        else:
            self._plan.read_bytes = 0


class _Whole(httpx.SyncByteStream):
    """A body that has been read already, still compressed if it came so."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
