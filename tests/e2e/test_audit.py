"""The audit: a record per request, in a file that is put aside and at a collector, and never a secret."""

import contextlib
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.client import Config
from botocore.exceptions import ClientError

from conftest import Server, environment

MIB = 1 << 20


def client(server, credentials=None, service="s3", **more):
    return boto3.client(service, endpoint_url=server.url, region_name="us-east-1", **(credentials or server.root), **more)


def exchanged(server, token, session="audited"):
    sts = client(server, {"aws_access_key_id": "none", "aws_secret_access_key": "none"}, "sts")
    answer = sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName=session, WebIdentityToken=token)
    given = answer["Credentials"]
    return answer, {
        "aws_access_key_id": given["AccessKeyId"], "aws_secret_access_key": given["SecretAccessKey"],
        "aws_session_token": given["SessionToken"],
    }


def request_id(answer):
    return answer["ResponseMetadata"]["RequestId"]


class Collector(http.server.ThreadingHTTPServer):
    """Takes what is posted, or answers with `status`."""

    def __init__(self):
        self.posted, self.status = [], 200
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                if collector.status == 200:
                    collector.posted.append((self.path, dict(self.headers), body))
                self.send_response(collector.status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def records(self):
        return [json.loads(line) for _, _, body in self.posted for line in body.decode().splitlines()]


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.shutdown()


@pytest.fixture(scope="module")
def audited(tmp_path_factory, identity, collector):
    folder = tmp_path_factory.mktemp("audited")
    (folder / "collector-token").write_text("the-token-of-the-collector\n")
    (folder / "collector-token").chmod(0o600)
    tables = f"""
[audit]
file = "audit.jsonl"
max_megabytes = 1
keep = 3
[audit.collector]
url = "{collector.url}/in"
token_file = "collector-token"
"""
    server = Server(folder, identity, settings="", tables=tables, verbose=["-vv"])
    root = client(server)
    for bucket in ("shared", "home"):
        root.create_bucket(Bucket=bucket)
    root.put_object(Bucket="shared", Key="big", Body=b"x" * (8 * MIB))
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def test_who_what_and_by_which_statement(audited, identity):
    token = identity.token()
    answer, credentials = exchanged(audited, token)
    record = audited.audit(request_id(answer))
    assert record["service"] == "sts" and record["operation"] == "AssumeRoleWithWebIdentity" and record["decision"] == "allowed"
    assert record["by"]["layer"] == "trust policy" and record["by"]["statement"] == "Statement[0]"
    who = record["who"]
    assert who["issuer"] == identity.issuer and who["subject"] == "alice" and who["session"] == "audited"
    assert who["role"] == audited.role and who["access_key_id"] == credentials["aws_access_key_id"]

    alice = client(audited, credentials)
    got = alice.get_object(Bucket="shared", Key="big", Range="bytes=0-99")
    got["Body"].read()
    record = audited.audit(request_id(got))
    assert (record["operation"], record["bucket"], record["key"], record["status"]) == ("GetObject", "shared", "big", 206)
    assert (record["bytes_out"], record["ended"], record["decision"]) == (100, "complete", "allowed")
    assert record["by"] == {"layer": "permission policy", "policy": "buckets", "statement": "Statement[0]"}
    assert record["total_micros"] >= record["micros"] > 0 and record["user_agent"].startswith("Boto3")

    with pytest.raises(ClientError) as denied:
        alice.delete_object(Bucket="shared", Key="big", VersionId="null")
    record = audited.audit(request_id(denied.value.response))
    assert (record["decision"], record["code"], record["status"], record["version_id"]) == ("denied", "AccessDenied", 403, "null")
    assert "no permission policy allows" in record["reason"]

    put = alice.put_object(Bucket="home", Key="alice/x", Body=b"y" * 5000)
    record = audited.audit(request_id(put))
    assert record["bytes_in"] >= 5000 and record["bytes_out"] == 0


def test_a_cut_transfer_is_told_apart(audited):
    url = client(audited, config=Config(signature_version="s3v4")).generate_presigned_url(
        "get_object", Params={"Bucket": "shared", "Key": "big"})
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        head = b""
        while len(head.partition(b"\r\n\r\n")[2]) < 1:
            head += raw.recv(100_000)
        identifier = re.search(rb"x-amz-request-id: (\w+)", head)[1].decode()
    record = audited.audit(identifier)
    assert (record["ended"], record["status"]) == ("cut", 200) and 0 < record["bytes_out"] < 8 * MIB

    with urllib.request.urlopen(url) as whole:
        identifier = whole.headers["x-amz-request-id"]
        assert len(whole.read()) == 8 * MIB
    record = audited.audit(identifier)
    assert (record["ended"], record["bytes_out"]) == ("complete", 8 * MIB)

    # An upload whose sender goes away has no answer that anybody reads, and a record.
    url = client(audited, config=Config(signature_version="s3v4")).generate_presigned_url(
        "put_object", Params={"Bucket": "home", "Key": "cut"})
    parts = urllib.parse.urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 1000\r\n\r\n".encode() + b"z" * 10)
        time.sleep(0.2)
    for _ in range(100):
        found = [record for record in audited.audit() if record.get("key") == "cut"]
        if found:
            break
        time.sleep(0.05)
    assert found[0]["bytes_in"] == 10 and found[0].get("code") == "IncompleteBody" or found[0]["ended"] == "unanswered"


def test_the_file_is_opened_anew_on_request(audited):
    moved = audited.folder / "moved.jsonl"
    (audited.folder / "audit.jsonl").rename(moved)
    audited.process.send_signal(signal.SIGHUP)
    for _ in range(100):
        if (audited.folder / "audit.jsonl").exists():
            break
        time.sleep(0.05)
    identifier = request_id(client(audited).list_buckets())
    assert audited.audit(identifier)["operation"] == "ListBuckets"
    assert identifier not in moved.read_text()


def test_the_collector_gets_every_record_and_holds_nobody_up(audited, collector):
    def arrived(identifier):
        for _ in range(200):
            if any(record["request_id"] == identifier for record in collector.records()):
                return True
            time.sleep(0.05)
        return False

    assert arrived(request_id(client(audited).list_buckets()))
    path, headers, _ = collector.posted[-1]
    assert path == "/in" and headers["content-type"] == "application/x-ndjson"
    assert headers["authorization"] == "Bearer the-token-of-the-collector"
    collector.status = 503
    missed = [request_id(client(audited).list_buckets()) for _ in range(3)]
    time.sleep(1.5)
    collector.status = 200
    assert all(map(arrived, missed))


def test_a_large_file_is_put_aside(audited):
    """Last but one: it fills files."""
    agent = "a" * 200
    root = client(audited, config=Config(user_agent_extra=agent, retries={"max_attempts": 1}))
    for _ in range(2500):
        if (audited.folder / "audit.jsonl.1").exists():
            break
        with contextlib.suppress(ClientError):
            root.head_object(Bucket="shared", Key="k" * 800)
    aside = (audited.folder / "audit.jsonl.1").read_text()
    assert 900_000 < len(aside) <= MIB
    assert all(json.loads(line)["request_id"] for line in aside.splitlines())


def test_nothing_that_is_written_holds_a_secret(audited, identity, collector):
    """Keys, tokens, signatures and presigned queries of a run, looked for in all that the server wrote."""
    token = identity.token()
    _, credentials = exchanged(audited, token, "secrets")
    secrets = [token, token.split(".")[2], credentials["aws_secret_access_key"], credentials["aws_session_token"],
               credentials["aws_session_token"][:40], audited.root["aws_secret_access_key"], "the-token-of-the-collector"]
    alice = client(audited, credentials)
    alice.list_buckets()
    url = client(audited, credentials, config=Config(signature_version="s3v4")).generate_presigned_url(
        "get_object", Params={"Bucket": "shared", "Key": "big"})
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    secrets += [query["X-Amz-Signature"][0], query["X-Amz-Security-Token"][0][:40], "X-Amz-Signature="]
    urllib.request.urlopen(url).close()
    for broken in (url.replace("X-Amz-Signature=", "X-Amz-Signature=00"), url + "&x=1", url.replace("/shared/", "/%ff/")):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(broken)
    # Tokens that are refused, in the form and in the address; a signature in a header.
    sts = f"{audited.url}/?" + urllib.parse.urlencode({
        "Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleSessionName": "x",
        "RoleArn": audited.role + "-none", "WebIdentityToken": token})
    for data in (None, b""):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(sts, data=data)
    signed = []
    alice.meta.events.register("before-send.s3", lambda request, **_: signed.append(request.headers["Authorization"]))
    alice.list_buckets()
    header = signed[0].decode() if isinstance(signed[0], bytes) else signed[0]
    secrets.append(re.search(r"Signature=(\w+)", header)[1])
    env = environment(audited.folder, WIGEON_LOG="trace")
    done = subprocess.run([os.environ["WIGEON_BIN"], "serve", "--config", audited.folder / "serve.toml", "--check"],
                          env=env, capture_output=True, text=True, check=False)
    assert audited.stop() == 0

    written = {"check": done.stdout + done.stderr, "collector": "".join(body.decode() for _, _, body in collector.posted)}
    for path in audited.folder.iterdir():
        if path.is_file() and path.name.startswith(("audit.jsonl", "moved", "serve.log")):
            written[path.name] = path.read_text(errors="replace")
    assert "AssumeRoleWithWebIdentity" in written["audit.jsonl"] and "audit" in written["serve.log"]
    for name, text in written.items():
        for secret in secrets:
            assert secret not in text, f"{name} holds {secret[:12]}…"
