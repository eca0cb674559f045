"""A full disk, a real one: a file system of 64 MiB in memory, filled by the store itself and by others.

Mounting takes root; without it the test is left out.
"""

import os
import subprocess

import boto3
import botocore.client
import botocore.exceptions
import pytest

from conftest import Certificates, Server, runner

MIB = 1 << 20


@pytest.fixture
def disk(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("mounting takes root")
    place = tmp_path / "data"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"cannot mount: {mounted.stderr}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(s3, name, size, most):
    """Puts objects until one is refused; what was acknowledged."""
    held = {}
    for n in range(most):
        key, body = f"{name}/{n}", bytes([n % 251]) * size
        try:
            s3.put_object(Bucket="home", Key=key, Body=body)
        except botocore.exceptions.ClientError as refused:
            answer = refused.response
            assert (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("InsufficientStorage", 507)
            return held
        held[key] = body
    raise AssertionError(f"{most} objects of {size} bytes fit")


def test_who_uploads_over_tls_to_a_full_disk_is_told_so(tmp_path, identity, disk):
    """Bodies that are larger than what the network holds on its way, from tools that send before they listen."""
    certificates = Certificates(tmp_path)
    server = Server(tmp_path, identity, tls=certificates)
    config = botocore.client.Config(retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=config, verify=str(certificates.ca), **server.root)
    s3.create_bucket(Bucket="home")
    held = fill(s3, "large", 15 * MIB, 5)
    for key, body in held.items():
        assert s3.get_object(Bucket="home", Key=key)["Body"].read() == body, key
    assert server.stop() == 0


def test_a_full_disk_refuses_and_loses_nothing(tmp_path, identity, disk):
    server = Server(tmp_path, identity)
    config = botocore.client.Config(retries={"total_max_attempts": 1})
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=config, **server.root)
    s3.create_bucket(Bucket="home")
    held = fill(s3, "large", 3 * MIB, 30)
    held |= fill(s3, "small", 8000, 10_000)
    upload = None
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        upload = s3.create_multipart_upload(Bucket="home", Key="up")
    assert refused.value.response["Error"]["Code"] == "InsufficientStorage" and upload is None
    # Others take what the store left.
    filler = disk / "somebody-elses"
    with open(filler, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
        try:
            while True:
                file.write(b"x")
        except OSError:
            pass
    free = os.statvfs(disk)
    assert free.f_bavail * free.f_bsize < 65536
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        s3.put_object(Bucket="home", Key="more", Body=b"x")
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    for key, body in held.items():
        assert s3.get_object(Bucket="home", Key=key)["Body"].read() == body, key
    filler.unlink()
    # What the store keeps free is enough to delete with, and then there is room again.
    gone = [key for key in held if key.startswith("large")][:4]
    for key in gone:
        s3.delete_object(Bucket="home", Key=key)
        del held[key]
    for _ in range(100):
        try:
            s3.put_object(Bucket="home", Key="again", Body=b"y" * MIB)
            break
        except botocore.exceptions.ClientError as refused:
            assert refused.response["ResponseMetadata"]["HTTPStatusCode"] == 507
    held["again"] = b"y" * MIB
    for key, body in held.items():
        assert s3.get_object(Bucket="home", Key=key)["Body"].read() == body, key
    assert len(s3.list_objects_v2(Bucket="home", Prefix="large")["Contents"]) == len([key for key in held if key.startswith("large")])
    assert server.stop() == 0
    run = runner(tmp_path)
    assert "nothing is wrong" in run("store", "verify", disk / "store", "--content").stdout
    server.start()
    assert s3.get_object(Bucket="home", Key="again")["Body"].read() == held["again"]
    assert server.stop() == 0
