"""The local object store under boto3, as a client uses S3 that sets the metadata of what it has stored."""

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError
from notify_local.backing import ObjectStore

if TYPE_CHECKING:
    from mypy_boto3_s3.service_resource import Bucket

KEY = "service-1-notify/file.csv"
BODY = b"phone number\n07900900123\n" * 1000


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    store = ObjectStore(tmp_path_factory.mktemp("objects"))
    store.start()
    yield store
    store.stop()


@pytest.fixture
def bucket(store: ObjectStore) -> "Bucket":
    s3 = boto3.resource(
        "s3",
        endpoint_url=store.url,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name=store.region,
    )
    bucket = s3.Bucket(f"b-{uuid.uuid4()}")
    bucket.create()
    bucket.put_object(Key=KEY, Body=BODY, ContentType="text/csv", Metadata={"uploaded": "yes"})
    return bucket


def test_a_copy_onto_itself_replaces_the_metadata(bucket: "Bucket") -> None:
    stored = bucket.Object(KEY)
    stored.copy_from(
        CopySource={"Bucket": bucket.name, "Key": KEY},
        Metadata={"valid": "True", "notification_count": "1000"},
        MetadataDirective="REPLACE",
        ServerSideEncryption="AES256",
    )
    stored.reload()
    assert stored.metadata == {"valid": "True", "notification_count": "1000"}
    assert stored.get()["Body"].read() == BODY


def test_a_copy_elsewhere_replaces_the_metadata_too(bucket: "Bucket") -> None:
    other = bucket.Object("other.csv")
    other.copy_from(
        CopySource={"Bucket": bucket.name, "Key": KEY},
        Metadata={"a": "b"},
        MetadataDirective="REPLACE",
        ContentType="text/plain",
    )
    other.reload()
    assert (other.metadata, other.content_type) == ({"a": "b"}, "text/plain")
    assert bucket.Object(KEY).metadata == {"uploaded": "yes"}


def test_a_copy_that_says_nothing_keeps_the_metadata(bucket: "Bucket") -> None:
    other = bucket.Object("other.csv")
    other.copy_from(CopySource={"Bucket": bucket.name, "Key": KEY})
    other.reload()
    assert (other.metadata, other.content_type) == ({"uploaded": "yes"}, "text/csv")
    assert other.get()["Body"].read() == BODY


def test_a_copy_onto_itself_that_changes_nothing_is_refused(bucket: "Bucket") -> None:
    with pytest.raises(ClientError) as refused:
        bucket.Object(KEY).copy_from(CopySource={"Bucket": bucket.name, "Key": KEY})
    assert refused.value.response["Error"]["Code"] == "InvalidRequest"


def test_a_copy_of_what_is_not_there_stores_nothing(bucket: "Bucket") -> None:
    with pytest.raises(ClientError) as refused:
        bucket.Object("other.csv").copy_from(
            CopySource={"Bucket": bucket.name, "Key": "none"}, Metadata={}, MetadataDirective="REPLACE"
        )
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"
    assert [stored.key for stored in bucket.objects.all()] == [KEY]


def test_metadata_survives_a_restart(bucket: "Bucket", store: ObjectStore) -> None:
    bucket.Object(KEY).copy_from(
        CopySource={"Bucket": bucket.name, "Key": KEY}, Metadata={"kept": "yes"}, MetadataDirective="REPLACE"
    )
    store.stop()
    store.start()
    assert bucket.Object(KEY).metadata == {"kept": "yes"}
