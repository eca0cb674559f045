"""What those who run a server see and set: metrics, traces, readiness, limits, listeners, signals, checks."""

import contextlib
import gc
import http.client
import http.server
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import BINARY, Certificates, Server, environment, free_port
from test_buckets import send_form
from test_quota import quota as send_quota

MIB = 1 << 20


def client(server, credentials=None, url=None, service="s3", **more):
    return boto3.client(service, endpoint_url=url or server.url, region_name="us-east-1", **(credentials or server.root), **more)


def exchanged(server, token, url=None):
    sts = client(server, {"aws_access_key_id": "x", "aws_secret_access_key": "x"}, url, "sts")
    got = sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="ops", WebIdentityToken=token)["Credentials"]
    return {"aws_access_key_id": got["AccessKeyId"], "aws_secret_access_key": got["SecretAccessKey"],
            "aws_session_token": got["SessionToken"]}


def fetch(url):
    """Status, headers and text, whatever the status."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read().decode()


def metrics(address):
    """Each sample by its name and labels, as they stand in the text."""
    status, headers, text = fetch(f"http://{address}/metrics")
    assert status == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}


def until(true, seconds=10):
    for _ in range(int(seconds * 20)):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("it did not come about in time")


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans over OpenTelemetry's protocol."""

    def __init__(self):
        spans = self.spans = []
        posted = self.posted = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                posted.append((self.path, self.headers["content-type"], body.decode()))
                for resource in json.loads(body)["resourceSpans"]:
                    for scope in resource["scopeSpans"]:
                        spans.extend(scope["spans"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/v1/traces"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def of_trace(self, trace):
        return [span for span in list(self.spans) if span["traceId"] == trace]


@pytest.fixture(scope="module")
def collector():
    collector = Collector()
    yield collector
    collector.shutdown()


@pytest.fixture(scope="module")
def watched(tmp_path_factory, identity, collector):
    monitor = f"127.0.0.1:{free_port()}"
    tables = f'[metrics]\nlisten = "{monitor}"\n[traces]\nurl = "{collector.url}"\nsample = 0\n'
    server = Server(tmp_path_factory.mktemp("watched"), identity, tables=tables, verbose=["-vv"])
    server.monitor = monitor
    root = client(server)
    for bucket in ("shared", "home"):
        root.create_bucket(Bucket=bucket)
    root.put_object(Bucket="shared", Key="readme", Body=b"x" * 1000)
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def test_every_request_counts_once_under_its_operation_and_outcome(watched, identity):
    before = metrics(watched.monitor)

    def grown(name):
        return metrics(watched.monitor).get(name, 0) - before.get(name, 0)

    alice = client(watched, exchanged(watched, identity.token()))
    for _ in range(3):
        alice.get_object(Bucket="shared", Key="readme")["Body"].read()
    with pytest.raises(ClientError):
        alice.delete_object(Bucket="shared", Key="readme")
    with pytest.raises(ClientError):
        alice.get_object(Bucket="shared", Key="there-is-none")
    alice.put_object(Bucket="home", Key="alice/x", Body=b"y" * 5000)
    with pytest.raises(ClientError):
        exchanged(watched, "no.token.atall")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{watched.url}/?Action=Invented-by-a-stranger")

    count = 'wigeon_requests_total{service="s3",operation="%s",outcome="%s"}'
    until(lambda: grown(count % ("GetObject", "ok")) == 3)
    assert grown(count % ("DeleteObject", "denied")) == 1
    assert grown(count % ("GetObject", "refused")) == 1 and grown(count % ("PutObject", "ok")) == 1
    assert grown('wigeon_exchanges_total{operation="AssumeRoleWithWebIdentity",code="ok"}') == 1
    assert grown('wigeon_exchanges_total{operation="AssumeRoleWithWebIdentity",code="InvalidIdentityToken"}') == 1
    assert grown('wigeon_requests_total{service="sts",operation="other",outcome="refused"}') == 1
    assert grown('wigeon_errors_total{service="s3",code="AccessDenied"}') == 1
    assert grown('wigeon_sent_bytes_total{service="s3"}') >= 3000
    assert grown('wigeon_received_bytes_total{service="s3"}') >= 5000
    assert grown('wigeon_response_seconds_count{service="s3",operation="GetObject"}') == 4
    assert grown('wigeon_response_seconds_bucket{service="s3",operation="GetObject",le="+Inf"}') == 4
    now = metrics(watched.monitor)
    assert now['wigeon_requests_under_way{service="s3"}'] == 0 and now["wigeon_connections"] >= 1
    assert now[f'wigeon_provider_key_fetches_total{{issuer="{identity.issuer}",outcome="ok"}}'] >= 1
    assert now["wigeon_directory_current"] == 1 and now['wigeon_directory_entries{kind="role"}'] == 1
    assert now["wigeon_store_writable"] == 1 and now["wigeon_store_changes_total"] >= now["wigeon_store_commits_total"] > 0
    assert now["wigeon_session_keys"] == 1 and now["wigeon_store_volume_free_bytes"] > 0
    # No label names a person, a key, or what a stranger made up; and a bucket only where it is about how full it is.
    text = fetch(f"http://{watched.monitor}/metrics")[2]
    assert not re.search(r"alice|readme|Invented", text)
    assert all(line.startswith("wigeon_store_bucket_") for line in text.splitlines() if "shared" in line)


def test_what_there_is_not_is_no_failure_of_the_server(watched):
    before = metrics(watched.monitor)
    failures = (watched.folder / "serve.log").read_text().count("a request failed")
    root = client(watched)
    with pytest.raises(ClientError) as refused:
        root.put_bucket_encryption(Bucket="shared", ServerSideEncryptionConfiguration={"Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]})
    assert refused.value.response["Error"]["Code"] == "NotImplemented"
    name = 'wigeon_requests_total{service="s3",operation="PutBucketEncryption",outcome="%s"}'
    until(lambda: metrics(watched.monitor).get(name % "refused", 0) == before.get(name % "refused", 0) + 1)
    assert metrics(watched.monitor).get(name % "failed", 0) == before.get(name % "failed", 0)
    assert (watched.folder / "serve.log").read_text().count("a request failed") == failures


def test_a_connection_whose_body_was_not_asked_for_is_said_to_end(watched):
    host = watched.address
    address = client(watched, config=Config(signature_version="s3v4")).generate_presigned_url(
        "put_object", Params={"Bucket": "there-is-none", "Key": "k"})
    target = address.split(host, 1)[1]
    with socket.create_connection((host.split(":")[0], int(host.split(":")[1])), timeout=10) as sent:
        head = f"PUT {target} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        sent.sendall(head.encode())
        answer = b""
        while piece := sent.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 404 ") and b"\r\nconnection: close\r\n" in answer.lower(), answer


def test_a_changed_directory_is_seen(watched):
    path = watched.folder / "directory.toml"
    good = path.read_text()
    before = metrics(watched.monitor)
    try:
        path.write_text(good + "\n[[role]]\nname = 3\n")
        until(lambda: metrics(watched.monitor)["wigeon_directory_current"] == 0)
        failed = 'wigeon_directory_loads_total{outcome="failed"}'
        assert metrics(watched.monitor)[failed] == before[failed] + 1
    finally:
        path.write_text(good)
    until(lambda: metrics(watched.monitor)["wigeon_directory_current"] == 1)


def test_every_metric_is_explained_in_the_guide(watched):
    _, _, text = fetch(f"http://{watched.monitor}/metrics")
    shown = {line.split(" ")[2] for line in text.splitlines() if line.startswith("# TYPE ")}
    guide = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text()
    explained = set(re.findall(r"`((?:wigeon|process)_[a-z_]+)", guide))
    assert shown <= explained, shown - explained


def test_a_trace_has_a_span_for_each_step(watched, collector, identity):
    alice = client(watched, exchanged(watched, identity.token()))
    trace, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    alice.meta.events.register(
        "before-send.s3", lambda request, **_: request.headers.__setitem__("traceparent", f"00-{trace}-{parent}-01") and None)
    answer = alice.get_object(Bucket="shared", Key="readme")
    answer["Body"].read()
    until(lambda: collector.of_trace(trace))
    spans = {span["name"]: span for span in collector.of_trace(trace)}
    assert set(spans) == {"GetObject", "authenticate", "classify", "authorize", "backend", "send"}
    whole = spans.pop("GetObject")
    assert whole["parentSpanId"] == parent and all(span["parentSpanId"] == whole["spanId"] for span in spans.values())
    assert all(int(whole["startTimeUnixNano"]) <= int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]) <= int(whole["endTimeUnixNano"])
               for span in spans.values())
    attributes = {one["key"]: next(iter(one["value"].values())) for one in whole["attributes"]}
    request = answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"]
    assert attributes["rpc.method"] == "GetObject" and attributes["aws.request_id"] == request
    assert attributes["http.response.status_code"] == "200"
    assert watched.audit(request)["trace_id"] == trace
    # Without a decision of its caller's, no request is traced here: sample = 0.
    seen = len(collector.spans)
    client(watched).list_buckets()
    time.sleep(1.5)
    assert len(collector.spans) == seen


def test_a_trace_goes_on_in_the_store_behind(watched, collector, identity, tmp_path):
    secret = tmp_path / "upstream-secret"
    secret.write_text(watched.root["aws_secret_access_key"])
    secret.chmod(0o600)
    tables = f"""
[traces]
url = "{collector.url}"
service = "front"
[[upstream]]
name = "behind"
endpoint = "{watched.url}"
default = true
credentials = {{ access_key_id = "{watched.root["aws_access_key_id"]}", secret_key_file = "upstream-secret" }}
"""
    front = Server(tmp_path, identity, tables=tables)
    try:
        trace = "aaaa2f3577b34da6a3ce929d0e0e4736"
        root = client(front)
        root.meta.events.register(
            "before-send.s3", lambda request, **_: request.headers.__setitem__("traceparent", f"00-{trace}-00f067aa0ba902b7-01") and None)
        assert root.get_object(Bucket="shared", Key="readme")["Body"].read() == b"x" * 1000
        until(lambda: len([span for span in collector.of_trace(trace) if span["name"] == "GetObject"]) == 2)
        spans = collector.of_trace(trace)
        asked = {span["spanId"] for span in spans if span["name"] == "backend" and span["kind"] == 3}
        behind = [span for span in spans if span["name"] == "GetObject" and span["parentSpanId"] in asked]
        assert len(behind) == 1, "the request there is a child of the step that sent it"
        # One that is not traced passes its traceparent on as it came.
        other = trace.replace("aaaa", "bbbb")
        root = client(front)
        root.meta.events.register(
            "before-send.s3", lambda request, **_: request.headers.__setitem__("traceparent", f"00-{other}-00f067aa0ba902b7-00") and None)
        root.head_object(Bucket="shared", Key="readme")
        until(lambda: any(record.get("trace_id") == other for record in watched.audit()))
    finally:
        assert front.stop() == 0


def test_ready_or_not(watched):
    assert fetch(f"{watched.url}/readyz")[::2] == (200, "ready\n")
    assert fetch(f"http://{watched.monitor}/readyz")[::2] == (200, "ready\n")
    assert fetch(f"http://{watched.monitor}/healthz")[::2] == (200, "ok\n")
    assert fetch(f"http://{watched.monitor}/")[0] == 404
    command = [BINARY, "serve", "--config", watched.folder / "serve.toml", "--ready"]
    assert subprocess.run(command, env=environment(watched.folder), capture_output=True).returncode == 0


def test_a_needed_upstream_makes_it_unready_until_it_is_back(tmp_path, identity):
    port, monitor = free_port(), f"127.0.0.1:{free_port()}"
    secret = tmp_path / "upstream-secret"
    secret.write_text("upstream-secret-key-0000")
    secret.chmod(0o600)
    tables = f"""
[metrics]
listen = "{monitor}"
[[upstream]]
name = "needed"
endpoint = "http://127.0.0.1:{port}"
required = true
credentials = {{ access_key_id = "gateway", secret_key_file = "upstream-secret" }}
[[upstream.bucket]]
name = "there"
"""
    server = Server(tmp_path, identity, tables=tables)
    try:
        status, _, text = fetch(f"http://{monitor}/readyz")
        assert status == 503 and "the upstream `needed`" in text
        # Strangers learn that, and not why.
        assert fetch(f"{server.url}/readyz")[::2] == (503, "not ready\n")
        assert fetch(f"{server.url}/healthz")[0] == 200
        assert client(server).list_buckets(), "what it can serve it serves"
        asked = subprocess.run([BINARY, "serve", "--config", tmp_path / "serve.toml", "--ready"], env=environment(tmp_path), capture_output=True, text=True)
        assert asked.returncode == 6 and "needed" in asked.stderr
        with socket.create_server(("127.0.0.1", port)):
            until(lambda: fetch(f"{server.url}/readyz")[0] == 200, 20)
        assert metrics(monitor)['wigeon_upstream_connections_total{upstream="needed",outcome="opened"}'] >= 1
    finally:
        assert server.stop() == 0


def test_stopping_gives_notice_and_finishes_uploads(tmp_path, identity):
    server = Server(tmp_path, identity, tables="[stop]\nnotice = 1\ngrace = 20\n")
    root = client(server)
    root.create_bucket(Bucket="home")
    url = client(server, config=Config(signature_version="s3v4")).generate_presigned_url(
        "put_object", Params={"Bucket": "home", "Key": "slow"})
    parts = urllib.parse.urlsplit(url)
    body, sent = b"z" * 100_000, 1000
    with socket.create_connection((parts.hostname, parts.port)) as raw:
        raw.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[:sent])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: fetch(f"{server.url}/readyz")[0] == 503, 1)
        assert root.list_buckets(), "during the notice requests are served"
        time.sleep(1.5)
        with pytest.raises(OSError):
            socket.create_connection((parts.hostname, parts.port), timeout=1)
        raw.sendall(body[sent:])
        head = b""
        while b"\r\n\r\n" not in head:
            head += raw.recv(4096)
    assert head.startswith(b"HTTP/1.1 200")
    assert server.process.wait(timeout=10) == 0
    server.log.close()
    server.start()
    try:
        assert client(server).get_object(Bucket="home", Key="slow")["Body"].read() == body
    finally:
        assert server.stop() == 0


