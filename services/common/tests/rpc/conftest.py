"""Servers whose methods do what a test says, behind all interceptors and mTLS."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import settings
from notify.admin.v1 import users_service_pb2 as users_pb
from notify.admin.v1 import users_service_pb2_grpc as users_grpc
from notify.letters.v1 import letters_service_pb2_grpc as letters_grpc
from notify.letters.v1 import print_runs_service_pb2_grpc as print_runs_grpc
from notify.providers.v1 import dispatch_service_pb2_grpc as dispatch_grpc
from notify_common.rpc.server import Registration
from notify_testing.rpc import InProcessServer

# How long an example takes says nothing on a machine that others use too.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

USERS = "notify.admin.v1.UsersService"
LETTERS = "notify.letters.v1.LettersService"
DISPATCH = "notify.providers.v1.DispatchService"


def _user(request: users_pb.GetUserRequest, context: Any) -> users_pb.GetUserResponse:
    return users_pb.GetUserResponse()


@pytest.fixture
def serve_users() -> Iterator[Callable[..., InProcessServer]]:
    """Return a function that serves UsersService, with `get_user` and `create_user` as its methods."""
    with ExitStack() as stack:

        def serve(get_user: Any = _user, create_user: Any = None, **settings: Any) -> InProcessServer:
            methods = {"GetUser": staticmethod(get_user)}
            if create_user is not None:
                methods["CreateUser"] = staticmethod(create_user)
            servicer = type("Users", (users_grpc.UsersServiceServicer,), methods)()
            registration = Registration(users_grpc.add_UsersServiceServicer_to_server, servicer, USERS)
            return stack.enter_context(InProcessServer("admin", [registration], **settings))

        yield serve


@pytest.fixture
def serve_letters() -> Iterator[Callable[..., InProcessServer]]:
    """Return a function that serves LettersService, with `download_pdf` (a generator) as its method."""
    with ExitStack() as stack:

        def serve(download_pdf: Any, **settings: Any) -> InProcessServer:
            servicer = type(
                "Letters", (letters_grpc.LettersServiceServicer,), {"DownloadPdf": staticmethod(download_pdf)}
            )()
            registration = Registration(letters_grpc.add_LettersServiceServicer_to_server, servicer, LETTERS)
            return stack.enter_context(InProcessServer("letters", [registration], **settings))

        yield serve


@pytest.fixture
def serve_dispatch() -> Iterator[Callable[..., InProcessServer]]:
    """Return a function that serves DispatchService, with `submit` as SubmitPrintBatch."""
    with ExitStack() as stack:

        def serve(submit: Any, **settings: Any) -> InProcessServer:
            servicer = type(
                "Dispatch",
                (dispatch_grpc.DispatchServiceServicer,),
                {"SubmitPrintBatch": staticmethod(submit)},
            )()
            registration = Registration(
                dispatch_grpc.add_DispatchServiceServicer_to_server, servicer, DISPATCH
            )
            return stack.enter_context(InProcessServer("providers", [registration], **settings))

        yield serve


@pytest.fixture
def serve_print_runs() -> Iterator[Callable[..., InProcessServer]]:
    """Return a function that serves PrintRunsService, with `start_print_run` as StartPrintRun."""
    with ExitStack() as stack:

        def serve(start_print_run: Any, **settings: Any) -> InProcessServer:
            servicer = type(
                "PrintRuns",
                (print_runs_grpc.PrintRunsServiceServicer,),
                {"StartPrintRun": staticmethod(start_print_run)},
            )()
            add = print_runs_grpc.add_PrintRunsServiceServicer_to_server
            registration = Registration(add, servicer, "notify.letters.v1.PrintRunsService")
            return stack.enter_context(InProcessServer("letters", [registration], **settings))

        yield serve
