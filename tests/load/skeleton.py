"""The bare skeleton that benches compare with: Flask, one gRPC hop, one insert or one select, nothing else.

Run as `python skeleton.py server --port P --database-url U` and `python skeleton.py gateway --port P`, the
latter with SKELETON_BACKEND=host:port; no TLS, no checks, no template: the least that an accepted message
or a read row could cost in this stack.
"""

import argparse
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import flask
import granian
import grpc
import psycopg2
import psycopg2.pool
from granian.constants import Interfaces

ACCEPT = "/skeleton.Skeleton/Accept"
READ = "/skeleton.Skeleton/Read"
ROW = "00000000-0000-0000-0000-000000000000"
"""The id of a row to read, which is there from the start."""
BACKEND_VARIABLE = "SKELETON_BACKEND"


def serve_grpc(port: int, database_url: str) -> None:
    """Serve ACCEPT, which makes the request's bytes one row, and READ, which gives the row of an id."""
    pool = psycopg2.pool.ThreadedConnectionPool(8, 8, database_url)

    def accept(request: bytes, context: grpc.ServicerContext) -> bytes:
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO skeleton (id, body) VALUES (%s, %s)", (str(uuid.uuid4()), request.decode())
                )
        finally:
            pool.putconn(connection)
        return request

    def read(request: bytes, context: grpc.ServicerContext) -> bytes:
        connection = pool.getconn()
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT body FROM skeleton WHERE id = %s", (request.decode(),))
                [[body]] = cursor.fetchall()
        finally:
            pool.putconn(connection)
        return str(body).encode()

    handler = grpc.method_handlers_generic_handler(
        "skeleton.Skeleton",
        {
            "Accept": grpc.unary_unary_rpc_method_handler(accept),
            "Read": grpc.unary_unary_rpc_method_handler(read),
        },
    )
    server = grpc.server(ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


def create_app() -> flask.Flask:
    """Return the skeleton's gateway: JSON in, one call, JSON out."""
    import os

    app = flask.Flask("skeleton")
    calls: dict[tuple[int, str], Any] = {}

    def call(method: str, request: bytes) -> bytes:
        made = calls.get((os.getpid(), method))
        if made is None:
            made = grpc.insecure_channel(os.environ[BACKEND_VARIABLE]).unary_unary(method)
            calls[os.getpid(), method] = made
        return bytes(made(request, timeout=2))

    @app.post("/accept")
    def accept() -> tuple[flask.Response, int]:
        body = flask.request.get_json()
        call(ACCEPT, str(body["phone_number"]).encode())
        return flask.jsonify(id=str(uuid.uuid4())), 201

    @app.get("/read/<id>")
    def read(id: str) -> flask.Response:
        return flask.jsonify(id=id, body=call(READ, id.encode()).decode())

    return app


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["server", "gateway"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1, help="for the gateway")
    parser.add_argument(
        "--database-url", default="", help="for the server; the table is made if it is missing"
    )
    arguments = parser.parse_args()
    if arguments.part == "gateway":
        granian.Granian(
            "skeleton:create_app",
            port=arguments.port,
            interface=Interfaces.WSGI,
            factory=True,
            workers=arguments.workers,
            blocking_threads=8,
            log_enabled=False,
        ).serve()
        return
    with psycopg2.connect(arguments.database_url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS skeleton (id uuid PRIMARY KEY, body text NOT NULL)")
        cursor.execute("INSERT INTO skeleton VALUES (%s, 'here') ON CONFLICT DO NOTHING", (ROW,))
    serve_grpc(arguments.port, arguments.database_url)


if __name__ == "__main__":
    main()
