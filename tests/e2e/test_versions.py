"""Versions, with boto3 and the AWS CLI: what AWS answers, in what order, with which headers."""

import json
import subprocess
import uuid

import botocore.exceptions
import pytest

from conftest import Server, client, environment, exchanged


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("versions"), identity)
    client(server, **server.root).create_bucket(Bucket="home")
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def s3(server):
    return client(server, **server.root)


@pytest.fixture
def bucket(s3):
    name = f"v-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def versioned(s3, bucket):
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


def refused(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["ResponseMetadata"]["HTTPHeaders"]


def listed(s3, bucket, **more):
    """(key, version id, latest, is a marker), as listed, over all pages."""
    found = []
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, **more):
        each = [(v["Key"], v["VersionId"], v["IsLatest"], False) for v in page.get("Versions", [])]
        each += [(v["Key"], v["VersionId"], v["IsLatest"], True) for v in page.get("DeleteMarkers", [])]
        found += each
    return found


def test_a_bucket_that_never_had_versions_says_nothing_of_them(s3, bucket):
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert "VersionId" not in s3.put_object(Bucket=bucket, Key="k", Body=b"1")
    assert "VersionId" not in s3.get_object(Bucket=bucket, Key="k")
    assert s3.get_object(Bucket=bucket, Key="k", VersionId="null")["Body"].read() == b"1"
    assert listed(s3, bucket) == [("k", "null", True, False)]
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="f" * 32)[:2] == ("NoSuchVersion", 404)
    assert refused(s3.get_object, Bucket=bucket, Key="k", VersionId="nonsense")[:2] == ("InvalidArgument", 400)
    deleted = s3.delete_object(Bucket=bucket, Key="k")
    assert "DeleteMarker" not in deleted and "VersionId" not in deleted