def test_limits_answer_clearly(tmp_path, identity):
    monitor = f"127.0.0.1:{free_port()}"
    tables = f"""
[metrics]
listen = "{monitor}"
[limits]
connections_per_address = 12
head_bytes = 8192
body_silence = 2
identity_rate = {{ per_second = 1, burst = 8 }}
sts_address_rate = {{ per_second = 1, burst = 5 }}
"""
    server = Server(tmp_path, identity, tables=tables)
    once = Config(retries={"total_max_attempts": 1})
    try:
        root = client(server, config=once)
        root.create_bucket(Bucket="shared")
        # Requests of one identity; another one is not concerned.
        token = identity.token()
        session = exchanged(server, token)
        alice = client(server, session, config=once)
        with pytest.raises(ClientError) as slow:
            for _ in range(100):
                alice.list_buckets()
        metadata = slow.value.response["ResponseMetadata"]
        assert slow.value.response["Error"]["Code"] == "SlowDown" and metadata["HTTPStatusCode"] == 503
        assert int(metadata["HTTPHeaders"]["retry-after"]) >= 1
        root.list_buckets()
        # A tool that retries gets through.
        patient = client(server, session, config=Config(retries={"mode": "standard", "total_max_attempts": 8}))
        for _ in range(3):
            patient.list_buckets()
        # Exchanges of one address.
        throttled = None
        sts = client(server, {"aws_access_key_id": "x", "aws_secret_access_key": "x"}, service="sts", config=once)
        for _ in range(100):
            try:
                sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="ops", WebIdentityToken=token)
            except ClientError as error:
                throttled = error.response
                break
        assert throttled["Error"]["Code"] == "Throttling" and throttled["ResponseMetadata"]["HTTPHeaders"]["retry-after"] == "1"
        # A head that is too long.
        status, _, text = fetch(urllib.request.Request(f"{server.url}/shared", headers={"x-long": "x" * 9000}))
        assert status == 400 and "RequestHeaderSectionTooLarge" in text
        # A body that does not come.
        url = client(server, config=Config(signature_version="s3v4")).generate_presigned_url(
            "put_object", Params={"Bucket": "shared", "Key": "silent"})
        parts = urllib.parse.urlsplit(url)
        with socket.create_connection((parts.hostname, parts.port)) as raw:
            raw.settimeout(10)
            raw.sendall(f"PUT {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 100\r\n\r\nabc".encode())
            assert b"RequestTimeout" in raw.recv(4096)
        # Connections of one address. Those of clients that are gone are closed now, not in the middle.
        gc.collect()
        address = server.address.split(":")
        with contextlib.ExitStack() as held:
            for _ in range(12):
                held.enter_context(socket.create_connection(address))
            time.sleep(0.2)
            with socket.create_connection(address) as refused:
                refused.settimeout(5)
                answer = refused.recv(4096)
            assert answer.startswith(b"HTTP/1.1 503") and b"SlowDown" in answer
        until(lambda: fetch(f"{server.url}/healthz")[0] == 200)
        hits = metrics(monitor)
        for limit in ("identity_rate", "sts_address_rate", "head_bytes", "connections_per_address"):
            assert hits[f'wigeon_limit_hits_total{{limit="{limit}"}}'] >= 1, limit
    finally:
        assert server.stop() == 0


