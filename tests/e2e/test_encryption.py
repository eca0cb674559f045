"""Server-side encryption against Ceph RGW: keys of one's own, and keys of a key management service."""

import base64
import json
import os
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from conftest import free_port, runner
from test_object_commands import PROFILE, Store


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return runner(tmp_path_factory.mktemp("encryption"))


@pytest.fixture(scope="module")
def keyed(home, rgw):
    """A gateway of its own over the same cluster, with a key management service inside (RGW's `testing` backend)."""
    port, key = free_port(), base64.b64encode(os.urandom(32)).decode()
    command = ["radosgw", "--conf", rgw["RGW_CEPH_CONF"], "-n", "client.rgw.a", "-f", "--log-file", str(home.home / "radosgw.log"),
               "--rgw-frontends", f"beast endpoint=127.0.0.1:{port}", "--rgw-crypt-require-ssl", "false",
               "--rgw-crypt-s3-kms-backend", "testing", "--rgw-crypt-s3-kms-encryption-keys", f"team-key={key} other-key={key}"]
    with open(home.home / "radosgw.out", "wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            assert process.poll() is None, (home.home / "radosgw.out").read_text()
            try:
                urllib.request.urlopen(url, timeout=5)
                break
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        yield Store(home, "keyed", url, rgw["RGW_ACCESS_KEY"], rgw["RGW_SECRET_KEY"])
    finally:
        process.terminate()
        process.wait(30)


def test_keys_of_a_service(keyed, home):
    team = keyed.bucket("kms")
    noise = os.urandom(20 << 20)
    (home.home / "large").write_bytes(noise)
    (home.home / "small").write_text("small\n")
    key = lambda name: keyed.json("stat", f"{team}/{name}")["kms_key_id"]
    with_key = ("--sse", "kms", "--sse-kms-key", "team-key")
    # In one piece, in parts, and through a pipe.
    keyed("cp", "small", f"{team}/small", *with_key)
    keyed("cp", "large", f"{team}/large", *with_key, "--sse-kms-context", '{"for": "tests"}')
    keyed("cp", "-", f"{team}/piped", *with_key, input="piped")
    for name, body in (("small", b"small\n"), ("large", noise), ("piped", b"piped")):
        assert key(name) == "team-key"
        assert keyed("cat", f"{team}/{name}", binary=True).stdout == body
    # What a copy has is what is said; what is moved keeps its key.
    keyed("cp", f"{team}/small", f"{team}/copy")
    assert key("copy") is None
    keyed("cp", f"{team}/small", f"{team}/copy", "--sse", "kms", "--sse-kms-key", "other-key")
    keyed("mv", f"{team}/large", f"{team}/moved")
    assert (key("copy"), key("moved")) == ("other-key", "team-key")
    assert keyed("cat", f"{team}/moved", binary=True).stdout == noise
    # So does what is changed in place.
    keyed("meta", "set", f"{team}/moved", "owner=ada")
    assert key("moved") == "team-key" and keyed.json("stat", f"{team}/moved")["metadata"] == {"owner": "ada"}
    # Encrypted where it lies, once.
    keyed.boto.put_object(Bucket="kms", Key="plain/a", Body=b"a", Tagging="x=1", Metadata={"owner": "ada"})
    keyed.boto.put_object(Bucket="kms", Key="plain/b", Body=b"b")
    assert len(keyed.lines("encrypt", "-r", f"{team}/plain", *with_key)) == 2
    assert (key("plain/a"), key("plain/b")) == ("team-key", "team-key")
    after = keyed.json("stat", f"{team}/plain/a")
    assert (after["metadata"], after["tags"]) == ({"owner": "ada"}, {"x": "1"})
    assert "as wished before" in keyed("encrypt", "-r", f"{team}/plain", *with_key).stderr
    # A whole folder, and the same again leaves what is there.
    (home.home / "folder").mkdir()
    (home.home / "folder" / "one").write_text("1")
    keyed("sync", "folder", f"{team}/folder", *with_key)
    assert key("folder/one") == "team-key"
    assert json.loads(keyed("sync", "folder", f"{team}/folder", *with_key, "--json").stdout)["copied"] == 0
    # A key that is not there, and one that is of no use.
    assert keyed("cp", "small", f"{team}/no", "--sse", "kms", "--sse-kms-key", "no-such-key", code=None).returncode != 0
    assert "name none" in keyed("cp", "small", f"{team}/no", "--sse", "store", "--sse-kms-key", "x", code=2).stderr
    assert "no" not in keyed.keys(team)


def test_a_store_that_does_not_encrypt_is_found_out(keyed, home):
    """RGW 16 takes the wish for keys of its own in silence, and keeps the object as it is."""
    team = keyed.bucket("silent")
    (home.home / "secret").write_text("secret")
    refused = keyed("cp", "secret", f"{team}/k", "--sse", "store", code=None)
    assert refused.returncode == 1 and "encrypt" in refused.stderr, refused.stderr


def test_encryption_with_keys_of_ones_own(home, rgw):
    trusted = {"WIGEON_CA_FILE": rgw["RGW_CA_FILE"]}
    url = rgw["RGW_TLS_ENDPOINT"]
    scheme, rest = url.split("://", 1)
    host, port = rest.rsplit(":", 1)
    (home.home / "safe.cyberduckprofile").write_text(PROFILE.format(name="safe", scheme=scheme, host=host, port=port))
    home("profile", "import", "safe.cyberduckprofile", "--name", "safe")
    home("login", "safe", "--access-key-id", rgw["RGW_ACCESS_KEY"], env={"WIGEON_SECRET_KEY": rgw["RGW_SECRET_KEY"], **trusted})
    bucket = "own-keys"
    (home.home / "key").write_bytes(os.urandom(32))
    (home.home / "other").write_text(os.urandom(32).hex())
    (home.home / "plain").write_bytes(b"secret\n")
    run = lambda *arguments, **more: home(*arguments, env=trusted, **more)
    run("mb", f"safe:{bucket}")
    run("cp", "plain", f"safe:{bucket}/k")
    run("encrypt", f"safe:{bucket}/k", "--sse-key-file", "key")
    assert run("stat", f"safe:{bucket}/k", code=1).stderr
    assert json.loads(run("stat", f"safe:{bucket}/k", "--source-key-file", "key", "--json").stdout)["customer_key_md5"]
    run("encrypt", f"safe:{bucket}/k", "--source-key-file", "key", "--sse-key-file", "other")
    assert run("head", f"safe:{bucket}/k", "--source-key-file", "other").stdout == "secret\n"
    # RGW's word for another key than the object's; AWS's is AccessDenied.
    assert "InvalidArgument" in run("head", f"safe:{bucket}/k", "--source-key-file", "key", code=1).stderr
    assert json.loads(run("stat", f"safe:{bucket}/k", "--source-key-file", "other", "--json").stdout)["customer_key_md5"]
    noise = os.urandom(20 << 20)
    (home.home / "large").write_bytes(noise)
    run("cp", "large", f"safe:{bucket}/large", "--sse-key-file", "key")
    assert run("cp", f"safe:{bucket}/large", "back", code=1).stderr
    run("cp", f"safe:{bucket}/large", "back", "--source-key-file", "key")
    assert (home.home / "back").read_bytes() == noise
    run("cp", f"safe:{bucket}/large", f"safe:{bucket}/copy", "--source-key-file", "key", "--sse-key-file", "other")
    assert run("cp", f"safe:{bucket}/copy", "-", "--source-key-file", "other", binary=True).stdout == noise
    assert "32 bytes" in run("head", f"safe:{bucket}/k", "--source-key-file", "plain", code=2).stderr
    assert "how is it to be encrypted" in run("encrypt", f"safe:{bucket}/k", code=2).stderr
