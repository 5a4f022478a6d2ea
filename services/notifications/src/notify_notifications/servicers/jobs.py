"""JobsService: conversion, nothing else."""

from typing import Final

import grpc
from notify.notifications.v1 import jobs_service_pb2 as pb
from notify.notifications.v1 import jobs_service_pb2_grpc as pb_grpc
from notify_common import clock
from notify_common.blobs.s3 import BlobStore
from notify_common.db.unit_of_work import UnitOfWork
from notify_common.enums import Channel
from notify_common.ids import canonical_uuid
from notify_common.rpc import enums
from notify_common.turns import in_turns

from notify_notifications.clients.letters import LettersClient
from notify_notifications.domain.contact_list import ContactList
from notify_notifications.domain.job import Job, JobState
from notify_notifications.domain.unsubscribe import UnsubscribeLinks
from notify_notifications.servicers.batches import state_counts
from notify_notifications.servicers.notifications import shown_notification, states_of, time_of
from notify_notifications.store import jobs
from notify_notifications.store.jobs import JobFilters
from notify_notifications.store.notifications import NotificationStore
from notify_notifications.usecases.contact_lists import (
    archive_contact_list,
    create_contact_list,
    get_contact_list,
    list_contact_lists,
)
from notify_notifications.usecases.jobs import (
    Counts,
    cancel_job,
    cancel_job_letters,
    create_job,
    get_job,
    list_jobs,
)
from notify_notifications.usecases.read_notifications import list_job_notifications
from notify_notifications.usecases.send import SendingParts

SERVICE: Final = pb.DESCRIPTOR.services_by_name["JobsService"].full_name

_STATES: Final = {
    JobState.PENDING: pb.Job.STATE_PENDING,
    JobState.SCHEDULED: pb.Job.STATE_SCHEDULED,
    JobState.IN_PROGRESS: pb.Job.STATE_IN_PROGRESS,
    JobState.FINISHED: pb.Job.STATE_FINISHED,
    JobState.SENDING_LIMITS_EXCEEDED: pb.Job.STATE_SENDING_LIMITS_EXCEEDED,
    JobState.CANCELLED: pb.Job.STATE_CANCELLED,
    JobState.ERROR: pb.Job.STATE_ERROR,
}
_TOLD: Final = {value: state for state, value in _STATES.items()}