def test_one_identity_has_its_bandwidth(tmp_path, identity):
    server = Server(tmp_path, identity, tables="[limits]\nidentity_bandwidth = 1000000\n")
    try:
        root = client(server)
        root.create_bucket(Bucket="home")
        alice = client(server, exchanged(server, identity.token()))
        began = time.monotonic()
        alice.put_object(Bucket="home", Key="alice/big", Body=b"x" * 3_000_000)
        up = time.monotonic() - began
        began = time.monotonic()
        alice.get_object(Bucket="home", Key="alice/big")["Body"].read()
        down = time.monotonic() - began
        form = alice.generate_presigned_post("home", "alice/form")
        began = time.monotonic()
        status, answer = send_form(form, b"x" * 3_000_000)
        page = time.monotonic() - began
        assert status == 204, answer
        # A second's worth at once, then at its pace.
        assert 1 < up < 20 and 1 < down < 20 and 1 < page < 20, (up, down, page)
    finally:
        assert server.stop() == 0


NGINX = """
daemon off; worker_processes 1; pid nginx.pid; error_log nginx.log;
events {{}}
http {{
  access_log off; client_max_body_size 0;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;
  server {{
    listen {listen};
    location / {{
      proxy_pass http://{server}; proxy_bind 127.0.0.9; proxy_set_header Host $http_host; proxy_request_buffering off;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""


@contextlib.contextmanager
def proxy(folder, server):
    """nginx before a server, which sees it as 127.0.0.9."""
    folder.mkdir()
    address = f"127.0.0.1:{free_port()}"
    (folder / "nginx.conf").write_text(NGINX.format(listen=address, server=server.address))
    command = [shutil.which("nginx") or "/usr/sbin/nginx", "-p", folder, "-c", "nginx.conf", "-e", "nginx.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        until(lambda: not refuses(address))
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait()


def refuses(address):
    try:
        socket.create_connection(address.split(":"), 1).close()
    except OSError:
        return True
    return False


def sources(server):
    return [record["source_ip"] for record in server.audit()]


def test_a_proxy_that_is_trusted_says_whose_requests_it_brings(tmp_path, identity):
    server = Server(tmp_path, identity, tables='[proxies]\ntrusted = ["127.0.0.9"]\n')
    forged = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    try:
        with proxy(tmp_path / "nginx", server) as url:
            client(server, url=url).create_bucket(Bucket="home")
            alice = client(server, exchanged(server, identity.token(), url), url)
            alice.put_object(Bucket="home", Key="alice/a", Body=b"x" * 100_000)
            assert alice.get_object(Bucket="home", Key="alice/a")["Body"].read() == b"x" * 100_000
            until(lambda: len(server.audit()) == 4)
            assert set(sources(server)) == {"127.0.0.1"}
            # What a client writes itself stands before what the proxy adds.
            for address in (url, server.url):
                with pytest.raises(urllib.error.HTTPError):
                    urllib.request.urlopen(urllib.request.Request(f"{address}/home/alice/a", headers=forged), timeout=10)
            until(lambda: len(server.audit()) == 6)
            assert set(sources(server)) == {"127.0.0.1"}
    finally:
        assert server.stop() == 0


def test_a_proxy_that_is_not_trusted_speaks_for_itself(tmp_path, identity):
    server = Server(tmp_path, identity)
    try:
        with proxy(tmp_path / "nginx", server) as url:
            client(server, url=url).list_buckets()
            until(lambda: server.audit())
            assert sources(server) == ["127.0.0.9"]
    finally:
        assert server.stop() == 0


def anonymous(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as refused:
        return refused.code


def test_what_a_running_server_takes_up(tmp_path, identity):
    """Limits, upstreams and the files of their buckets, without a signal; a faulty file changes nothing."""
    (tmp_path / "store").mkdir()
    store = Server(tmp_path / "store", identity)
    theirs = client(store)
    theirs.create_bucket(Bucket="theirs")
    theirs.put_object(Bucket="theirs", Key="a", Body=b"from there")
    (tmp_path / "front").mkdir()
    monitor = f"127.0.0.1:{free_port()}"
    server = Server(tmp_path / "front", identity, tables=f'[metrics]\nlisten = "{monitor}"\n')
    config, policy = server.folder / "serve.toml", server.folder / "theirs.json"
    before = config.read_text()

    def said(text):
        return text in (server.folder / "serve.log").read_text()

    def statement(effect):
        policy.write_text(json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::theirs/*"}]}))

    upstream = f"""
