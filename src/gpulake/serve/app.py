"""The web application: addresses to pages, and what protects both. It reads the Publication only."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from gpulake.charts import page_style, static_file
from gpulake.config import Config
from gpulake.errors import GpulakeError, LakeError, UsageError
from gpulake.lake import Reader
from gpulake.reading.scope import Cluster
from gpulake.serve import addresses, exporting, posts
from gpulake.serve.look import Look
from gpulake.serve.markup import rendered, templates
from gpulake.serve.newest import Newest
from gpulake.serve.page import Page, all_pages, filled, menu
from gpulake.serve.things import NotFoundError

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_ALWAYS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_COOKIE = "gpulake_token"
_LARGEST_FORM = 16_384


def create_app(
    config: Config, *, hosts: Sequence[str] = ("127.0.0.1", "localhost"), token: str | None = None
) -> FastAPI:
    """The pages of one lake.

    `hosts`: by which names it may be called; any other is refused, so that no foreign page reaches it through a name of its
    own. `token`: what a visitor must bring, in a header or once in the address.
    """
    app = FastAPI(title="gpulake", docs_url=None, redoc_url=None, openapi_url=None)
    newest = Newest(config.lake)
    app.state.newest = newest
    layout = templates()
    addresses.register()

    def visit(reader: Reader, clusters: tuple[Cluster, ...]) -> Iterator[None]:
        for page in menu():
            look = Look(reader, clusters=clusters, path=page.path, lake=config.lake)
            with suppress(GpulakeError):  # who comes is told
                rendered(page, filled=filled(page, look), look=look, by=layout)
            yield

    app.state.visit = visit

    def answer(page: Page, request: Request) -> Response:
        asked = dict(request.query_params)
        export = asked.pop("export", None)
        named: Mapping[str, str] = request.path_params
        with newest.open() as (reader, clusters):
            look = Look(reader, clusters=clusters, path=request.url.path, asked=asked, named=named, lake=config.lake)
            if page.needs_cluster:
                _ = look.cluster, look.since, look.until
            shown = filled(page, look)
            if export is not None:
                return exporting.file_of(export, shown)
            html = rendered(page, filled=shown, look=look, by=layout)
        return HTMLResponse(html, headers={"Cache-Control": "no-cache"})

    def fault(error: GpulakeError, status: HTTPStatus, request: Request) -> Response:
        html = layout.get_template("fault.html").render(error=error, status=status, path=request.url.path, pages=menu())
        return HTMLResponse(html, status_code=status, headers={"Cache-Control": "no-store"})

    async def guarded(request: Request, do: Callable[[], Response]) -> Response:
        try:
            return await run_in_threadpool(do)
        except NotFoundError as error:
            return fault(error, HTTPStatus.NOT_FOUND, request)
        except UsageError as error:
            nothing = error.what.startswith("nothing ")
            return fault(error, HTTPStatus.SERVICE_UNAVAILABLE if nothing else HTTPStatus.BAD_REQUEST, request)
        except LakeError as error:
            return fault(error, HTTPStatus.SERVICE_UNAVAILABLE, request)
        except GpulakeError as error:
            return fault(error, HTTPStatus.INTERNAL_SERVER_ERROR, request)

    def add(page: Page) -> None:
        async def serve(request: Request) -> Response:
            return await guarded(request, lambda: answer(page, request))

        app.add_api_route(page.path, serve, methods=["GET", "HEAD"], include_in_schema=False)

    for page in all_pages():
        add(page)

    async def post(request: Request) -> Response:
        body = bytearray()
        async for part in request.stream():
            body += part
            if len(body) > _LARGEST_FORM:
                error = UsageError("the request is too long.", do="write a shorter note")
                return fault(error, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, request)
        given = dict(parse_qsl(body.decode(errors="replace"), max_num_fields=20))

        def do() -> Response:
            back = posts.ask(config, given)
            return RedirectResponse(back, status_code=HTTPStatus.SEE_OTHER)

        return await guarded(request, do)

    def asset(content: Callable[[], str | bytes], kind: str) -> Callable[[], Response]:
        return lambda: Response(content(), media_type=kind, headers={"Cache-Control": "max-age=86400"})

    # In front of the folder of files: these two are made.
    for name, content, kind in (
        ("chart-style.css", page_style, "text/css"),
        ("vega.js", lambda: static_file("vega.js"), "text/javascript"),
    ):
        app.add_api_route(f"/static/{name}", asset(content, kind), methods=["GET", "HEAD"], include_in_schema=False)
    app.add_api_route("/ask", post, methods=["POST"], include_in_schema=False)
    app.mount(
        "/static", StaticFiles(packages=[("gpulake.serve", "static"), ("gpulake.charts", "static")]), name="static"
    )

    async def not_there(request: Request, _error: Exception) -> Response:
        error = UsageError("there is no such page.", where=request.url.path[:200], do="start at /")
        return fault(error, HTTPStatus.NOT_FOUND, request)

    app.add_exception_handler(HTTPStatus.NOT_FOUND, not_there)

    @app.middleware("http")
    async def protected(request: Request, go_on: Callable[[Request], Any]) -> Response:
        refused = _refusal(request, hosts=hosts, token=token)
        if refused:
            response = fault(*refused, request)
        elif token is not None and request.query_params.get("token"):
            # Once in the address is enough: it is kept in a cookie, and not handed on with every link.
            url = request.url.remove_query_params("token")
            response = RedirectResponse(f"{url.path}?{url.query}" if url.query else url.path)
            response.set_cookie(_COOKIE, token, httponly=True, samesite="strict")
        else:
            response = await go_on(request)
        response.headers.update(_ALWAYS)
        return response

    return app


def _refusal(request: Request, *, hosts: Sequence[str], token: str | None) -> tuple[UsageError, HTTPStatus] | None:
    host = urlsplit(f"//{request.headers.get('host', '')}").hostname or ""
    if "*" not in hosts and host not in hosts:
        error = UsageError(f"it is not called {host[:80]!r} here.", do=f"open it as {hosts[0]}")
        return error, HTTPStatus.MISDIRECTED_REQUEST
    if token is not None:
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        given = request.query_params.get("token") or request.cookies.get(_COOKIE) or bearer
        if not hmac.compare_digest(given.encode(), token.encode()):
            error = UsageError("a token is needed.", do="open the address that gpulake serve has printed")
            return error, HTTPStatus.UNAUTHORIZED
    if request.method not in {"GET", "HEAD"}:
        came_from = urlsplit(request.headers.get("origin") or "").netloc
        if came_from != request.headers.get("host"):
            return UsageError(
                "the request comes from another page.", do="use this page's own buttons"
            ), HTTPStatus.FORBIDDEN
    return None
