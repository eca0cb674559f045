"""`wigeon store verify`: what it sees beside a running server and of a damaged store, and what it mends."""

import json
import sqlite3
import time

import boto3
import pytest

from conftest import Server


@pytest.fixture
def server(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("store"), identity)
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **server.root)
    s3.create_bucket(Bucket="home")
    s3.put_bucket_versioning(Bucket="home", VersioningConfiguration={"Status": "Enabled"})
    for n in range(3):
        s3.put_object(Bucket="home", Key="large", Body=bytes([n]) * 100_000)
    s3.put_object(Bucket="home", Key="small", Body=b"x")
    server.s3 = s3
    yield server
    if server.process.poll() is None:
        assert server.stop() == 0


def settled(server, number=3):
    """The content files, once they are where they stay."""
    for _ in range(100):
        found = sorted((server.folder / "data/store/content").glob("??/*"))
        if len(found) == number:
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_beside_a_running_server_it_only_looks(server, wigeon):
    settled(server)
    config = str(server.folder / "serve.toml")
    seen = json.loads(wigeon("--json", "store", "verify", "--config", config, "--content").stdout)
    assert (seen["in_use"], seen["objects"], seen["versions"], seen["damage"], seen["orphans"]) == (True, 2, 2, [], [])
    wigeon("store", "verify", "--config", config, "--repair", code=1)
    assert server.s3.get_object(Bucket="home", Key="small")["Body"].read() == b"x"


def test_what_is_lost_is_named_and_what_can_be_is_mended(server, wigeon):
    files = settled(server)
    assert server.stop() == 0
    store = server.folder / "data/store"
    text = wigeon("store", "verify", str(store)).stdout
    assert "nothing is wrong" in text
    index = sqlite3.connect(store / "index.sqlite")
    with index:
        index.execute("UPDATE content SET refs = refs + 5 WHERE kind = 1")
    index.close()
    (store / "content/4d/000000000000004d").write_bytes(b"nobody's")
    damaged = json.loads(wigeon("--json", "store", "verify", str(store), code=1).stdout)
    assert len(damaged["damage"]) == 3 and damaged["orphans"] == ["000000000000004d"]
    mended = json.loads(wigeon("--json", "store", "verify", str(store), "--repair").stdout)
    assert mended["repaired"]["reference_counts"] == 3 and mended["repaired"]["unreferenced_files"] == 1
    assert mended["damage"] == mended["orphans"] == []
    # A flipped bit shows only to who reads the content; a missing file to everybody.
    content = bytearray(files[0].read_bytes())
    content[7] ^= 1
    files[0].write_bytes(content)
    wigeon("store", "verify", str(store))
    flipped = json.loads(wigeon("--json", "store", "verify", str(store), "--content", code=1).stdout)
    assert [lost["key"] for lost in flipped["affected"]] == ["large"]
    files[0].unlink()
    missing = json.loads(wigeon("--json", "store", "verify", str(store), "--repair", code=1).stdout)
    assert "missing" in missing["damage"][0] and len(missing["affected"]) == 1
    # The rest is served.
    server.start()
    assert server.s3.get_object(Bucket="home", Key="large")["Body"].read() == b"\x02" * 100_000


def test_where_there_is_no_store(tmp_path, wigeon):
    wigeon("store", "verify", str(tmp_path), code=1)
    assert list(tmp_path.iterdir()) == []
    wigeon("store", "verify", code=2)