[[upstream]]
name = "store"
endpoint = "{store.url}"
credentials = {{ access_key_id = "{store.root['aws_access_key_id']}", secret_key_file = "root-secret" }}
[[upstream.bucket]]
name = "theirs"
policy_file = "theirs.json"
public = true
"""
    try:
        root = client(server, config=Config(retries={"max_attempts": 1, "mode": "standard"}))
        root.create_bucket(Bucket="ours")
        with pytest.raises(ClientError):
            root.head_bucket(Bucket="theirs")
        statement("Allow")
        config.write_text(before + upstream)
        until(lambda: anonymous(f"{server.url}/theirs/a") == 200, 20)
        assert root.get_object(Bucket="theirs", Key="a")["Body"].read() == b"from there"
        # The policy's file alone.
        statement("Deny")
        until(lambda: anonymous(f"{server.url}/theirs/a") == 403, 20)
        # A fault: what was in force stays.
        policy.write_text("{")
        until(lambda: said("theirs.json"), 20)
        assert anonymous(f"{server.url}/theirs/a") == 403
        assert metrics(monitor)['wigeon_upstream_up{upstream="store"}'] == 1
        statement("Allow")
        until(lambda: anonymous(f"{server.url}/theirs/a") == 200, 20)
        # Limits; and what takes a restart is named.
        limits = "[limits]\nidentity_rate = { per_second = 1, burst = 2 }\nconnections = 77\n"
        config.write_text(f'region = "eu-west-1"\n{before}{upstream}{limits}')

        def slowed():
            try:
                for _ in range(5):
                    root.head_bucket(Bucket="ours")
            except ClientError as error:
                return error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
            return False

        until(slowed, 20)
        assert said("`region`, `limits.connections`")
        config.write_text(before)
        until(lambda: not slowed() and anonymous(f"{server.url}/theirs/a") == 403, 20)
        # Broken in between, and upon SIGHUP.
        config.write_text(before + "[limits]\nconections = 1\n")
        server.process.send_signal(signal.SIGHUP)
        until(lambda: said("conections"), 20)
        root.head_bucket(Bucket="ours")
        assert server.process.poll() is None
    finally:
        assert server.stop() == 0
        assert store.stop() == 0


def test_the_root_key_domains_and_proxies_are_taken_up(tmp_path, identity):
    server = Server(tmp_path, identity, domains=())
    config, secret = server.folder / "serve.toml", server.folder / "root-secret"
    before = config.read_text()

    def status(secret=server.root["aws_secret_access_key"], **headers):
        once = Config(retries={"max_attempts": 1, "mode": "standard"})
        root = client(server, {**server.root, "aws_secret_access_key": secret}, config=once)
        root.meta.events.register("before-sign.s3.HeadBucket", lambda request, **_: [request.headers.add_header(*each) for each in headers.items()])
        try:
            return root.head_bucket(Bucket="home")["ResponseMetadata"]["HTTPStatusCode"]
        except ClientError as refused:
            return refused.response["ResponseMetadata"]["HTTPStatusCode"]

    def bucket_of_host():
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/", headers={"Host": "home.localhost"}), timeout=10)
        return server.audit(refused.value.headers["x-amz-request-id"]).get("bucket")

    try:
        client(server).create_bucket(Bucket="home")
        assert status() == 200 and bucket_of_host() is None
        config.write_text(before.replace("domains = []", 'domains = ["localhost"]'))
        until(lambda: bucket_of_host() == "home", 20)
        # Proxies: their word counts from now on.
        assert status(**{"X-Forwarded-For": "203.0.113.9"}) == 200
        assert set(sources(server)) == {"127.0.0.1"}
        config.write_text(before + '[proxies]\ntrusted = ["127.0.0.1"]\n')
        until(lambda: status(**{"X-Forwarded-For": "203.0.113.9"}) == 200 and sources(server)[-1] == "203.0.113.9", 20)
        until(lambda: bucket_of_host() is None, 20)
        # The file of the root key alone.
        secret.write_text("another-root-secret-key-0000")
        until(lambda: status(secret="another-root-secret-key-0000") == 200, 20)
        assert status() == 403
        # One that is too short to be one changes nothing.
        secret.write_text("short")
        until(lambda: "root-secret" in (server.folder / "serve.log").read_text(), 20)
        assert status(secret="another-root-secret-key-0000") == 200
        # Without it nobody is the account.
        secret.write_text("another-root-secret-key-0000")
        config.write_text(before.split("[root]")[0])
        until(lambda: status(secret="another-root-secret-key-0000") == 403, 20)
        assert "restart" not in (server.folder / "serve.log").read_text()
    finally:
        assert server.stop() == 0


def test_how_full_the_buckets_are(tmp_path, identity):
    monitor = f"127.0.0.1:{free_port()}"
    server = Server(tmp_path, identity, tables=f'[metrics]\nlisten = "{monitor}"\n')
    try:
        root = client(server)
        root.create_bucket(Bucket="full")
        root.create_bucket(Bucket="empty")
        root.put_object(Bucket="full", Key="a", Body=b"x" * 1000)
        root.put_object(Bucket="full", Key="b", Body=b"x" * 100_000)
        shown = metrics(monitor)
        assert shown['wigeon_store_bucket_bytes{bucket="full"}'] == 101_000
        assert shown['wigeon_store_bucket_objects{bucket="full"}'] == 2
        assert shown['wigeon_store_bucket_bytes{bucket="empty"}'] == 0
        assert not any("quota" in name for name in shown)
        assert send_quota(server, "full", b"<BucketQuota><MaxBytes>200000</MaxBytes></BucketQuota>") == {}
        root.delete_object(Bucket="full", Key="a")
        shown = metrics(monitor)
        assert shown['wigeon_store_bucket_bytes{bucket="full"}'] == 100_000
        assert shown['wigeon_store_bucket_quota_bytes{bucket="full"}'] == 200_000
        assert [name for name in shown if "quota" in name] == ['wigeon_store_bucket_quota_bytes{bucket="full"}']
    finally:
        assert server.stop() == 0


def test_listeners_of_their_own(tmp_path, identity):
    s3, sts, plain = (f"127.0.0.1:{free_port()}" for _ in range(3))
    certificates = Certificates(tmp_path)
    server = Server.__new__(Server)
    listeners = f"""
