"""Many clients at once on the same keys: one wins where one may, nothing is lost, and the store is whole afterwards."""

import collections
import concurrent.futures
import hashlib
import itertools
import os
import random
import subprocess
import threading
import time

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import BINARY, Server, environment, runner
from test_operations import client

MANY = 16


@pytest.fixture(scope="module")
def server(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("races"), identity)
    yield server
    if server.process.poll() is None:
        server.stop()


@pytest.fixture(scope="module")
def s3(server):
    s3 = client(server, config=Config(retries={"max_attempts": 1, "mode": "standard"}, max_pool_connections=MANY))
    for bucket in ("plain", "versions"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": "Enabled"})
    return s3


@pytest.fixture(scope="module")
def crowd():
    with concurrent.futures.ThreadPoolExecutor(MANY) as crowd:
        yield crowd


def tried(call, **arguments):
    try:
        call(**arguments)
        return "ok"
    except ClientError as error:
        return error.response["Error"]["Code"]


def read(s3, bucket, key):
    try:
        return s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None


@pytest.mark.parametrize("bucket", ["plain", "versions"])
def test_one_writer_is_the_first(s3, crowd, bucket):
    for number in range(5):
        def write(writer):
            return tried(s3.put_object, Bucket=bucket, Key=f"first-{number}", Body=str(writer), IfNoneMatch="*")

        outcomes = list(crowd.map(write, range(MANY)))
        assert collections.Counter(outcomes) == {"ok": 1, "PreconditionFailed": MANY - 1}
        assert read(s3, bucket, f"first-{number}") == str(outcomes.index("ok")).encode()


@pytest.mark.parametrize("bucket", ["plain", "versions"])
def test_no_change_is_lost_that_asks_what_it_replaces(s3, crowd, bucket):
    s3.put_object(Bucket=bucket, Key="counter", Body=b"0")

    def count(_):
        while True:
            found = s3.get_object(Bucket=bucket, Key="counter")
            more = str(int(found["Body"].read()) + 1)
            if tried(s3.put_object, Bucket=bucket, Key="counter", Body=more, IfMatch=found["ETag"]) == "ok":
                return

    list(crowd.map(count, range(2 * MANY)))
    assert read(s3, bucket, "counter") == str(2 * MANY).encode()


@pytest.mark.parametrize("bucket", ["plain", "versions"])
def test_an_upload_ends_once(s3, crowd, bucket):
    first, last = os.urandom(5 << 20), b"last" * 10
    for number in range(8):
        at = {"Bucket": bucket, "Key": f"upload-{number}"}
        upload = s3.create_multipart_upload(**at)["UploadId"]
        parts = [{"PartNumber": part, "ETag": s3.upload_part(**at, UploadId=upload, PartNumber=part, Body=body)["ETag"]} for part, body in ((1, first), (2, last))]
        end = {**at, "UploadId": upload}
        calls = {
            "complete": lambda: tried(s3.complete_multipart_upload, **end, MultipartUpload={"Parts": parts}),
            "again": lambda: tried(s3.complete_multipart_upload, **end, MultipartUpload={"Parts": parts}),
            "abort": lambda: tried(s3.abort_multipart_upload, **end),
            "part": lambda: tried(s3.upload_part, **end, PartNumber=2, Body=b"other" * 10),
            "put": lambda: tried(s3.put_object, **at, Body=b"plain"),
            "delete": lambda: tried(s3.delete_object, **at),
            "read": lambda: tried(lambda: read(s3, bucket, at["Key"])),
        }
        order = random.sample(sorted(calls), len(calls))
        outcomes = dict(zip(order, crowd.map(lambda name: calls[name](), order)))
        completed = "ok" in (outcomes["complete"], outcomes["again"])
        # A part that came in between is not the one that was named.
        refused = {"NoSuchUpload", "InvalidPart"}
        assert completed or {outcomes["complete"], outcomes["again"]} <= refused, outcomes
        assert not (completed and outcomes["abort"] == "ok"), outcomes
        assert outcomes["put"] == outcomes["delete"] == outcomes["read"] == "ok", outcomes
        assert read(s3, bucket, at["Key"]) in ({first + last, b"plain", None} if completed else {b"plain", None})
        left = [found["UploadId"] for found in s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]
        assert (upload in left) == (not completed and outcomes["abort"] != "ok"), outcomes
        if upload in left:
            s3.abort_multipart_upload(**end)


def test_versions_stay_in_order(s3, crowd):
    def versions(key):
        found = s3.list_object_versions(Bucket="versions", Prefix=key)
        return found.get("Versions", []), found.get("DeleteMarkers", [])

    def churn(number):
        chance = random.Random(number)
        for _ in range(15):
            key = f"churn-{chance.randrange(3)}"
            match chance.randrange(10):
                case 0 | 1 | 2 | 3:
                    s3.put_object(Bucket="versions", Key=key, Body=os.urandom(chance.choice([10, 30_000])))
                case 4 | 5:
                    s3.delete_object(Bucket="versions", Key=key)
                case 6 | 7 | 8:
                    found = sum(versions(key), [])
                    if found:
                        s3.delete_object(Bucket="versions", Key=key, VersionId=chance.choice(found)["VersionId"])
                case _:
                    status = chance.choice(["Enabled", "Suspended"])
                    s3.put_bucket_versioning(Bucket="versions", VersioningConfiguration={"Status": status})

    list(crowd.map(churn, range(MANY)))
    for number in range(3):
        objects, markers = versions(f"churn-{number}")
        latest = [found["VersionId"] for found in objects + markers if found["IsLatest"]]
        assert len(latest) == bool(objects + markers)
        current = [found for found in objects if found["IsLatest"]]
        assert (read(s3, "versions", f"churn-{number}") is not None) == bool(current)
        assert sum(found["VersionId"] == "null" for found in objects + markers) <= 1


@pytest.mark.parametrize("bucket", ["plain", "versions"])
def test_nothing_that_is_written_during_a_move_is_lost(server, s3, tmp_path, bucket):
    """One writes a key again and again, another moves it away: what is there no more was moved."""
    (tmp_path / "aws-credentials").write_text("[default]\n" + "".join(f"{name} = {value}\n" for name, value in server.root.items()))
    profiles = tmp_path / ".config/wigeon/profiles"
    profiles.mkdir(parents=True)
    (profiles / "own.toml").write_text(
        'protocol = "s3"\nvendor = "own"\nscheme = "http"\ndefault_hostname = "127.0.0.1"\ncredentials = "aws:default"\nregion = "us-east-1"\n'
        f'default_port = {server.address.split(":")[1]}\n[properties]\n"s3.bucket.virtualhost.disable" = true\n')
    wigeon = runner(tmp_path)
    gone, stop = [], threading.Event()

    def write():
        before = {}
        for number in itertools.count():
            new = {"Bucket": bucket, "Key": "moving", "Body": str(number)}
            if tried(s3.put_object, **new, **before) != "ok":
                gone.append(str(number - 1))
                s3.put_object(**new)
            before = {"IfMatch": f'"{hashlib.md5(new["Body"].encode()).hexdigest()}"'}
            if stop.is_set():
                return
            # Some moves are quick enough, and some are not.
            time.sleep(random.random() / 50)

    writer = threading.Thread(target=write)
    writer.start()
    outcomes = collections.Counter()
    for number in range(60):
        source, target = f"s3://{bucket}/moving", f"s3://{bucket}/moved-{number}"
        moved = wigeon("mv", source, target, code=None)
        assert moved.returncode == 0 or "changed while" in moved.stderr or "404" in moved.stderr, moved.stderr
        outcomes["changed" if "changed while" in moved.stderr else moved.returncode] += 1
    stop.set()
    writer.join()
    assert outcomes["changed"] and outcomes[0] and gone, outcomes
    assert set(gone) <= {(read(s3, bucket, f"moved-{number}") or b"").decode() for number in range(60)}


def test_afterwards_the_store_is_whole(server, s3):
    assert server.stop() == 0
    command = [BINARY, "store", "verify", "--content", server.folder / "data/store"]
    verified = subprocess.run(command, env=environment(server.folder), capture_output=True, text=True)
    assert verified.returncode == 0 and "nothing is wrong" in verified.stdout + verified.stderr, verified.stdout + verified.stderr
