"""What a bucket can be told, with boto3: policies, public access, forms of web pages, CORS, tags."""

import json
import urllib.error
import urllib.request
import uuid

import botocore.client
import botocore.exceptions
import pytest

from conftest import ACCOUNT, Server, client, exchanged


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity):
    """One of its own: the buckets that are made here are nobody else's business."""
    server = Server(tmp_path_factory.mktemp("buckets"), identity)
    root = client(server, **server.root)
    for bucket in ("home", "shared"):
        root.create_bucket(Bucket=bucket)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="module")
def root(server):
    return client(server, **server.root)


@pytest.fixture(scope="module")
def alice(server, identity):
    return exchanged(server, identity)


@pytest.fixture
def bucket(root):
    name = f"b-{uuid.uuid4().hex[:12]}"
    root.create_bucket(Bucket=name)
    return name


def code(refused):
    return refused.value.response["Error"]["Code"]


def policy(bucket, principal, action, effect="Allow", **more):
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    statement = {"Effect": effect, "Principal": principal, "Action": action, "Resource": resources, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_policy_lets_a_session_in_and_keeps_it_out(server, root, alice, bucket):
    hers = client(server, **alice)
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        hers.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert code(refused) == "AccessDenied"
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/person/alice"
    root.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, {"AWS": session}, "s3:*"))
    hers.put_object(Bucket=bucket, Key="k", Body=b"hello")
    assert hers.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
    assert json.loads(hers.get_bucket_policy(Bucket=bucket)["Policy"])["Statement"][0]["Principal"] == {"AWS": session}
    assert root.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"]["IsPublic"] is False
    root.put_bucket_policy(Bucket=bucket, Policy=policy(bucket, "*", "s3:GetObject", effect="Deny", Sid="Closed"))
    for somebody in (hers, root):
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            somebody.get_object(Bucket=bucket, Key="k")
        assert code(refused) == "AccessDenied"
    denied = [record for record in server.audit() if record.get("bucket") == bucket and "Closed" in json.dumps(record)]
    assert denied, "the record names the statement"
    root.delete_bucket_policy(Bucket=bucket)
    assert root.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_the_public_is_out_until_the_bucket_says_otherwise(server, root, bucket):
    root.put_object(Bucket=bucket, Key="page.html", Body=b"<p>", ContentType="text/html")
    address = f"{server.url}/{bucket}/page.html"
    public = policy(bucket, "*", "s3:GetObject")
    assert all(root.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        root.put_bucket_policy(Bucket=bucket, Policy=public)
    assert code(refused) == "AccessDenied"
    root.delete_public_access_block(Bucket=bucket)
    root.put_bucket_policy(Bucket=bucket, Policy=public)
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert (answer.status, answer.read()) == (200, b"<p>")
    # A stranger's link does not say what it is.
    with pytest.raises(urllib.error.HTTPError) as renamed:
        urllib.request.urlopen(f"{address}?response-content-type=text/plain", timeout=10)
    assert renamed.value.code == 400
    unsigned = client(server, config=botocore.client.Config(signature_version=botocore.UNSIGNED))
    assert unsigned.get_object(Bucket=bucket, Key="page.html")["Body"].read() == b"<p>"
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        unsigned.put_object(Bucket=bucket, Key="page.html", Body=b"x")
    assert code(refused) == "AccessDenied"
    blocked = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}
    root.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=blocked)
    with pytest.raises(urllib.error.HTTPError) as closed:
        urllib.request.urlopen(address, timeout=10)
    assert closed.value.code == 403