[[listen]]
address = "{s3}"
serves = ["s3"]
[[listen]]
address = "{sts}"
serves = ["sts", "iam"]
tls = {{ certificate = "{certificates.certificate}", key = "{certificates.key}" }}
[[listen]]
address = "{plain}"
[[listen]]
address = "unix:wigeon.sock"
serves = ["s3"]
"""
    # The first of them answers /healthz, upon which the test goes on.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("conftest.free_port", lambda: int(plain.split(":")[1]))
        original = pathlib.Path.write_text

        def write(path, text, *rest):
            if path.name == "serve.toml":
                text = text.replace(f'listen = "{plain}"\n', "") + listeners
            return original(path, text, *rest)

        patch.setattr(pathlib.Path, "write_text", write)
        server.__init__(tmp_path, identity)
    try:
        client(server, url=f"http://{s3}").create_bucket(Bucket="shared")
        secure = f"https://{sts.replace('127.0.0.1', 'localhost')}"
        sts_client = client(server, {"aws_access_key_id": "x", "aws_secret_access_key": "x"}, secure, "sts", verify=str(certificates.ca))
        got = sts_client.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="ops", WebIdentityToken=identity.token())
        assert got["Credentials"]["AccessKeyId"]
        with pytest.raises(ClientError) as elsewhere:
            exchanged(server, identity.token(), f"http://{s3}")
        assert "STS is not served at this address" in str(elsewhere.value)
        with pytest.raises(ClientError) as elsewhere:
            client(server, url=secure, verify=str(certificates.ca)).list_objects_v2(Bucket="shared")
        assert "S3 is not served at this address" in str(elsewhere.value)

        class Unix(http.client.HTTPConnection):
            def connect(self):
                self.sock = socket.socket(socket.AF_UNIX)
                self.sock.connect(str(tmp_path / "wigeon.sock"))

        connection = Unix("localhost")
        connection.request("GET", "/healthz")
        assert connection.getresponse().read() == b"ok\n"
    finally:
        assert server.stop() == 0
    assert not (tmp_path / "wigeon.sock").exists()


class Manager:
    """As much of systemd as a service sees: a socket for what it says, and one that it is handed."""

    def __init__(self, folder):
        self.path = folder / "notify.sock"
        self.heard = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(self.path))
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            self.heard.append(self.socket.recv(4096).decode())

    def said(self, text):
        return any(text in message.splitlines() for message in list(self.heard))


def test_a_service_of_systemd(tmp_path, identity):
    """Socket activation, sd_notify, the watchdog, and reloading upon SIGHUP."""
    server = Server(tmp_path, identity)
    assert server.stop() == 0
    config = tmp_path / "serve.toml"
    config.write_text(config.read_text().replace(f'listen = "{server.address}"', 'listen = "systemd"'))
    manager = Manager(tmp_path)
    with socket.create_server(("127.0.0.1", int(server.address.split(":")[1]))) as given:
        # The kernel takes connections from now on: nobody is refused while the service starts.
        early = socket.create_connection(server.address.split(":"))
        early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        variables = environment(tmp_path, NOTIFY_SOCKET=str(manager.path), WATCHDOG_USEC="1000000", LISTEN_FDS="1")

        def hand_over():
            os.dup2(given.fileno(), 3)
            os.set_inheritable(3, True)

        # LISTEN_PID has to be the pid of the service itself, which a shell knows when it becomes it.
        command = ["sh", "-c", 'export LISTEN_PID=$$; exec "$0" "$@"', BINARY, "serve", "--config", config]
        with open(tmp_path / "serve.log", "ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=variables,
                                       preexec_fn=hand_over, close_fds=False)
    try:
        until(lambda: manager.said("READY=1"))
        early.settimeout(5)
        assert early.recv(4096).startswith(b"HTTP/1.1 200")
        early.close()
        until(lambda: sum("WATCHDOG=1" in message for message in manager.heard) >= 2)
        before = sum("READY=1" in message.splitlines() for message in manager.heard)
        process.send_signal(signal.SIGHUP)
        until(lambda: manager.said("RELOADING=1"))
        assert any(re.search(r"^MONOTONIC_USEC=\d+$", message, re.M) for message in manager.heard)
        until(lambda: sum("READY=1" in message.splitlines() for message in manager.heard) == before + 1)
    finally:
        process.terminate()
        assert process.wait(timeout=20) == 0, (tmp_path / "serve.log").read_text()
    assert manager.said("STOPPING=1")


def checked(folder, *more, variables=None):
    command = [BINARY, *more, "serve", "--config", folder / "serve.toml", "--check"]
    return subprocess.run(command, env=environment(folder, **(variables or {})), capture_output=True, text=True)


def test_check_from_the_folder_itself(tmp_path):
    """A configuration that is named without its folder, and nothing made yet."""
    (tmp_path / "directory.toml").write_text('account = "000000000000"\n')
    (tmp_path / "serve.toml").write_text(
        f'listen = "127.0.0.1:{free_port()}"\ndata = "data"\ndirectory = "directory.toml"\naudit = "audit.jsonl"\n')
    command = [BINARY, "serve", "--config", "serve.toml", "--check"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0 and "FAIL" not in done.stdout, done.stdout + done.stderr


def test_check_says_what_is_wrong(tmp_path, identity):
    certificates = Certificates(tmp_path)
    secret = tmp_path / "upstream-secret"
    secret.write_text("upstream-secret-key-0000")
    secret.chmod(0o600)
    nowhere = free_port()
    tables = f"""
