"""UsersService."""

import grpc
from notify.admin.v1 import users_service_pb2 as pb
from notify.admin.v1.users_service_pb2_grpc import UsersServiceServicer as Base
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.rpc.paging import Pager
from notify_common.rpc.validate import validating

from notify_admin.domain.users import UserFields
from notify_admin.servicers import convert
from notify_admin.usecases import users

SERVICE = pb.DESCRIPTOR.services_by_name["UsersService"].full_name


class UsersServicer(Base):
    """Converts and calls use cases; the proto says what each method does."""

    def __init__(self, uow: UnitOfWork, pager: Pager) -> None:
        self._uow = uow
        self._pager = pager

    def CreateUser(
        self, request: pb.CreateUserRequest, context: grpc.ServicerContext
    ) -> pb.CreateUserResponse:
        """A user of no service yet."""
        given = request.user
        with validating() as check:
            user_id = check.uuid("request_id", request.request_id)
            fields = UserFields(
                name=check.required("user.name", given.name),
                email_address=check.required("user.email_address", given.email_address),
                mobile_number=check.text("user.mobile_number", given.mobile_number),
            )
        return pb.CreateUserResponse(user=convert.user(users.create_user(self._uow, user_id, fields)))

    def GetUser(self, request: pb.GetUserRequest, context: grpc.ServicerContext) -> pb.GetUserResponse:
        """By id."""
        with validating() as check:
            user_id = check.uuid("user_id", request.user_id)
        return pb.GetUserResponse(user=convert.user(users.get_user(self._uow, user_id)))

    def AddMember(self, request: pb.AddMemberRequest, context: grpc.ServicerContext) -> pb.AddMemberResponse:
        """Doing it twice is no error."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            user_id = check.uuid("user_id", request.user_id)
        return pb.AddMemberResponse(user=convert.user(users.add_member(self._uow, service_id, user_id)))

    def RemoveMember(
        self, request: pb.RemoveMemberRequest, context: grpc.ServicerContext
    ) -> pb.RemoveMemberResponse:
        """Ending no membership is no error."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
            user_id = check.uuid("user_id", request.user_id)
        users.remove_member(self._uow, service_id, user_id)
        return pb.RemoveMemberResponse()

    def ListMembers(
        self, request: pb.ListMembersRequest, context: grpc.ServicerContext
    ) -> pb.ListMembersResponse:
        """By name."""
        with validating() as check:
            service_id = check.uuid("service_id", request.service_id)
        found, token = convert.page(
            self._pager,
            request.page_size,
            request.page_token,
            {"list": "members", "service_id": request.service_id},
            lambda position, limit: users.list_members(self._uow, service_id, position, limit),
            lambda user: (user.name, user.id),
            convert.user,
        )
        return pb.ListMembersResponse(users=found, next_page_token=token)
