"""Object lock, with boto3: retentions, legal holds, who may bypass them, and that what is locked stays."""

import datetime
import json
import os
import pathlib
import subprocess
import uuid

import botocore.exceptions
import pytest

from conftest import Certificates, Server, client, exchanged, runner
from test_object_commands import Store

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("lock"), identity)
    client(server, **server.root).create_bucket(Bucket="home")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(server):
    return client(server, **server.root)


@pytest.fixture(scope="module")
def alice(server, identity):
    return client(server, **exchanged(server, identity))


@pytest.fixture
def bucket(s3):
    name = f"l-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    return name


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


def allow(s3, server, bucket, *actions, **condition):
    statement = {"Effect": "Allow", "Principal": {"AWS": server.role}, "Action": list(actions), "Resource": f"arn:aws:s3:::{bucket}/*", **condition}
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def test_a_bucket_that_locks(s3, bucket):
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert refused(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}) == "InvalidBucketState"
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"] == {"ObjectLockEnabled": "Enabled"}
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule})
    assert s3.get_object_lock_configuration(Bucket=bucket)["ObjectLockConfiguration"]["Rule"] == rule
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["ObjectLockMode"] == "GOVERNANCE"
    assert abs(head["ObjectLockRetainUntilDate"] - (datetime.datetime.now(datetime.timezone.utc) + 3 * DAY)) < datetime.timedelta(minutes=2)


def test_a_bucket_that_does_not(s3):
    name = f"n-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"1")
    assert refused(s3.get_object_lock_configuration, Bucket=name) == "ObjectLockConfigurationNotFoundError"
    locked = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": NOW + DAY}
    assert refused(s3.put_object, Bucket=name, Key="k", Body=b"1", **locked) == "InvalidRequest"
    assert refused(s3.get_object_retention, Bucket=name, Key="k") == "InvalidRequest"
    assert refused(s3.put_object_legal_hold, Bucket=name, Key="k", LegalHold={"Status": "ON"}) == "InvalidRequest"
    enabled = {"ObjectLockEnabled": "Enabled"}
    assert refused(s3.put_object_lock_configuration, Bucket=name, ObjectLockConfiguration=enabled) == "InvalidBucketState"
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    s3.put_object_lock_configuration(Bucket=name, ObjectLockConfiguration=enabled)
    s3.put_object(Bucket=name, Key="k", Body=b"1", **locked)


def test_retention_and_its_bypass(s3, server, alice, bucket):
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=NOW + DAY)["VersionId"]
    assert s3.get_object_retention(Bucket=bucket, Key="k")["Retention"] == {"Mode": "GOVERNANCE", "RetainUntilDate": NOW + DAY}
    assert refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=version) == "AccessDenied"
    many = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}]})
    assert many["Errors"][0]["Code"] == "AccessDenied" and "object lock" in many["Errors"][0]["Message"]
    shorter = {"Mode": "GOVERNANCE", "RetainUntilDate": NOW + DAY / 2}
    assert refused(s3.put_object_retention, Bucket=bucket, Key="k", Retention=shorter) == "AccessDenied"
    s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": NOW + 2 * DAY})
    s3.put_object_retention(Bucket=bucket, Key="k", Retention=shorter, BypassGovernanceRetention=True)
    assert refused(s3.put_object_retention, Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": NOW - DAY}) == "InvalidArgument"
    # The bypass has a permission of its own.
    allow(s3, server, bucket, "s3:DeleteObjectVersion")
    assert refused(alice.delete_object, Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    many = alice.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "VersionId": version}]}, BypassGovernanceRetention=True)
    assert many["Errors"][0]["Code"] == "AccessDenied"
    allow(s3, server, bucket, "s3:DeleteObjectVersion", "s3:BypassGovernanceRetention")
    alice.delete_object(Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True)
    assert "Versions" not in s3.list_object_versions(Bucket=bucket)


def test_compliance_yields_to_nobody(s3, bucket):
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=NOW + DAY)["VersionId"]
    assert refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    for weaker in ({"Mode": "COMPLIANCE", "RetainUntilDate": NOW + DAY / 2}, {"Mode": "GOVERNANCE", "RetainUntilDate": NOW + 2 * DAY}):
        assert refused(s3.put_object_retention, Bucket=bucket, Key="k", Retention=weaker, BypassGovernanceRetention=True) == "AccessDenied"
    s3.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": NOW + 2 * DAY})
    s3.delete_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == b"1"
    assert refused(s3.delete_bucket, Bucket=bucket) == "BucketNotEmpty"


