"""Lifecycle rules, with boto3: kept as they were written, carried out by the server, told with each object."""

import datetime
import time
import uuid

import boto3
import botocore.exceptions
import pytest

from conftest import Server

PAST = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="module")
def s3(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("lifecycle"), identity, settings="lifecycle_every_seconds = 1")
    yield boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **server.root)
    assert server.stop() == 0


@pytest.fixture
def bucket(s3):
    name = f"c-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def put(s3, bucket, *rules):
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": list(rules)})


def rule(**more):
    return {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, **more}


def refused(s3, bucket, *rules):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        put(s3, bucket, *rules)
    return error.value.response["Error"]["Code"]


def until(happened):
    for _ in range(100):
        if happened():
            return
        time.sleep(0.1)
    raise AssertionError("it did not happen")


def test_rules_come_back_as_they_were_written(s3, bucket):
    with pytest.raises(botocore.exceptions.ClientError) as missing:
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert missing.value.response["Error"]["Code"] == "NoSuchLifecycleConfiguration"
    rules = [
        {"ID": "one", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 7}},
        {"ID": "two", "Status": "Disabled", "Filter": {"Tag": {"Key": "a", "Value": "b"}}, "Expiration": {"Date": PAST}},
        {"ID": "three", "Status": "Enabled", "Filter": {"And": {"Prefix": "x", "Tags": [{"Key": "a", "Value": "b"}], "ObjectSizeGreaterThan": 5, "ObjectSizeLessThan": 500}},
         "NoncurrentVersionExpiration": {"NoncurrentDays": 3, "NewerNoncurrentVersions": 2}},
        {"ID": "four", "Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"ID": "five", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Days": 1}},
    ]
    put(s3, bucket, *rules)
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"] == rules
    put(s3, bucket, {"Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}})
    assert s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"][0]["ID"], "a rule without a name is given one"
    s3.delete_bucket_lifecycle(Bucket=bucket)
    with pytest.raises(botocore.exceptions.ClientError):
        s3.get_bucket_lifecycle_configuration(Bucket=bucket)


def test_rules_that_cannot_be_meant(s3, bucket):
    assert refused(s3, bucket, rule(Transitions=[{"Days": 1, "StorageClass": "GLACIER"}])) == "NotImplemented"
    assert refused(s3, bucket, rule()) == "InvalidRequest"
    assert refused(s3, bucket, rule(Expiration={"Days": 0})) == "InvalidArgument"
    assert refused(s3, bucket, rule(Expiration={"Date": PAST + datetime.timedelta(hours=1)})) == "InvalidArgument"
    assert refused(s3, bucket, rule(Expiration={"Days": 1}), rule(Expiration={"Days": 2})) == "InvalidArgument"
    tagged = {"Tag": {"Key": "a", "Value": "b"}}
    assert refused(s3, bucket, rule(Filter=tagged, AbortIncompleteMultipartUpload={"DaysAfterInitiation": 1})) == "InvalidRequest"


def test_what_is_over_goes(s3, bucket):
    for key in ("logs/1", "logs/2", "keep"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    put(s3, bucket, rule(Filter={"Prefix": "logs/"}, Expiration={"Date": PAST}))
    until(lambda: [object["Key"] for object in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["keep"])


def test_a_version_that_is_over_gets_a_marker(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x")["VersionId"]
    put(s3, bucket, rule(Expiration={"Date": PAST}))
    until(lambda: s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0)
    assert s3.get_object(Bucket=bucket, Key="k", VersionId=version)["Body"].read() == b"x"
    time.sleep(2.5)
    assert len(s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 1, "one marker is enough"
    put(s3, bucket, rule(Expiration={"ExpiredObjectDeleteMarker": True}))
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    until(lambda: "DeleteMarkers" not in s3.list_object_versions(Bucket=bucket))


def test_objects_say_when_they_expire(s3, bucket):
    put(s3, bucket, rule(ID="a rule", Filter={"Prefix": "logs/"}, Expiration={"Days": 7}))
    written = s3.put_object(Bucket=bucket, Key="logs/1", Body=b"x")
    expected = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=8)).strftime("%a, %d %b %Y 00:00:00 GMT")
    assert written["Expiration"] == f'expiry-date="{expected}", rule-id="a%20rule"'
    assert s3.head_object(Bucket=bucket, Key="logs/1")["Expiration"] == written["Expiration"]
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="else", Body=b"x")
