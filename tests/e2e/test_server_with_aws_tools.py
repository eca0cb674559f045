"""The AWS CLI and boto3, as they are, against Wigeon's server with tokens of a real provider."""

import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import ACCOUNT, environment


def client(service, server, credentials=None, **config):
    keys = credentials or server.root
    settings = Config(retries={"max_attempts": 1}, **config)
    return boto3.client(service, endpoint_url=server.url, region_name="us-east-1", config=settings, **keys)


def exchange(server, token, **more):
    sts = client("sts", server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"})
    return sts.assume_role_with_web_identity(
        RoleArn=server.role, RoleSessionName="e2e", WebIdentityToken=token, **more
    )


def keys_of(answer):
    credentials = answer["Credentials"]
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        "aws_session_token": credentials["SessionToken"],
    }


def code_of(error):
    return error.value.response["Error"]["Code"], error.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.fixture(scope="module")
def admin(server):
    s3 = client("s3", server)
    # Other modules use the same server.
    existing = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    for bucket in {"shared", "home"} - existing:
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="shared", Key="readme.txt", Body=b"for everyone\n", ContentType="text/plain")
    return s3


@pytest.fixture(scope="module")
def alice(server, identity, admin):
    answer = exchange(server, identity.token())
    return keys_of(answer)


@pytest.fixture(scope="module")
def s3(server, alice):
    return client("s3", server, alice)


# ---- exchange ----------------------------------------------------------------------------------------------


def test_exchange_answers_as_aws_does(server, identity):
    answer = exchange(server, identity.token(), DurationSeconds=900)
    credentials = answer["Credentials"]
    assert credentials["AccessKeyId"].startswith("ASIA") and len(credentials["AccessKeyId"]) == 20
    assert len(credentials["SecretAccessKey"]) == 40
    assert 880 < credentials["Expiration"].timestamp() - time.time() < 910
    assert answer["SubjectFromWebIdentityToken"] == "alice"
    assert answer["Audience"] == "s3-cli"
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/person/e2e"
    provider = identity.issuer.split("://", 1)[1]
    assert answer["Provider"] == f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
    caller = client("sts", server, keys_of(answer)).get_caller_identity()
    assert caller["Arn"] == answer["AssumedRoleUser"]["Arn"]
    assert caller["Account"] == ACCOUNT


@pytest.mark.parametrize(
    "claims, header, code, status",
    [
        ({"aud": "nobody"}, None, "InvalidIdentityToken", 400),
        ({"aud": "other-app"}, None, "AccessDenied", 403),
        ({"exp": 1_700_000_000}, None, "ExpiredTokenException", 400),
        ({"iat": None}, None, "InvalidIdentityToken", 400),
        ({"iss": "https://unknown.example"}, None, "InvalidIdentityToken", 400),
        ({}, {"alg": "none"}, "InvalidIdentityToken", 400),
        ({}, {"alg": "RS256", "kid": "unknown"}, "InvalidIdentityToken", 400),
    ],
)
def test_exchange_refuses(server, identity, claims, header, code, status):
    with pytest.raises(ClientError) as error:
        exchange(server, identity.mint(claims, header))
    assert code_of(error) == (code, status)