def test_each_write_makes_a_version_and_a_delete_a_marker(s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"before")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    assert s3.get_object(Bucket=bucket, Key="k")["VersionId"] == "null"
    first = s3.put_object(Bucket=bucket, Key="k", Body=b"first")["VersionId"]
    second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
    assert first < second, "ids are in the order of time"
    marker = s3.delete_object(Bucket=bucket, Key="k")
    assert marker["DeleteMarker"] is True and marker["VersionId"] > second
    code, status, headers = refused(s3.get_object, Bucket=bucket, Key="k")
    assert (code, status, headers["x-amz-delete-marker"], headers["x-amz-version-id"]) == ("NoSuchKey", 404, "true", marker["VersionId"])
    code, status, headers = refused(s3.get_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert (code, status, headers["x-amz-delete-marker"], headers["allow"]) == ("MethodNotAllowed", 405, "true", "DELETE")
    assert "last-modified" in headers
    _, status, headers = refused(s3.head_object, Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert (status, headers["x-amz-delete-marker"]) == (405, "true")
    assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 0
    for version, body in (("null", b"before"), (first, b"first"), (second, b"second")):
        answer = s3.get_object(Bucket=bucket, Key="k", VersionId=version)
        assert (answer["Body"].read(), answer["VersionId"]) == (body, version)
    expected = [(second, False), (first, False), ("null", False), (marker["VersionId"], True)]
    assert [(version, is_marker) for _, version, _, is_marker in listed(s3, bucket)] == expected
    # Without the marker the object is there again; without its latest version, the one before.
    undone = s3.delete_object(Bucket=bucket, Key="k", VersionId=marker["VersionId"])
    assert (undone["DeleteMarker"], undone["VersionId"]) == (True, marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"
    gone = s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
    assert "DeleteMarker" not in gone and gone["VersionId"] == second
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"first"
    # A delete of nothing leaves a marker too; deleting what is not there is no error.
    assert s3.delete_object(Bucket=bucket, Key="never")["DeleteMarker"] is True
    assert s3.delete_object(Bucket=bucket, Key="k", VersionId=second)["VersionId"] == second
    assert refused(s3.delete_bucket, Bucket=bucket)[0] == "BucketNotEmpty"


def test_suspended_the_null_version_is_replaced(s3, versioned):
    kept = s3.put_object(Bucket=versioned, Key="k", Body=b"kept")["VersionId"]
    s3.put_bucket_versioning(Bucket=versioned, VersioningConfiguration={"Status": "Suspended"})
    assert s3.put_object(Bucket=versioned, Key="k", Body=b"one")["VersionId"] == "null"
    assert s3.put_object(Bucket=versioned, Key="k", Body=b"two")["VersionId"] == "null"
    assert [version for _, version, _, _ in listed(s3, versioned)] == ["null", kept]
    marker = s3.delete_object(Bucket=versioned, Key="k")
    assert (marker["DeleteMarker"], marker["VersionId"]) == (True, "null")
    assert sorted(listed(s3, versioned)) == sorted([("k", kept, False, False), ("k", "null", True, True)])
    s3.delete_object(Bucket=versioned, Key="k", VersionId="null")
    assert s3.get_object(Bucket=versioned, Key="k")["VersionId"] == kept


def test_versions_are_listed_in_pages(s3, versioned):
    expected = []
    for key in ("a", "dir/one", "dir/two", "z"):
        ids = [s3.put_object(Bucket=versioned, Key=key, Body=b"%d" % n)["VersionId"] for n in range(5)]
        expected += [(key, version) for version in reversed(ids)]
    for size in (1, 2, 3, 7, 20):
        pages = listed(s3, versioned, PaginationConfig={"PageSize": size})
        assert [(key, version) for key, version, _, _ in pages] == expected, size
        assert [latest for _, _, latest, _ in pages] == [True, False, False, False, False] * 4
    rolled = s3.list_object_versions(Bucket=versioned, Delimiter="/", MaxKeys=6)
    assert [prefix["Prefix"] for prefix in rolled["CommonPrefixes"]] == ["dir/"]
    assert (rolled["IsTruncated"], rolled["NextKeyMarker"]) == (True, "dir/")
    rest = s3.list_object_versions(Bucket=versioned, Delimiter="/", KeyMarker=rolled["NextKeyMarker"])
    assert {version["Key"] for version in rest["Versions"]} == {"z"}
    assert len(s3.list_object_versions(Bucket=versioned, Prefix="dir/t")["Versions"]) == 5
    assert refused(s3.list_object_versions, Bucket=versioned, VersionIdMarker=expected[0][1])[0] == "InvalidArgument"


def test_copies_tags_and_attributes_of_a_version(s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old", Tagging="a=1")["VersionId"]
    new = s3.put_object(Bucket=versioned, Key="k", Body=b"new")["VersionId"]
    assert s3.get_object_tagging(Bucket=versioned, Key="k", VersionId=old)["TagSet"] == [{"Key": "a", "Value": "1"}]
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == []
    tagged = s3.put_object_tagging(Bucket=versioned, Key="k", VersionId=old, Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
    assert tagged["VersionId"] == old
    assert s3.delete_object_tagging(Bucket=versioned, Key="k")["VersionId"] == new
    attributes = s3.get_object_attributes(Bucket=versioned, Key="k", VersionId=old, ObjectAttributes=["ObjectSize", "ETag"])
    assert (attributes["VersionId"], attributes["ObjectSize"]) == (old, 3)
    # A version is brought back by copying it onto its own key.
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    copied = s3.copy_object(Bucket=versioned, Key="k", CopySource=source)
    assert copied["CopySourceVersionId"] == old and copied["VersionId"] not in (old, new)
    assert s3.get_object(Bucket=versioned, Key="k")["Body"].read() == b"old"
    assert s3.get_object_tagging(Bucket=versioned, Key="k")["TagSet"] == [{"Key": "b", "Value": "2"}]
    marker = s3.delete_object(Bucket=versioned, Key="k")["VersionId"]
    assert refused(s3.copy_object, Bucket=versioned, Key="x", CopySource={**source, "VersionId": marker})[0] == "InvalidRequest"
    assert refused(s3.copy_object, Bucket=versioned, Key="x", CopySource={"Bucket": versioned, "Key": "k"})[0] == "NoSuchKey"
    assert refused(s3.put_object_tagging, Bucket=versioned, Key="k", VersionId=marker, Tagging={"TagSet": []})[0] == "MethodNotAllowed"


def test_uploads_in_parts_make_versions_and_answer_twice(s3, versioned):
    s3.put_object(Bucket=versioned, Key="big", Body=b"before")
    upload = s3.create_multipart_upload(Bucket=versioned, Key="big")["UploadId"]
    parts = []
    for number, body in ((1, b"x" * (5 << 20)), (2, b"end")):
        part = s3.upload_part(Bucket=versioned, Key="big", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    whole = {"Bucket": versioned, "Key": "big", "UploadId": upload, "MultipartUpload": {"Parts": parts}}
    made = s3.complete_multipart_upload(**whole)
    again = s3.complete_multipart_upload(**whole)
    assert (again["VersionId"], again["ETag"]) == (made["VersionId"], made["ETag"])
    assert len(listed(s3, versioned)) == 2
    assert refused(s3.complete_multipart_upload, **{**whole, "Key": "other"})[0] == "NoSuchUpload"
    # A copy is in one piece: its tag is the MD5 of its bytes.
    assert made["ETag"].endswith('-2"')
    copied = s3.copy_object(Bucket=versioned, Key="copy", CopySource={"Bucket": versioned, "Key": "big"})
    assert "-" not in copied["CopyObjectResult"]["ETag"]
    part = s3.create_multipart_upload(Bucket=versioned, Key="parts")["UploadId"]
    source = {"Bucket": versioned, "Key": "big", "VersionId": made["VersionId"]}
    copy = s3.upload_part_copy(Bucket=versioned, Key="parts", UploadId=part, PartNumber=1, CopySource=source)
    assert copy["CopySourceVersionId"] == made["VersionId"]


def test_many_deletes_name_versions(s3, versioned):
    first = s3.put_object(Bucket=versioned, Key="a", Body=b"1")["VersionId"]
    s3.put_object(Bucket=versioned, Key="b", Body=b"1")
    objects = [{"Key": "a", "VersionId": first}, {"Key": "b"}, {"Key": "c", "VersionId": "nonsense"}]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": objects})
    by_key = {deleted["Key"]: deleted for deleted in answer["Deleted"]}
    assert by_key["a"]["VersionId"] == first and "DeleteMarker" not in by_key["a"]
    marker = by_key["b"]["DeleteMarkerVersionId"]
    assert by_key["b"]["DeleteMarker"] is True and "VersionId" not in by_key["b"]
    assert [(error["Key"], error["VersionId"], error["Code"]) for error in answer["Errors"]] == [("c", "nonsense", "InvalidArgument")]
    answer = s3.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "b", "VersionId": marker}]})
    assert answer["Deleted"] == [{"Key": "b", "VersionId": marker, "DeleteMarker": True, "DeleteMarkerVersionId": marker}]
    rest = [{"Key": key, "VersionId": version} for key, version, _, _ in listed(s3, versioned)]
    s3.delete_objects(Bucket=versioned, Delete={"Objects": rest, "Quiet": True})
    s3.delete_bucket(Bucket=versioned)


def test_versions_have_permissions_of_their_own(server, identity, s3, versioned):
    old = s3.put_object(Bucket=versioned, Key="k", Body=b"old")["VersionId"]
    s3.put_object(Bucket=versioned, Key="k", Body=b"new")
    hers = client(server, **exchanged(server, identity))
    statement = {"Effect": "Allow", "Principal": {"AWS": server.role}, "Action": ["s3:GetObject", "s3:DeleteObject"], "Resource": f"arn:aws:s3:::{versioned}/*"}
    s3.put_bucket_policy(Bucket=versioned, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    assert hers.get_object(Bucket=versioned, Key="k")["Body"].read() == b"new"
    assert refused(hers.get_object, Bucket=versioned, Key="k", VersionId=old)[0] == "AccessDenied"
    assert refused(hers.delete_object, Bucket=versioned, Key="k", VersionId=old)[0] == "AccessDenied"
    assert refused(hers.list_object_versions, Bucket=versioned)[0] == "AccessDenied"
    many = hers.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": old}]})
    assert many["Errors"][0]["Code"] == "AccessDenied"
    # A version that is denied by its id is denied to a multi-delete and to a copy as well.
    everything = {**statement, "Action": "s3:*"}
    denied = {**statement, "Effect": "Deny", "Action": ["s3:GetObjectVersion", "s3:DeleteObjectVersion"], "Condition": {"StringEquals": {"s3:VersionId": old}}}
    s3.put_bucket_policy(Bucket=versioned, Policy=json.dumps({"Version": "2012-10-17", "Statement": [everything, denied]}))
    many = hers.delete_objects(Bucket=versioned, Delete={"Objects": [{"Key": "k", "VersionId": old}]})
    assert many["Errors"][0]["Code"] == "AccessDenied"
    source = {"Bucket": versioned, "Key": "k", "VersionId": old}
    assert refused(hers.copy_object, Bucket=versioned, Key="copy", CopySource=source)[0] == "AccessDenied"
    other = s3.get_object(Bucket=versioned, Key="k")["VersionId"]
    hers.copy_object(Bucket=versioned, Key="copy", CopySource={**source, "VersionId": other})
    hers.delete_object(Bucket=versioned, Key="k")
    assert s3.get_object(Bucket=versioned, Key="k", VersionId=old)["Body"].read() == b"old"


def test_the_aws_cli_empties_a_versioned_bucket(server, s3, versioned, tmp_path):
    for n in range(3):
        s3.put_object(Bucket=versioned, Key="k", Body=b"%d" % n)
    variables = environment(
        tmp_path, AWS_ACCESS_KEY_ID=server.root["aws_access_key_id"], AWS_SECRET_ACCESS_KEY=server.root["aws_secret_access_key"],
        AWS_ENDPOINT_URL=server.url, AWS_DEFAULT_REGION="us-east-1",
    )
    run = lambda *arguments: json.loads(subprocess.run(["aws", *arguments, "--output", "json"], env=variables, check=True, capture_output=True, text=True, timeout=120).stdout or "{}")
    run("s3api", "delete-object", "--bucket", versioned, "--key", "k")
    versions = run("s3api", "list-object-versions", "--bucket", versioned)
    assert (len(versions["Versions"]), len(versions["DeleteMarkers"])) == (3, 1)
    for version in versions["Versions"] + versions["DeleteMarkers"]:
        run("s3api", "delete-object", "--bucket", versioned, "--key", "k", "--version-id", version["VersionId"])
    run("s3api", "delete-bucket", "--bucket", versioned)