[[upstream]]
name = "away"
endpoint = "http://127.0.0.1:{nowhere}"
credentials = {{ access_key_id = "gateway", secret_key_file = "upstream-secret" }}
[[upstream.bucket]]
name = "there"
"""
    statement = {"Effect": "Allow", "Action": "s3:GetObjekt", "Resource": "*"}
    server = Server(tmp_path, identity, tls=certificates, statements=[statement])
    # While it runs: in order, with words about the port, and about the policy and the certificate, which end soon.
    done = checked(tmp_path, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {(check["step"], check["state"]): check for check in json.loads(done.stdout)["checks"]}
    assert "in use" in found[f"listener {server.address}", "warn"]["text"]
    assert "s3:GetObjekt" in found["policy", "warn"]["text"]
    assert "ends in 0 days" in found["certificate", "warn"]["text"] or "ends in 1 days" in found["certificate", "warn"]["text"]
    assert (f"provider {identity.issuer}", "ok") in found and ("session keys", "ok") in found
    assert server.stop() == 0
    # An upstream that does not answer; keys that others can read; a certificate that is another key's.
    config = tmp_path / "serve.toml"
    config.write_text(config.read_text() + tables)
    (tmp_path / "data" / "session-keys.json").chmod(0o644)
    certificates.openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "server.key")
    done = checked(tmp_path)
    assert done.returncode == 1
    for words in ("FAIL  upstream away", "FAIL  session keys", "set its mode to 600", "FAIL  certificate"):
        assert words in done.stdout, done.stdout
    # A configuration that cannot be read names the place.
    config.write_text(config.read_text() + "\n[limit]\n")
    done = checked(tmp_path)
    assert done.returncode == 1 and "limit" in done.stderr and "serve.toml" in done.stderr


def test_check_makes_nothing(tmp_path):
    (tmp_path / "serve.toml").write_text(f'listen = "127.0.0.1:{free_port()}"\ndata = "data"\n')
    done = checked(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["serve.toml"]


def test_nothing_that_is_shown_holds_a_secret(watched, identity, collector):
    """Last: it stops the server. Logs, metrics, traces and audit of this run, searched for what they must not hold."""
    token = identity.token()
    credentials = exchanged(watched, token)
    alice = client(watched, credentials, config=Config(signature_version="s3v4"))
    url = alice.generate_presigned_url("get_object", Params={"Bucket": "shared", "Key": "readme"})
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(url).query)
    parent = "00-11112222333344445555666677778888-1111222233334444-01"
    with urllib.request.urlopen(urllib.request.Request(url, headers={"traceparent": parent})) as answer:
        answer.read()
    form = urllib.parse.urlencode({"Action": "AssumeRoleWithWebIdentity", "Version": "2011-06-15", "RoleArn": watched.role,
                                   "RoleSessionName": "traced", "WebIdentityToken": token}).encode()
    with urllib.request.urlopen(urllib.request.Request(watched.url, data=form, headers={"traceparent": parent})) as answer:
        issued = answer.read().decode()
    until(lambda: {"GetObject", "AssumeRoleWithWebIdentity"} <= {span["name"] for span in collector.of_trace(parent[3:35])})
    secrets = [token, token.split(".")[2], credentials["aws_secret_access_key"], credentials["aws_session_token"][:40],
               watched.root["aws_secret_access_key"], query["X-Amz-Signature"][0], query["X-Amz-Security-Token"][0][:40],
               re.search("<SecretAccessKey>(.*?)<", issued)[1], re.search("<SessionToken>(.*?)<", issued)[1][:40]]
    shown = {"metrics": fetch(f"http://{watched.monitor}/metrics")[2], "ready": fetch(f"http://{watched.monitor}/readyz")[2]}
    assert watched.stop() == 0
    shown["traces"] = "\n".join(body for _, _, body in collector.posted)
    assert all((path, kind) == ("/v1/traces", "application/json") for path, kind, _ in collector.posted)
    for name in ("serve.log", "audit.jsonl"):
        shown[name] = (watched.folder / name).read_text(errors="replace")
    for name, text in shown.items():
        assert text, name
        for secret in secrets:
            assert secret not in text, f"{name} holds {secret[:12]}…"
