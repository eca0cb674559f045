"""Quotas: kept with every kind of write, shown to administrators, out of reach of those who only use the bucket."""

import json
import urllib.error
import urllib.request
import uuid
import xml.etree.ElementTree

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.exceptions
import pytest

from conftest import Server, client, exchanged
from test_client_with_wigeon import signed_in


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity):
    statements = [{"Effect": "Allow", "Action": ["wigeon:*", "s3:CreateBucket"], "Resource": "arn:aws:s3:::home"}, {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]
    server = Server(tmp_path_factory.mktemp("quota"), identity, statements=statements)
    client(server, **server.root).create_bucket(Bucket="home")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(server):
    return client(server, **server.root)


@pytest.fixture
def bucket(s3):
    name = f"q-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


def quota(server, bucket, body=None, credentials=None):
    keys = credentials or (server.root["aws_access_key_id"], server.root["aws_secret_access_key"])
    request = botocore.awsrequest.AWSRequest("GET" if body is None else "PUT", f"{server.url}/{bucket}?quota", data=body)
    botocore.auth.S3SigV4Auth(botocore.credentials.Credentials(*keys), "s3", "us-east-1").add_auth(request)
    prepared = request.prepare()
    asked = urllib.request.Request(prepared.url, data=prepared.body, headers=dict(prepared.headers), method=prepared.method)
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            text = answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code
    if not text:
        return {}
    return {element.tag.split("}")[1]: int(element.text) for element in xml.etree.ElementTree.fromstring(text)}


def limit(server, bucket, **limits):
    body = "".join(f"<{name}>{value}</{name}>" for name, value in limits.items())
    assert quota(server, bucket, f"<BucketQuota>{body}</BucketQuota>".encode()) == {}


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def test_every_kind_of_write_keeps_to_it(server, s3, bucket):
    assert quota(server, bucket) == {"UsedBytes": 0, "UsedObjects": 0}
    limit(server, bucket, MaxBytes=6 << 20, MaxObjects=3)
    s3.put_object(Bucket=bucket, Key="a", Body=b"x" * (2 << 20))
    assert refused(s3.put_object, Bucket=bucket, Key="b", Body=b"x" * (5 << 20)) == ("QuotaExceeded", 403)
    s3.copy_object(Bucket=bucket, Key="b", CopySource={"Bucket": bucket, "Key": "a"})
    s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a"})
    assert refused(s3.put_object, Bucket=bucket, Key="d", Body=b"") == ("QuotaExceeded", 403)
    s3.delete_object(Bucket=bucket, Key="c")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="c")["UploadId"]
    assert refused(s3.upload_part, Bucket=bucket, Key="c", UploadId=upload, PartNumber=1, Body=b"x" * (3 << 20)) == ("QuotaExceeded", 403)
    part = s3.upload_part(Bucket=bucket, Key="c", UploadId=upload, PartNumber=1, Body=b"x" * (2 << 20))
    s3.complete_multipart_upload(Bucket=bucket, Key="c", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    assert quota(server, bucket) == {"MaxBytes": 6 << 20, "MaxObjects": 3, "UsedBytes": 6 << 20, "UsedObjects": 3}
    s3.put_object(Bucket=bucket, Key="a", Body=b"smaller")
    limit(server, bucket)
    s3.put_object(Bucket=bucket, Key="d", Body=b"x" * (2 << 20))
    assert quota(server, bucket)["UsedObjects"] == 4


def test_older_versions_count(server, s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    limit(server, bucket, MaxBytes=25)
    version = s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 10)["VersionId"]
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 10)
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x" * 10)[0] == "QuotaExceeded"
    s3.delete_object(Bucket=bucket, Key="k")
    assert refused(s3.put_object, Bucket=bucket, Key="k", Body=b"x" * 10)[0] == "QuotaExceeded"
    s3.delete_object(Bucket=bucket, Key="k", VersionId=version)
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * 10)


def test_those_who_use_a_bucket_do_not_raise_its_limit(server, s3, identity, bucket):
    hers = tuple(exchanged(server, identity).values())
    assert quota(server, bucket, b"<BucketQuota/>", hers) == 403
    assert quota(server, bucket, None, hers) == 403
    assert quota(server, "home", None, hers)["UsedBytes"] == 0
    assert quota(server, bucket, b"<BucketQuota><MaxBytes>many</MaxBytes></BucketQuota>") == 400


def test_the_command_shows_and_sets(server, s3, identity, browse, tmp_path_factory):
    run = signed_in(tmp_path_factory.mktemp("quota-own"), browse, server, identity.issuer)
    s3.put_object(Bucket="home", Key="k", Body=b"x" * 2048)
    assert run("quota", "s3://home").stdout == "home: 2.0 KiB, 1 objects\n"
    shown = json.loads(run("--json", "quota", "s3://home", "--bytes", "10KiB", "--objects", "5").stdout)
    assert shown == {"bucket": "home", "used_bytes": 2048, "used_objects": 1, "max_bytes": 10240, "max_objects": 5}
    assert run("quota", "s3://home", "--bytes", "1MiB").stdout == "home: 2.0 KiB of 1.0 MiB, 1 objects of 5\n"
    assert refused(s3.put_object, Bucket="home", Key="k", Body=b"x" * (2 << 20))[0] == "QuotaExceeded"
    assert run("quota", "s3://home", "--unlimited").stdout == "home: 2.0 KiB, 1 objects\n"
    run("quota", "s3://home", "--bytes", "much", code=2)