def test_exchange_refuses_a_forged_signature_and_longer_than_the_role_allows(server, identity):
    token = identity.token()
    with pytest.raises(ClientError) as error:
        exchange(server, token[:-6] + "AAAAAA")
    assert code_of(error) == ("InvalidIdentityToken", 400)
    with pytest.raises(ClientError) as error:
        exchange(server, token, DurationSeconds=7200)
    assert code_of(error) == ("ValidationError", 400)
    sts = client("sts", server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"})
    with pytest.raises(ClientError) as error:
        sts.assume_role_with_web_identity(
            RoleArn=server.role.replace("person", "nobody"), RoleSessionName="e2e", WebIdentityToken=token
        )
    assert code_of(error) == ("AccessDenied", 403)


# ---- objects -----------------------------------------------------------------------------------------------


def test_put_get_head_list_copy_delete(s3):
    body = b"hello\x00world" * 1000
    put = s3.put_object(
        Bucket="home", Key="alice/a ü+%.txt", Body=body, ContentType="text/x-test", CacheControl="no-store",
        Metadata={"color": "blue"}, ChecksumAlgorithm="SHA256",
    )
    got = s3.get_object(Bucket="home", Key="alice/a ü+%.txt", ChecksumMode="ENABLED")
    assert got["Body"].read() == body
    assert (got["ETag"], got["ContentType"], got["CacheControl"]) == (put["ETag"], "text/x-test", "no-store")
    assert (got["Metadata"], got["ChecksumSHA256"]) == ({"color": "blue"}, put["ChecksumSHA256"])
    part = s3.get_object(Bucket="home", Key="alice/a ü+%.txt", Range="bytes=5-9")
    assert (part["Body"].read(), part["ContentRange"]) == (body[5:10], f"bytes 5-9/{len(body)}")
    assert part["ResponseMetadata"]["HTTPStatusCode"] == 206
    s3.copy_object(Bucket="home", Key="alice/copy", CopySource={"Bucket": "home", "Key": "alice/a ü+%.txt"})
    copy = s3.head_object(Bucket="home", Key="alice/copy")
    assert (copy["ContentLength"], copy["ContentType"], copy["ETag"]) == (len(body), "text/x-test", put["ETag"])
    for version in ("list_objects", "list_objects_v2"):
        listed = getattr(s3, version)(Bucket="home", Prefix="alice/")
        assert {"alice/a ü+%.txt", "alice/copy"} <= {entry["Key"] for entry in listed["Contents"]}
    deleted = s3.delete_objects(
        Bucket="home", Delete={"Objects": [{"Key": "alice/copy"}, {"Key": "bob/not-mine"}]}
    )
    assert [entry["Key"] for entry in deleted["Deleted"]] == ["alice/copy"]
    assert [(entry["Key"], entry["Code"]) for entry in deleted["Errors"]] == [("bob/not-mine", "AccessDenied")]
    s3.delete_object(Bucket="home", Key="alice/a ü+%.txt")
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="home", Key="alice/copy")
    assert code_of(error) == ("404", 404)


def test_conditions(s3):
    put = s3.put_object(Bucket="home", Key="alice/once", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="home", Key="alice/once", Body=b"2", IfNoneMatch="*")
    assert code_of(error) == ("PreconditionFailed", 412)
    s3.put_object(Bucket="home", Key="alice/once", Body=b"3", IfMatch=put["ETag"])
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="home", Key="alice/once", IfMatch=put["ETag"])
    assert code_of(error) == ("PreconditionFailed", 412)
    now = s3.head_object(Bucket="home", Key="alice/once")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="home", Key="alice/once", IfNoneMatch=now)
    assert code_of(error) == ("304", 304)


def test_listing_pages_and_delimiters(s3, admin):
    for index in range(25):
        admin.put_object(Bucket="home", Key=f"alice/list/{index % 5}/{index:03}", Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="home", Prefix="alice/list/", PaginationConfig={"PageSize": 7}
    )
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert keys == sorted(keys) and len(keys) == 25
    prefixes = []
    pages = s3.get_paginator("list_objects").paginate(
        Bucket="home", Prefix="alice/list/", Delimiter="/", PaginationConfig={"PageSize": 2}
    )
    for page in pages:
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
    assert prefixes == [f"alice/list/{index}/" for index in range(5)]


def test_multipart(s3, tmp_path):
    source = tmp_path / "big"
    block = os.urandom(1 << 20)
    source.write_bytes(block * 20 + b"tail")
    s3.upload_file(str(source), "home", "alice/big")
    head = s3.head_object(Bucket="home", Key="alice/big")
    assert head["ContentLength"] == source.stat().st_size and "-" in head["ETag"]
    target = tmp_path / "back"
    s3.download_file("home", "alice/big", str(target))
    assert target.read_bytes() == source.read_bytes()
    upload = s3.create_multipart_upload(Bucket="home", Key="alice/aborted")["UploadId"]
    part = s3.upload_part(Bucket="home", Key="alice/aborted", UploadId=upload, PartNumber=1, Body=b"x")
    parts = s3.list_parts(Bucket="home", Key="alice/aborted", UploadId=upload)["Parts"]
    assert [(entry["PartNumber"], entry["ETag"]) for entry in parts] == [(1, part["ETag"])]
    s3.abort_multipart_upload(Bucket="home", Key="alice/aborted", UploadId=upload)
    with pytest.raises(ClientError) as error:
        s3.list_parts(Bucket="home", Key="alice/aborted", UploadId=upload)
    assert code_of(error) == ("NoSuchUpload", 404)
    copied = s3.create_multipart_upload(Bucket="home", Key="alice/copied")["UploadId"]
    etags = []
    for number, span in ((1, f"0-{(6 << 20) - 1}"), (2, f"{6 << 20}-{source.stat().st_size - 1}")):
        answer = s3.upload_part_copy(
            Bucket="home", Key="alice/copied", UploadId=copied, PartNumber=number,
            CopySource="home/alice/big", CopySourceRange=f"bytes={span}",
        )
        etags.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(
        Bucket="home", Key="alice/copied", UploadId=copied, MultipartUpload={"Parts": etags}
    )
    assert s3.get_object(Bucket="home", Key="alice/copied")["Body"].read() == source.read_bytes()