class JobsServicer(pb_grpc.JobsServiceServicer):
    """Serves notify.notifications.v1.JobsService."""

    def __init__(
        self,
        uow: UnitOfWork,
        sending: SendingParts,
        notifications: NotificationStore,
        links: UnsubscribeLinks,
        letters: LettersClient,
        files: BlobStore | None,
        list_files: BlobStore | None,
    ) -> None:
        self._uow = uow
        self._sending = sending
        self._notifications = notifications
        self._links = links
        self._letters = letters
        self._files = files
        self._list_files = list_files

    def CreateJob(self, request: pb.CreateJobRequest, context: grpc.ServicerContext) -> pb.CreateJobResponse:
        made = create_job(
            self._uow,
            self._sending.snapshots,
            self._files,
            request.service_id,
            canonical_uuid(request.request_id),
            request.created_by_id,
            time_of("scheduled_time", request.scheduled_time) if request.HasField("scheduled_time") else None,
            request.contact_list_id or None,
        )
        return pb.CreateJobResponse(job=_job(made, {}))

    def GetJob(self, request: pb.GetJobRequest, context: grpc.ServicerContext) -> pb.GetJobResponse:
        return pb.GetJobResponse(job=_job(*get_job(self._uow, request.service_id, request.job_id)))

    def GetJobs(self, request: pb.GetJobsRequest, context: grpc.ServicerContext) -> pb.GetJobsResponse:
        filters = JobFilters(
            since=time_of("since_time", request.since_time) if request.HasField("since_time") else None,
            states=[_TOLD[state] for state in request.states if state in _TOLD],
            contact_list_id=request.contact_list_id,
            of_lists=not request.without_contact_lists,
        )
        found, count = list_jobs(self._uow, request.service_id, filters, request.offset, request.page_size)
        return pb.GetJobsResponse(jobs=[_job(job, counts) for job, counts in found], total_count=count)

    def CancelJob(self, request: pb.CancelJobRequest, context: grpc.ServicerContext) -> pb.CancelJobResponse:
        return pb.CancelJobResponse(job=_job(*cancel_job(self._uow, request.service_id, request.job_id)))

    def CancelJobLetters(
        self, request: pb.CancelJobLettersRequest, context: grpc.ServicerContext
    ) -> pb.CancelJobLettersResponse:
        count, more = cancel_job_letters(
            self._uow,
            self._notifications,
            self._sending.limits,
            self._letters,
            request.service_id,
            request.job_id,
        )
        return pb.CancelJobLettersResponse(letter_count=count, has_more=more)

    def CountScheduledJobs(
        self, request: pb.CountScheduledJobsRequest, context: grpc.ServicerContext
    ) -> pb.CountScheduledJobsResponse:
        with self._uow.autocommit() as tx:
            count, first = jobs.schedule(tx, request.service_id)
        return pb.CountScheduledJobsResponse(job_count=count, first_time=first)

    def GetJobNotifications(
        self, request: pb.GetJobNotificationsRequest, context: grpc.ServicerContext
    ) -> pb.GetJobNotificationsResponse:
        views, count = list_job_notifications(
            self._uow,
            self._notifications,
            self._sending.snapshots,
            self._links,
            request.service_id,
            request.job_id,
            states_of(request.states),
            request.offset,
            request.page_size,
        )
        shown = (shown_notification(view, with_details=True) for view in in_turns(views))
        return pb.GetJobNotificationsResponse(notifications=shown, total_count=count)

    def CreateContactList(
        self, request: pb.CreateContactListRequest, context: grpc.ServicerContext
    ) -> pb.CreateContactListResponse:
        asked = ContactList(
            id=canonical_uuid(request.request_id),
            service_id=request.service_id,
            channel=enums.from_proto(Channel, request.channel),
            file_name=request.file_name,
            row_count=request.row_count,
            created_by_id=request.created_by_id,
            create_time=clock.now(),
        )
        made = create_contact_list(self._uow, self._sending.snapshots, self._list_files, asked)
        return pb.CreateContactListResponse(contact_list=_contact_list(*made))

    def GetContactList(
        self, request: pb.GetContactListRequest, context: grpc.ServicerContext
    ) -> pb.GetContactListResponse:
        found = get_contact_list(
            self._uow, self._sending.snapshots, request.service_id, request.contact_list_id
        )
        return pb.GetContactListResponse(contact_list=_contact_list(*found))

    def GetContactLists(
        self, request: pb.GetContactListsRequest, context: grpc.ServicerContext
    ) -> pb.GetContactListsResponse:
        found, count = list_contact_lists(
            self._uow, self._sending.snapshots, request.service_id, request.offset, request.page_size
        )
        shown = [_contact_list(*one) for one in found]
        return pb.GetContactListsResponse(contact_lists=shown, total_count=count)

    def ArchiveContactList(
        self, request: pb.ArchiveContactListRequest, context: grpc.ServicerContext
    ) -> pb.ArchiveContactListResponse:
        archive_contact_list(self._uow, self._list_files, request.service_id, request.contact_list_id)
        return pb.ArchiveContactListResponse()


def _contact_list(found: ContactList, recent_job_count: int) -> pb.ContactList:
    return pb.ContactList(
        id=found.id,
        service_id=found.service_id,
        channel=enums.to_proto(found.channel),
        file_name=found.file_name,
        row_count=found.row_count,
        created_by_id=found.created_by_id,
        create_time=found.create_time,
        has_jobs=found.has_jobs,
        recent_job_count=recent_job_count,
    )


def _job(job: Job, counts: Counts) -> pb.Job:
    return pb.Job(
        id=job.id,
        service_id=job.service_id,
        template_id=job.template_id,
        template_version=job.template_version,
        channel=enums.to_proto(job.channel),
        file_name=job.file_name,
        row_count=job.row_count,
        contact_list_id=job.contact_list_id or "",
        created_by_id=job.created_by_id,
        state=_STATES[job.state],
        create_time=job.create_time,
        scheduled_time=job.scheduled_time,
        start_time=job.start_time,
        finish_time=job.finish_time,
        update_time=job.update_time,
        archived=job.delete_time is not None,
        counts=state_counts(counts),
    )