def send_form(form, file, name="a.png", **changed):
    edge = uuid.uuid4().hex
    fields = {**form["fields"], **changed}
    body = "".join(f'--{edge}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n' for field, value in fields.items()).encode()
    body += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body += file + f"\r\n--{edge}--\r\n".encode()
    request = urllib.request.Request(form["url"], data=body, headers={"Content-Type": f"multipart/form-data; boundary={edge}"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode()


# By default boto3 signs forms with version 2 at such an address.
@pytest.mark.parametrize("version", [None, "s3v4"])
def test_a_form_that_boto3_signs(server, root, alice, identity, version):
    subject = [record["who"]["subject"] for record in server.audit() if (record.get("who") or {}).get("subject")][-1]
    existing = {found["Name"] for found in root.list_buckets()["Buckets"]}
    if "home" not in existing:
        root.create_bucket(Bucket="home")
    hers = client(server, config=botocore.client.Config(signature_version=version), **alice)
    conditions = [["content-length-range", 1, 200_000], {"success_action_status": "201"}]
    key = f"{subject}/{uuid.uuid4().hex}/${{filename}}"
    form = hers.generate_presigned_post("home", key, Fields={"success_action_status": "201"}, Conditions=conditions)
    status, answer = send_form(form, b"\x89PNG" * 40_000)
    assert status == 201, answer
    stored = key.replace("${filename}", "a.png")
    assert f"<Key>{stored}</Key>" in answer
    assert hers.get_object(Bucket="home", Key=stored)["Body"].read() == b"\x89PNG" * 40_000
    assert send_form(form, b"")[0] == 400
    assert send_form(form, b"x" * 200_001)[0] == 400
    assert send_form(form, b"x", key="else/where")[0] == 403
    assert send_form(form, b"x", **{"x-amz-meta-more": "1"})[0] == 403


def test_pages_of_other_origins(server, root, bucket):
    rules = [{"AllowedOrigins": ["https://*.example.org"], "AllowedMethods": ["GET", "PUT"], "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}]
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        root.get_bucket_cors(Bucket=bucket)
    assert code(refused) == "NoSuchCORSConfiguration"
    root.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": rules})
    assert root.get_bucket_cors(Bucket=bucket)["CORSRules"] == rules
    asked = {"Origin": "https://app.example.org", "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "x-amz-date"}
    with urllib.request.urlopen(urllib.request.Request(f"{server.url}/{bucket}/k", method="OPTIONS", headers=asked), timeout=10) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.org"
        assert answer.headers["Access-Control-Max-Age"] == "60"
    address = root.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "missing"})
    with pytest.raises(urllib.error.HTTPError) as missing:
        urllib.request.urlopen(urllib.request.Request(address, headers={"Origin": "https://app.example.org"}), timeout=10)
    assert missing.value.headers["Access-Control-Allow-Origin"] == "https://app.example.org"


def test_what_tools_read_of_a_bucket(root, bucket):
    root.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "a b"}]})
    assert root.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "a b"}]
    root.delete_bucket_tagging(Bucket=bucket)
    assert root.get_bucket_request_payment(Bucket=bucket)["Payer"] == "BucketOwner"
    assert "LoggingEnabled" not in root.get_bucket_logging(Bucket=bucket)
    assert "Status" not in root.get_bucket_accelerate_configuration(Bucket=bucket)
    assert root.list_bucket_metrics_configurations(Bucket=bucket)["IsTruncated"] is False
    root.get_bucket_notification_configuration(Bucket=bucket)
    ownership = root.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert ownership == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert [grant["Permission"] for grant in root.get_bucket_acl(Bucket=bucket)["Grants"]] == ["FULL_CONTROL"]
    for call, expected in [
        (root.get_bucket_tagging, "NoSuchTagSet"),
        (root.get_bucket_policy, "NoSuchBucketPolicy"),
        (root.get_bucket_website, "NoSuchWebsiteConfiguration"),
        (root.get_bucket_replication, "ReplicationConfigurationNotFoundError"),
        (root.get_bucket_encryption, "ServerSideEncryptionConfigurationNotFoundError"),
    ]:
        with pytest.raises(botocore.exceptions.ClientError) as refused:
            call(Bucket=bucket)
        assert code(refused) == expected
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        root.put_bucket_acl(Bucket=bucket, ACL="public-read")
    assert code(refused) == "AccessControlListNotSupported"