def test_virtual_host_style(server, alice, s3, monkeypatch):
    # Not every resolver knows that what ends in `.localhost` is this machine.
    resolve = socket.getaddrinfo
    local = lambda host, *more, **names: resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *more, **names)
    monkeypatch.setattr(socket, "getaddrinfo", local)
    s3.put_object(Bucket="home", Key="alice/virtual", Body=b"v")
    port = server.url.rsplit(":", 1)[1]
    virtual = boto3.client(
        "s3", endpoint_url=f"http://localhost:{port}", region_name="us-east-1",
        config=Config(s3={"addressing_style": "virtual"}), **alice,
    )
    assert virtual.get_object(Bucket="home", Key="alice/virtual")["Body"].read() == b"v"


def fetch(url, method="GET", data=None, headers=None):
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


@pytest.mark.parametrize("version", ["s3v4", "s3"])
def test_presigned(server, alice, version):
    """boto3 presigns with version 2 at a custom endpoint unless it is told otherwise."""
    s3 = client("s3", server, alice, signature_version=version)
    place = {"Bucket": "home", "Key": "alice/pre signed"}
    put = s3.generate_presigned_url("put_object", Params=place, ExpiresIn=60)
    assert fetch(put, "PUT", b"presigned body", {"Content-Type": ""})[0] == 200
    get = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=60)
    assert fetch(get) == (200, b"presigned body")
    assert fetch(get, "DELETE")[0] == 403
    assert fetch(get.replace("pre%20signed", "other"))[0] == 403
    forbidden = s3.generate_presigned_url("get_object", Params={"Bucket": "home", "Key": "bob/x"}, ExpiresIn=60)
    assert fetch(forbidden)[0] == 403
    late = s3.generate_presigned_url("get_object", Params=place, ExpiresIn=1)
    time.sleep(2.1)
    status, body = fetch(late)
    assert status == 403 and b"expired" in body


# ---- refusals ----------------------------------------------------------------------------------------------


def test_outside_the_policy(s3, admin, server):
    admin.put_object(Bucket="home", Key="bob/secret", Body=b"bob's")
    attempts = {
        "GetObject": lambda: s3.get_object(Bucket="home", Key="bob/secret"),
        "PutObject": lambda: s3.put_object(Bucket="home", Key="bob/x", Body=b""),
        "PutObject shared": lambda: s3.put_object(Bucket="shared", Key="x", Body=b""),
        "CopyObject": lambda: s3.copy_object(Bucket="home", Key="alice/x", CopySource="home/bob/secret"),
        "ListObjectsV2": lambda: s3.list_objects_v2(Bucket="home", Prefix="bob/"),
        "DeleteBucket": lambda: s3.delete_bucket(Bucket="home"),
        "CreateBucket": lambda: s3.create_bucket(Bucket="mine"),
    }
    for name, attempt in attempts.items():
        with pytest.raises(ClientError) as error:
            attempt()
        assert code_of(error) == ("AccessDenied", 403), name
        request = error.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
        record = next(record for record in server.audit() if record["request_id"] == request)
        assert record["who"]["subject"] == "alice" and record["reason"], record


def test_expired_credentials(short_server, identity):
    token = identity.mint({"exp": int(time.time()) + 3})
    answer = exchange(short_server, token)
    assert answer["Credentials"]["Expiration"].timestamp() <= time.time() + 4
    s3 = client("s3", short_server, keys_of(answer))
    s3.list_buckets()
    time.sleep(3.5)
    with pytest.raises(ClientError) as error:
        s3.list_buckets()
    assert code_of(error) == ("ExpiredToken", 400)
    # A presigned address ends with its session, whatever its own time says.
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "home", "Key": "alice/x"}, ExpiresIn=3600)
    status, body = fetch(url)
    assert status == 400 and b"ExpiredToken" in body


