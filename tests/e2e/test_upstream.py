"""The gateway in front of Ceph RGW: a session of Wigeon's works in RGW's buckets, and RGW sees only its own key."""

import base64
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import Server, upstream_table

MIB = 1 << 20
PATH_STYLE = {"addressing_style": "path"}


def client(server, keys=None, **config):
    settings = Config(retries={"max_attempts": 1}, s3=config.pop("s3", PATH_STYLE), **config)
    return boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=settings, **(keys or server.root))


def session(server, identity, user="alice"):
    sts = boto3.client("sts", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    answer = sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="e2e", WebIdentityToken=identity.token(user))
    keys = answer["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "aws_session_token": keys["SessionToken"]}


def refused(call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


def fetch(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.fixture(scope="module")
def direct(rgw):
    """RGW itself, with its administrator's key."""
    return boto3.client("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1", config=Config(s3=PATH_STYLE),
                        aws_access_key_id=rgw["RGW_ACCESS_KEY"], aws_secret_access_key=rgw["RGW_SECRET_KEY"])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory, identity, rgw, direct):
    """Every bucket is RGW's, but for `scratch`; `team` is a part of one."""
    folder = tmp_path_factory.mktemp("gateway")
    parts = '[[upstream.bucket]]\nname = "team"\nbucket = "gateway-parts"\nprefix = "teams/blue team/"\n'
    text = 'default = true\ntimeout = 20\n' + parts
    server = Server(folder, identity, tables=upstream_table(rgw, folder, text), statements=[
        {"Effect": "Allow", "Action": "s3:*Tagging", "Resource": "arn:aws:s3:::home/alice/*"},
    ])
    config = folder / "serve.toml"
    config.write_text('local_buckets = ["scratch"]\n' + config.read_text())
    server.stop()
    server.start()
    for bucket in ("home", "gateway-parts"):
        direct.create_bucket(Bucket=bucket)
    yield server
    assert server.stop() == 0
    for bucket in ("home", "gateway-parts"):
        boto3.resource("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1", aws_access_key_id=rgw["RGW_ACCESS_KEY"],
                       aws_secret_access_key=rgw["RGW_SECRET_KEY"]).Bucket(bucket).object_versions.delete()
        direct.delete_bucket(Bucket=bucket)


@pytest.fixture(scope="module")
def alice(gateway, identity):
    return session(gateway, identity)


@pytest.fixture(scope="module")
def s3(gateway, alice):
    return client(gateway, alice)


def test_objects(s3, direct):
    body = os.urandom(3 * MIB)
    made = s3.put_object(Bucket="home", Key="alice/ä b+c%2F", Body=body, ContentType="text/x", Metadata={"a": "1"},
                         ContentMD5=base64.b64encode(hashlib.md5(body).digest()).decode())
    there = direct.get_object(Bucket="home", Key="alice/ä b+c%2F")
    assert there["Body"].read() == body and there["ETag"] == made["ETag"] and there["ContentType"] == "text/x"
    got = s3.get_object(Bucket="home", Key="alice/ä b+c%2F", Range="bytes=100-199")
    assert got["Body"].read() == body[100:200] and got["ResponseMetadata"]["HTTPStatusCode"] == 206
    assert got["ContentRange"] == f"bytes 100-199/{len(body)}" and got["Metadata"] == {"a": "1"}
    assert s3.head_object(Bucket="home", Key="alice/ä b+c%2F")["ContentLength"] == len(body)
    assert refused(s3.get_object, Bucket="home", Key="alice/ä b+c%2F", IfNoneMatch=made["ETag"])[1] == 304
    assert refused(s3.get_object, Bucket="home", Key="alice/none") == ("NoSuchKey", 404)
    s3.copy_object(Bucket="home", Key="alice/copy", CopySource={"Bucket": "home", "Key": "alice/ä b+c%2F"})
    assert direct.head_object(Bucket="home", Key="alice/copy")["ContentLength"] == len(body)
    listed = s3.list_objects_v2(Bucket="home", Prefix="alice/")
    assert [item["Key"] for item in listed["Contents"]] == ["alice/copy", "alice/ä b+c%2F"]
    s3.delete_object(Bucket="home", Key="alice/copy")
    assert refused(direct.head_object, Bucket="home", Key="alice/copy")[1] == 404
    s3.put_object(Bucket="home", Key="alice/empty", Body=b"")
    assert s3.get_object(Bucket="home", Key="alice/empty")["Body"].read() == b""


def test_each_way_of_sending_a_body(gateway, s3, alice, direct):
    body = os.urandom(MIB + 7)
    for name, settings in {
        "signed": dict(s3={"payload_signing_enabled": True, **PATH_STYLE}),
        "unsigned": dict(s3={"payload_signing_enabled": False, **PATH_STYLE}),
        "nothing more": dict(request_checksum_calculation="when_required"),
    }.items():
        client(gateway, alice, **settings).put_object(Bucket="home", Key="alice/way", Body=body)
        assert direct.get_object(Bucket="home", Key="alice/way")["Body"].read() == body, name
    for algorithm in ("CRC32", "CRC32C", "SHA1", "SHA256") if "awscrt" in sys.modules else ("CRC32", "SHA1", "SHA256"):
        s3.put_object(Bucket="home", Key=f"alice/{algorithm}", Body=body, ChecksumAlgorithm=algorithm)
        assert direct.get_object(Bucket="home", Key=f"alice/{algorithm}")["Body"].read() == body


def test_uploads_in_parts(s3, direct):
    upload = s3.create_multipart_upload(Bucket="home", Key="alice/parts")["UploadId"]
    assert [each["Key"] for each in direct.list_multipart_uploads(Bucket="home")["Uploads"]] == ["alice/parts"]
    bodies, parts = [os.urandom(5 * MIB), os.urandom(100)], []
    for number, body in enumerate(bodies, 1):
        tag = s3.upload_part(Bucket="home", Key="alice/parts", UploadId=upload, PartNumber=number, Body=body)["ETag"]
        parts.append({"PartNumber": number, "ETag": tag})
    assert len(s3.list_parts(Bucket="home", Key="alice/parts", UploadId=upload)["Parts"]) == 2
    s3.complete_multipart_upload(Bucket="home", Key="alice/parts", UploadId=upload, MultipartUpload={"Parts": parts})
    assert direct.get_object(Bucket="home", Key="alice/parts")["Body"].read() == b"".join(bodies)
    upload = s3.create_multipart_upload(Bucket="home", Key="alice/gone")["UploadId"]
    s3.abort_multipart_upload(Bucket="home", Key="alice/gone", UploadId=upload)


def test_presigned_addresses(gateway, alice, direct):
    direct.put_object(Bucket="home", Key="alice/presigned", Body=b"by address")
    for version in ("s3v4", "s3"):
        signer = client(gateway, alice, signature_version=version)
        url = signer.generate_presigned_url("get_object", Params={"Bucket": "home", "Key": "alice/presigned"})
        assert fetch(url) == (200, b"by address"), version
        assert fetch(url.replace("presigned?", "other?"))[0] == 403
        url = signer.generate_presigned_url("put_object", Params={"Bucket": "home", "Key": f"alice/put-{version}"})
        assert fetch(urllib.request.Request(url, data=b"sent", method="PUT", headers={"Content-Type": ""}))[0] == 200
        assert direct.get_object(Bucket="home", Key=f"alice/put-{version}")["Body"].read() == b"sent"


def test_what_is_not_allowed_does_not_arrive(gateway, s3, direct):
    direct.put_object(Bucket="home", Key="bob/secret", Body=b"bob's")
    for call, parameters in [
        (s3.get_object, dict(Bucket="home", Key="bob/secret")),
        (s3.put_object, dict(Bucket="home", Key="bob/new", Body=b"x")),
        (s3.copy_object, dict(Bucket="home", Key="alice/stolen", CopySource="home/bob/secret")),
        (s3.list_objects_v2, dict(Bucket="home", Prefix="bob/")),
        (s3.put_bucket_versioning, dict(Bucket="home", VersioningConfiguration={"Status": "Enabled"})),
        (s3.delete_bucket, dict(Bucket="home")),
        (s3.get_object, dict(Bucket="home", Key="alice/../bob/secret")),
    ]:
        code, status = refused(call, **parameters)
        assert status in (400, 403), (parameters, code)
    assert refused(direct.head_object, Bucket="home", Key="bob/new")[1] == 404
    direct.put_object(Bucket="home", Key="alice/mine", Body=b"")
    deleted = s3.delete_objects(Bucket="home", Delete={"Objects": [{"Key": "alice/mine"}, {"Key": "bob/secret"}]})
    assert [each["Key"] for each in deleted["Deleted"]] == ["alice/mine"]
    assert [(each["Key"], each["Code"]) for each in deleted["Errors"]] == [("bob/secret", "AccessDenied")]
    assert direct.head_object(Bucket="home", Key="bob/secret")


def test_tags(s3, direct):
    s3.put_object(Bucket="home", Key="alice/tagged", Body=b"x", Tagging="a=1")
    s3.put_object_tagging(Bucket="home", Key="alice/tagged", Tagging={"TagSet": [{"Key": "b", "Value": "2"}]})
    assert direct.get_object_tagging(Bucket="home", Key="alice/tagged")["TagSet"] == [{"Key": "b", "Value": "2"}]
    s3.delete_object_tagging(Bucket="home", Key="alice/tagged")
    assert s3.get_object_tagging(Bucket="home", Key="alice/tagged")["TagSet"] == []


def test_settings_of_buckets_and_versions_are_the_upstreams(gateway, direct):
    admin = client(gateway)
    admin.create_bucket(Bucket="versions-of-ceph")
    try:
        admin.put_bucket_versioning(Bucket="versions-of-ceph", VersioningConfiguration={"Status": "Enabled"})
        assert direct.get_bucket_versioning(Bucket="versions-of-ceph")["Status"] == "Enabled"
        first = admin.put_object(Bucket="versions-of-ceph", Key="k", Body=b"1")["VersionId"]
        admin.put_object(Bucket="versions-of-ceph", Key="k", Body=b"2")
        assert admin.get_object(Bucket="versions-of-ceph", Key="k", VersionId=first)["Body"].read() == b"1"
        versions = admin.list_object_versions(Bucket="versions-of-ceph")["Versions"]
        assert len(versions) == 2
        admin.copy_object(Bucket="versions-of-ceph", Key="old", CopySource={"Bucket": "versions-of-ceph", "Key": "k", "VersionId": first})
        assert admin.get_object(Bucket="versions-of-ceph", Key="old")["Body"].read() == b"1"
        lifecycle = {"Rules": [{"ID": "x", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 1}}]}
        admin.put_bucket_lifecycle_configuration(Bucket="versions-of-ceph", LifecycleConfiguration=lifecycle)
        assert direct.get_bucket_lifecycle_configuration(Bucket="versions-of-ceph")["Rules"][0]["ID"] == "x"
        assert admin.get_bucket_location(Bucket="versions-of-ceph")["LocationConstraint"] is None
    finally:
        listed = direct.list_object_versions(Bucket="versions-of-ceph")
        for each in listed.get("Versions", []) + listed.get("DeleteMarkers", []):
            direct.delete_object(Bucket="versions-of-ceph", Key=each["Key"], VersionId=each["VersionId"])
        direct.delete_bucket(Bucket="versions-of-ceph")
    assert refused(admin.head_bucket, Bucket="versions-of-ceph")[1] == 404


def test_a_part_of_a_bucket_and_local_ones(gateway, direct):
    admin = client(gateway)
    admin.create_bucket(Bucket="scratch")
    direct.put_object(Bucket="gateway-parts", Key="outside", Body=b"not theirs")
    for key in ("a", "dir/b", "dir/c d"):
        admin.put_object(Bucket="team", Key=key, Body=key.encode())
    assert direct.get_object(Bucket="gateway-parts", Key="teams/blue team/dir/c d")["Body"].read() == b"dir/c d"
    keys = []
    pages = admin.get_paginator("list_objects_v2").paginate(Bucket="team", PaginationConfig={"PageSize": 1})
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    assert keys == ["a", "dir/b", "dir/c d"]
    pages = admin.get_paginator("list_objects").paginate(Bucket="team", Delimiter="/", PaginationConfig={"PageSize": 1})
    listed = [item.get("Key") or item.get("Prefix") for page in pages for item in page.get("Contents", []) + page.get("CommonPrefixes", [])]
    assert listed == ["a", "dir/"]
    gone = admin.delete_objects(Bucket="team", Delete={"Objects": [{"Key": "a"}, {"Key": "dir/b"}, {"Key": "../../outside"}]})
    assert sorted(each["Key"] for each in gone["Deleted"]) == ["a", "dir/b"]
    assert [each["Key"] for each in gone["Errors"]] == ["../../outside"]
    assert direct.head_object(Bucket="gateway-parts", Key="outside")
    assert refused(admin.put_bucket_policy, Bucket="team", Policy="{}")[1] == 501
    names = [each["Name"] for each in admin.list_buckets()["Buckets"]]
    assert {"home", "gateway-parts", "team", "scratch"} <= set(names)
    assert "scratch" not in [each["Name"] for each in direct.list_buckets()["Buckets"]]
    admin.delete_bucket(Bucket="scratch")


def test_curl_waits_for_the_upstream(gateway, alice, tmp_path, direct):
    """`Expect: 100-continue` and an upload without `aws-chunked`, by a tool that is no SDK."""
    (tmp_path / "body").write_bytes(os.urandom(2 * MIB))
    done = subprocess.run([
        "curl", "-sS", "--fail-with-body", "--aws-sigv4", "aws:amz:us-east-1:s3", "-T", tmp_path / "body",
        "--user", f"{gateway.root['aws_access_key_id']}:{gateway.root['aws_secret_access_key']}",
        "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-H", "Expect: 100-continue", "-v", f"{gateway.url}/home/alice/curl",
    ], capture_output=True, text=True)
    assert done.returncode == 0 and "100 Continue" in done.stderr, done.stdout + done.stderr
    assert direct.get_object(Bucket="home", Key="alice/curl")["Body"].read() == (tmp_path / "body").read_bytes()


def test_memory_does_not_grow_with_the_body(gateway, s3, direct):
    def resident():
        status = pathlib.Path(f"/proc/{gateway.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1))

    s3.put_object(Bucket="home", Key="alice/large", Body=b"x" * MIB)
    before = resident()
    body = b"y" * (96 * MIB)
    s3.put_object(Bucket="home", Key="alice/large", Body=body)
    assert hashlib.md5(s3.get_object(Bucket="home", Key="alice/large")["Body"].read()).digest() == hashlib.md5(body).digest()
    assert resident() - before < 24 << 10


def test_the_record_says_what_the_upstream_said(gateway, s3):
    code, _ = refused(s3.get_object, Bucket="home", Key="alice/never")
    record = gateway.audit()[-1]
    assert (record["code"], record["status"], record["who"]["subject"]) == (code, 404, "alice")
    assert "the upstream answered 404" in record["reason"]


# ---- credentials of the upstream -----------------------------------------------------------------------------


def gateway_with(folder, identity, rgw, variables, more="default = true\n", **settings):
    return Server(folder, identity, tables=upstream_table(rgw, folder, more, credentials=False, **settings), variables=variables)


def works(server):
    try:
        client(server).list_objects_v2(Bucket="home")
        return server.audit()
    finally:
        server.stop()


def test_credentials_of_the_environment_over_tls(tmp_path, identity, rgw, gateway):
    keys = {"AWS_ACCESS_KEY_ID": rgw["RGW_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": rgw["RGW_SECRET_KEY"]}
    more = f'default = true\nca_file = "{rgw["RGW_CA_FILE"]}"\n'
    works(gateway_with(tmp_path, identity, rgw, keys, more, endpoint=rgw["RGW_TLS_ENDPOINT"]))


def test_credentials_of_a_program(tmp_path, identity, rgw, gateway):
    answer = {"Version": 1, "AccessKeyId": rgw["RGW_ACCESS_KEY"], "SecretAccessKey": rgw["RGW_SECRET_KEY"]}
    (tmp_path / "answer.json").write_text(json.dumps(answer))
    (tmp_path / "aws-config").write_text(f"[profile up]\ncredential_process = cat {tmp_path}/answer.json\n")
    more = 'default = true\ncredentials = { profile = "up" }\n'
    works(gateway_with(tmp_path, identity, rgw, {}, more))


def test_credentials_of_a_role_by_a_token_file(tmp_path, identity, rgw, rgw_role, gateway):
    """The gateway is itself a web identity at the store behind it."""
    (tmp_path / "token").write_text(identity.token())
    server = gateway_with(tmp_path, identity, rgw, {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"), "AWS_ROLE_ARN": f"arn:aws:iam:::role/{rgw_role}",
        "AWS_ENDPOINT_URL_STS": rgw["RGW_ENDPOINT"],
    })
    try:
        admin = client(server)
        admin.create_bucket(Bucket="of-a-role")
        admin.put_object(Bucket="of-a-role", Key="k", Body=b"x")
        assert admin.get_object(Bucket="of-a-role", Key="k")["Body"].read() == b"x"
        admin.delete_object(Bucket="of-a-role", Key="k")
        admin.delete_bucket(Bucket="of-a-role")
    finally:
        server.stop()


def test_no_credentials_and_wrong_ones(tmp_path, identity, rgw, gateway):
    server = gateway_with(tmp_path, identity, rgw, {"AWS_ACCESS_KEY_ID": rgw["RGW_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": "wrong"})
    try:
        # This RGW says so of a wrong secret key.
        assert refused(client(server).get_object, Bucket="home", Key="alice/x") == ("AccessDenied", 403)
        assert "the upstream answered 403" in server.audit()[-1]["reason"]
    finally:
        server.stop()
    (tmp_path / "none").mkdir()
    server = gateway_with(tmp_path / "none", identity, rgw, {})
    try:
        assert refused(client(server).get_object, Bucket="home", Key="alice/x") == ("ServiceUnavailable", 503)
        assert "there are no credentials for the upstream" in server.audit()[-1]["reason"]
    finally:
        server.stop()