def test_legal_hold(s3, bucket):
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["VersionId"]
    assert refused(s3.get_object_legal_hold, Bucket=bucket, Key="k") == "NoSuchObjectLockConfiguration"
    assert refused(s3.get_object_retention, Bucket=bucket, Key="k") == "NoSuchObjectLockConfiguration"
    s3.put_object_legal_hold(Bucket=bucket, Key="k", LegalHold={"Status": "ON"})
    assert s3.get_object_legal_hold(Bucket=bucket, Key="k", VersionId=version)["LegalHold"]["Status"] == "ON"
    assert s3.head_object(Bucket=bucket, Key="k")["ObjectLockLegalHoldStatus"] == "ON"
    assert refused(s3.delete_object, Bucket=bucket, Key="k", VersionId=version, BypassGovernanceRetention=True) == "AccessDenied"
    s3.put_object_legal_hold(Bucket=bucket, Key="k", VersionId=version, LegalHold={"Status": "OFF"})
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)


def test_copies_and_uploads_are_locked_as_they_say(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1", ObjectLockLegalHoldStatus="ON")
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"})
    assert "ObjectLockLegalHoldStatus" not in s3.head_object(Bucket=bucket, Key="copy"), "a lock stays with its version"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "k"}, ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=NOW + DAY)
    assert s3.head_object(Bucket=bucket, Key="copy")["ObjectLockMode"] == "GOVERNANCE"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big", ObjectLockMode="COMPLIANCE", ObjectLockRetainUntilDate=NOW + DAY)["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert s3.head_object(Bucket=bucket, Key="big")["ObjectLockRetainUntilDate"] == NOW + DAY


def test_policies_see_what_the_body_says(s3, server, alice, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    condition = {"Condition": {"NumericLessThanEquals": {"s3:object-lock-remaining-retention-days": "10"}, "StringEquals": {"s3:object-lock-mode": "GOVERNANCE"}}}
    allow(s3, server, bucket, "s3:PutObjectRetention", **condition)
    alice.put_object_retention(Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": NOW + 5 * DAY})
    assert refused(alice.put_object_retention, Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": NOW + 6 * DAY}) == "AccessDenied"
    assert refused(alice.put_object_retention, Bucket=bucket, Key="k", Retention={"Mode": "GOVERNANCE", "RetainUntilDate": NOW + 20 * DAY}) == "AccessDenied"
    # A header says nothing of it.
    alice.meta.events.register("before-sign.s3.PutObjectRetention", lambda request, **_: request.headers.add_header("x-amz-object-lock-mode", "GOVERNANCE"))
    assert refused(alice.put_object_retention, Bucket=bucket, Key="k", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": NOW + 6 * DAY}) == "AccessDenied"
    # Who may not read the retention does not see it with the object either.
    allow(s3, server, bucket, "s3:GetObject")
    assert "ObjectLockMode" not in alice.head_object(Bucket=bucket, Key="k")


def test_changes_in_place_keep_the_lock(server, s3, bucket, tmp_path):
    """In one piece and in parts, at any size: crates/client/tests/store.rs, and the command."""
    root = pathlib.Path(__file__).resolve().parents[2]
    variables = {"RGW_ENDPOINT": server.url, "RGW_REGION": "us-east-1", "RGW_CA_FILE": str(Certificates(tmp_path).ca),
                 "RGW_ACCESS_KEY": server.root["aws_access_key_id"], "RGW_SECRET_KEY": server.root["aws_secret_access_key"],
                 "LOCKING_BUCKET": bucket}
    tests = ["what_is_locked_stays_so_in_its_next_version", "a_rewritten_object_keeps_what_was_not_changed", "copies_in_parts"]
    done = subprocess.run(["cargo", "test", "--quiet", "-p", "wigeon-client", "--test", "store", "--", "--ignored", "--exact", *tests], cwd=root,
                          env={**os.environ, **variables}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "3 passed; 0 failed" in done.stdout, done.stdout + done.stderr
    k = Store(runner(tmp_path), "k", server.url, variables["RGW_ACCESS_KEY"], variables["RGW_SECRET_KEY"])
    s3.put_object(Bucket=bucket, Key="a", Body=b"1", ObjectLockMode="GOVERNANCE", ObjectLockRetainUntilDate=NOW + DAY, ObjectLockLegalHoldStatus="ON", Tagging="p=q")
    k("meta", "set", f"k:{bucket}/a", "who=ada")
    k("mv", f"k:{bucket}/a", f"k:{bucket}/b")
    head = s3.head_object(Bucket=bucket, Key="b")
    assert (head["Metadata"], head["ObjectLockMode"], head["ObjectLockRetainUntilDate"], head["ObjectLockLegalHoldStatus"]) == ({"who": "ada"}, "GOVERNANCE", NOW + DAY, "ON")
    assert s3.get_object_tagging(Bucket=bucket, Key="b")["TagSet"] == [{"Key": "p", "Value": "q"}]