def test_wrong_keys_and_tokens(server, alice):
    def refused(**changed):
        with pytest.raises(ClientError) as error:
            client("s3", server, {**alice, **changed}).list_buckets()
        return code_of(error)

    assert refused(aws_secret_access_key="wrong") == ("SignatureDoesNotMatch", 403)
    assert refused(aws_access_key_id="ASIAAAAAAAAAAAAAAAAA") == ("InvalidToken", 400)
    assert refused(aws_session_token=None) == ("InvalidAccessKeyId", 403)
    forged = alice["aws_session_token"]
    forged = forged[:-2] + ("AA" if forged[-2:] != "AA" else "BB")
    assert refused(aws_session_token=forged) == ("InvalidToken", 400)


def test_anonymous_and_unknown_operations(server, admin):
    status, body = fetch(f"{server.url}/shared/readme.txt")
    assert status == 403 and ElementTree.fromstring(body).findtext("Code") == "AccessDenied"
    with pytest.raises(ClientError) as error:
        admin.put_bucket_accelerate_configuration(Bucket="shared", AccelerateConfiguration={"Status": "Enabled"})
    assert code_of(error) == ("NotImplemented", 501)
    with pytest.raises(ClientError) as error:
        admin.put_object(Bucket="shared", Key="x", Body=b"", ServerSideEncryption="AES256")
    assert code_of(error) == ("NotImplemented", 501)


def test_a_changed_policy_acts_on_the_next_request(server, s3, admin):
    s3.get_object(Bucket="shared", Key="readme.txt")
    directory = server.folder / "directory.toml"
    before = directory.read_text()
    try:
        directory.write_text(before.replace('"s3:GetObject", "s3:ListBucket"', '"s3:ListBucket"'))
        refused = None
        for _ in range(50):
            try:
                s3.get_object(Bucket="shared", Key="readme.txt")
            except ClientError as error:
                refused = error.response["Error"]["Code"]
                break
            time.sleep(0.1)
        assert refused == "AccessDenied"
        # A file that cannot be read leaves things as they are.
        directory.write_text("not toml at all [")
        time.sleep(1.5)
        s3.list_objects_v2(Bucket="shared")
    finally:
        directory.write_text(before)
    for _ in range(50):
        try:
            s3.get_object(Bucket="shared", Key="readme.txt")
            break
        except ClientError:
            time.sleep(0.1)
    else:
        raise AssertionError("the policy did not come back")


# ---- the AWS CLI -------------------------------------------------------------------------------------------


def test_the_aws_cli_with_a_token_file(server, identity, admin, home, tmp_path):
    """`AWS_WEB_IDENTITY_TOKEN_FILE`: the CLI exchanges by itself."""
    (tmp_path / "token").write_text(identity.token())
    env = environment(
        home, AWS_ENDPOINT_URL=server.url, AWS_ROLE_ARN=server.role, AWS_ROLE_SESSION_NAME="cli",
        AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "token"),
    )

    def aws(*arguments, code=0):
        done = subprocess.run(["aws", *arguments], env=env, cwd=tmp_path, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == code, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    caller = json.loads(aws("sts", "get-caller-identity").stdout)
    assert caller["Arn"].endswith(":assumed-role/person/cli")
    assert "readme.txt" in aws("s3", "ls", "s3://shared").stdout
    (tmp_path / "file").write_bytes(os.urandom(9 << 20))
    aws("s3", "cp", "file", "s3://home/alice/cli/file")
    aws("s3", "cp", "s3://home/alice/cli/file", "s3://home/alice/cli/copy")
    aws("s3", "cp", "s3://home/alice/cli/copy", "back")
    assert (tmp_path / "back").read_bytes() == (tmp_path / "file").read_bytes()
    aws("s3", "sync", ".", "s3://home/alice/cli/tree")
    assert "tree/file" in aws("s3", "ls", "--recursive", "s3://home/alice/cli/").stdout
    aws("s3", "rm", "--recursive", "s3://home/alice/cli/")
    assert "AccessDenied" in aws("s3", "cp", "file", "s3://home/bob/file", code=1).stderr
    url = aws("s3", "presign", "s3://shared/readme.txt").stdout.strip()
    assert fetch(url) == (200, b"for everyone\n")
