"""Wigeon's client with servers that this project did not write: a profile file, panva's oidc-provider, Ceph RGW.

The sign-in itself, and the refusal of a wrong audience, are in test_sign_in.py.
"""

import hashlib
import json
import os
import pathlib
import pty
import re
import select
import signal
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request

import boto3
import pytest
from botocore.config import Config

from conftest import BINARY, Peer, RgwRole, environment, free_port, rgw_profile, runner, until_done

MIB = 1 << 20


@pytest.fixture(scope="module")
def lab(tmp_path_factory, oidc, rgw, rgw_role, browse):
    """The command, signed in to RGW as alice."""
    run = runner(tmp_path_factory.mktemp("lab"))
    (run.home / "lab.cyberduckprofile").write_text(rgw_profile(rgw, oidc, rgw_role))
    run("profile", "import", "lab.cyberduckprofile", "--name", "lab")
    run("login", env={"BROWSER": str(browse)})
    return run


@pytest.fixture(scope="module")
def bucket(lab):
    assert lab("mb", "s3://ceph-one").stderr == "Made the bucket ceph-one.\n"
    yield "s3://ceph-one"
    lab("rb", "--force", "s3://ceph-one")


def other_reader(lab, rgw):
    """The same credentials in the hands of another client."""
    keys = json.loads(lab("credentials", "--format", "process").stdout)
    return boto3.client("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1", config=Config(s3={"addressing_style": "path"}),
                        aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contents(folder):
    return {str(path.relative_to(folder)): digest(path) for path in folder.rglob("*") if path.is_file()}


def noise(path, size):
    with open(path, "wb") as file:
        while size > 0:
            size -= file.write(os.urandom(min(size, 8 * MIB)))


def test_two_hundred_files_both_ways(lab, bucket, rgw):
    source = lab.home / "many"
    for number in range(200):
        path = source / f"folder {number % 7}" / f"sub-{number % 3}" / f"file-{number:03} ü+%&=#?.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number}".encode() * number)
    up = json.loads(lab("cp", "-r", "many", f"{bucket}/many", "--json").stdout)
    assert (up["copied"], up["failed"], up["skipped"]) == (200, 0, 0)
    assert up["verified_by"] in ("checksum", "signed SHA-256")

    listed = lines(lab("ls", "-r", "--json", f"{bucket}/many/").stdout)
    assert {entry["key"].removeprefix("many/"): entry["size"] for entry in listed} == {
        str(path.relative_to(source)): path.stat().st_size for path in source.rglob("*") if path.is_file()}
    seen = other_reader(lab, rgw).get_object(Bucket="ceph-one", Key="many/folder 1/sub-2/file-008 ü+%&=#?.txt")
    assert seen["Body"].read() == b"8" * 8 and seen["ContentType"].startswith("text/plain")

    down = lab("cp", "-r", f"{bucket}/many/", "back/many")
    assert re.fullmatch(r"Copied 200 files, \d+ KiB in \d+\.\d s; verified by (MD5|checksum)\.\n", down.stderr) and down.stdout == ""
    assert contents(lab.home / "back" / "many") == contents(source)
    level = lab("ls", f"{bucket}/many/").stdout.splitlines()
    assert len(level) == 7 and all(line.endswith("/") for line in level)


def test_three_hundred_megabytes_both_ways(lab, bucket, rgw):
    big = lab.home / "big"
    noise(big, 300 * MIB + 17)
    up = json.loads(lab("cp", "big", f"{bucket}/big", "--json", timeout=300).stdout)
    assert (up["copied"], up["bytes"]) == (1, 300 * MIB + 17)
    head = other_reader(lab, rgw).head_object(Bucket="ceph-one", Key="big")
    assert head["ContentLength"] == 300 * MIB + 17 and head["ETag"].rstrip('"').endswith("-38"), "it went in parts"
    lab("cp", f"{bucket}/big", "big.back", timeout=300)
    assert digest(lab.home / "big.back") == digest(big)
    # Inside the store, and through a pipe.
    lab("cp", f"{bucket}/big", f"{bucket}/copy of big", timeout=300)
    through = lab("cat", f"{bucket}/copy of big", binary=True, timeout=300).stdout
    assert hashlib.sha256(through).hexdigest() == digest(big)
    lab("rm", f"{bucket}/big", f"{bucket}/copy of big")
    for name in ("big", "big.back"):
        (lab.home / name).unlink()


def test_between_buckets_and_streams(lab, bucket):
    lab("mb", "s3://ceph-two")
    body = os.urandom(20 * MIB)
    assert lab("cp", "-", f"{bucket}/stream", input=body, binary=True).stdout == b""
    assert lab("cp", f"{bucket}/stream", "-", binary=True).stdout == body
    lab("cp", "-", f"{bucket}/tree/a", input="A")
    lab("cp", "-", f"{bucket}/tree/b/c", input="C", env={"NO_COLOR": "1"})
    assert "verified by the store" in lab("cp", f"{bucket}/stream", "s3://ceph-two/").stderr
    assert json.loads(lab("stat", "s3://ceph-two/stream", "--json").stdout)["size"] == len(body)
    assert "Copied 2 files" in lab("cp", "-r", f"{bucket}/tree", "lab:ceph-two/copied").stderr
    assert lab("cat", "s3://ceph-two/copied/a", "s3://ceph-two/copied/b/c").stdout == "AC"

    refused = lab("rb", "s3://ceph-two", code=1).stderr
    assert "BucketNotEmpty" in refused and "--force" in refused
    assert "would remove ceph-two/copied/a" in lab("rm", "-r", "-n", "s3://ceph-two/copied").stdout
    assert json.loads(lab("rm", "-r", "s3://ceph-two/copied", "--json").stdout) == {"removed": 2, "not_removed": 0, "failures": []}
    lab("rm", "s3://ceph-two/stream")
    assert lab("rb", "s3://ceph-two").stderr == "Removed the bucket ceph-two.\n"
    names = [entry["name"] for entry in lines(lab("ls", "--json").stdout)]
    assert "ceph-one" in names and "ceph-two" not in names


@pytest.mark.parametrize("key", ["a/../b", "..", "./x", "x/.", "dot/./dot", "//two", "end/", "%2e%2e/x", "a b+c&d=e", "new\nline", "ü/\U0001f986", "back\\slash", "q?x#y"])
def test_keys_of_every_kind(lab, bucket, rgw, key):
    lab("cp", "-", f"{bucket}/keys/{key}~", input=key)
    reader = other_reader(lab, rgw)
    # Names that end in a slash keep a file's own; the object's address is exact where it does not.
    lab("cp", "-", f"{bucket}/k/{key}" if not key.endswith("/") else f"{bucket}/k/{key}.", input=key)
    exact = f"k/{key}" if not key.endswith("/") else f"k/{key}."
    found = [entry["Key"] for entry in reader.list_objects_v2(Bucket="ceph-one", Prefix="k/")["Contents"]]
    assert found == [exact]
    assert lab("cat", f"{bucket}/{exact}").stdout == key
    assert json.loads(lab("stat", f"{bucket}/{exact}", "--json").stdout)["key"] == exact
    lab("cp", f"{bucket}/{exact}", f"{bucket}/elsewhere")
    assert lab("cat", f"{bucket}/elsewhere").stdout == key
    lab("rm", f"{bucket}/{exact}")
    assert "Contents" not in reader.list_objects_v2(Bucket="ceph-one", Prefix="k/")
    assert lab("rm", "-r", f"{bucket}/keys").stderr == "Removed 1 object.\n"


def test_what_is_known_of_an_object(lab, bucket):
    (lab.home / "page.html").write_text("<p>hello</p>")
    lab("cp", "page.html", f"{bucket}/")
    shown = json.loads(lab("stat", f"{bucket}/page.html", "--json").stdout)
    assert (shown["size"], shown["content_type"].split(";")[0]) == (12, "text/html")
    assert shown["etag"] == hashlib.md5(b"<p>hello</p>").hexdigest()
    lab("cp", "page.html", f"{bucket}/plain", "--content-type", "text/x-own")
    assert "text/x-own" in lab("stat", f"{bucket}/plain").stdout
    assert json.loads(lab("stat", bucket, "--json").stdout)["bucket"] == "ceph-one"
    for command in ("stat", "cat"):
        assert "NotFound" in (text := lab(command, f"{bucket}/nothing", code=1).stderr) or "NoSuchKey" in text
    assert "nothing begins with" in lab("ls", f"{bucket}/nothing", code=1).stderr
    assert "ceph-none" in lab("ls", "s3://ceph-none-such", code=1).stderr


def test_presigned_addresses(lab, bucket):
    put = lab("presign", f"{bucket}/by link/ü", "--method", "put", "--expires", "5m")
    assert "Works until" in put.stderr and "(4 min)" in put.stderr or "(5 min)" in put.stderr
    request = urllib.request.Request(put.stdout.strip(), data=b"from elsewhere", method="PUT")
    assert urllib.request.urlopen(request).status == 200
    got = json.loads(lab("presign", f"{bucket}/by link/ü", "--json", "--expires", "7h").stdout)
    assert urllib.request.urlopen(got["url"]).read() == b"from elsewhere"
    assert got["limited_by"] == "session", "the session ends before seven hours are over"
    assert lab("cat", f"{bucket}/by link/ü").stdout == "from elsewhere"


def test_refusals_have_their_codes(lab, bucket, home):
    lab("cp", "nowhere", f"{bucket}/x", code=1)
    lab("cp", "nowhere", "elsewhere", code=2)
    lab("frobnicate", code=2)
    lab("cp", str(lab.home), f"{bucket}/x", code=2)
    lab("mb", "s3://ceph-one/x", code=2)
    failure = json.loads(lab("cat", f"{bucket}/none", "--json", code=1).stderr)["error"]
    assert failure["kind"] == "error" and "ceph-one/none" in failure["message"]
    stranger = runner(home)
    (home / "lab.cyberduckprofile").write_bytes((lab.home / "lab.cyberduckprofile").read_bytes())
    stranger("profile", "import", "lab.cyberduckprofile")
    assert stranger("ls", code=4).stderr == 'Sign-in needed for profile "lab". Run: wigeon login lab\n'
    # A store that is down may be up later.
    text = (lab.home / "lab.cyberduckprofile").read_text()
    (home / "gone").write_text(re.sub(r"(<key>Default Port</key><integer>)\d+", rf"\g<1>{free_port()}", text))
    lab("profile", "import", home / "gone", "--name", "lab", "--replace")
    try:
        assert "no answer from" in lab("ls", code=6).stderr
    finally:
        lab("profile", "import", "lab.cyberduckprofile", "--name", "lab", "--replace")


def test_some_of_many_fail(lab, bucket):
    folder = lab.home / "some"
    folder.mkdir()
    (folder / "good").write_text("good")
    (folder / "link").symlink_to("good")
    (folder / os.fsdecode(b"not \xff UTF-8")).write_text("bad")
    report = json.loads(lab("cp", "-r", "some", f"{bucket}/some", "--json", code=3).stdout)
    assert (report["copied"], report["failed"], report["skipped"]) == (1, 1, 1)
    assert "UTF-8" in report["failures"][0]["message"] and "link" in report["left_out"][0]["name"]
    text = lab("cp", "-r", "some", f"{bucket}/some", code=3).stderr
    assert "failed `" in text and "1 of 2 files failed" in text and "skipped `" in text


def test_the_library_by_itself(rgw):
    """Operations and transfers that the commands do not show, with faults; see crates/client/tests/store.rs."""
    root = pathlib.Path(__file__).resolve().parents[2]
    s3 = boto3.client("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1",
                      aws_access_key_id=rgw["RGW_ACCESS_KEY"], aws_secret_access_key=rgw["RGW_SECRET_KEY"])
    s3.create_bucket(Bucket="locking", ObjectLockEnabledForBucket=True)
    done = subprocess.run(["cargo", "test", "--quiet", "-p", "wigeon-client", "--test", "store", "--", "--ignored"], cwd=root,
                          env={**os.environ, **rgw.values, "LOCKING_BUCKET": "locking"}, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "0 failed; 0 ignored" in done.stdout, done.stdout + done.stderr


# ---- on the way --------------------------------------------------------------------------------------------


def at_another_address(lab, rgw, oidc, rgw_role, name, url):
    """The same store under another address; the sign-in of `lab` is good for it, too."""
    parts = urllib.parse.urlsplit(url)
    text = rgw_profile(rgw, oidc, rgw_role)
    text = text.replace("<key>Scheme</key><string>http<", f"<key>Scheme</key><string>{parts.scheme}<")
    text = text.replace("<string>127.0.0.1</string>", f"<string>{parts.hostname}</string>")
    text = re.sub(r"(<key>Default Port</key><integer>)\d+", rf"\g<1>{parts.port}", text)
    (lab.home / "another").write_text(text)
    lab("profile", "import", "another", "--name", "lab", "--replace")


@pytest.fixture
def moved(lab, rgw, oidc, rgw_role):
    yield lambda url: at_another_address(lab, rgw, oidc, rgw_role, "lab", url)
    lab("profile", "import", "lab.cyberduckprofile", "--name", "lab", "--replace")


def test_over_tls_with_a_ca_of_ones_own(lab, bucket, rgw, moved):
    moved(rgw["RGW_TLS_ENDPOINT"])
    begun = time.monotonic()
    refused = lab("ls", code=1).stderr
    assert "certificate" in refused and "--ca-file FILE" in refused and time.monotonic() - begun < 3
    ca = {"WIGEON_CA_FILE": rgw["RGW_CA_FILE"]}
    (lab.home / "tls").write_bytes(os.urandom(20 * MIB))
    assert "verified by MD5" in lab("cp", "tls", f"{bucket}/tls/..", env=ca).stderr
    lab("cp", f"{bucket}/tls/..", "tls.back", "--ca-file", rgw["RGW_CA_FILE"])
    assert digest(lab.home / "tls") == digest(lab.home / "tls.back")
    assert lab("presign", f"{bucket}/tls/..", env=ca).stdout.startswith(rgw["RGW_TLS_ENDPOINT"] + "/ceph-one/tls/..?")
    lab("rm", f"{bucket}/tls/..", env=ca)
    assert "no PEM certificate" in lab("ls", "--ca-file", "tls", code=1).stderr


class Proxy:
    """A proxy of HTTP/1.1 that remembers what it was asked and leads everything to one place."""

    def __init__(self, host, port):
        self.asked, self.to = [], (host, port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://ada:secret@127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.lead, args=(client,), daemon=True).start()

    def lead(self, client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        first, rest = head.split(b"\r\n", 1)
        self.asked.append((first.decode(), b"proxy-authorization: Basic YWRhOnNlY3JldA==" in head.replace(b"Proxy-A", b"proxy-a")))
        store = socket.create_connection(self.to)
        if first.startswith(b"CONNECT "):
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        else:
            method, address, version = first.split(b" ")
            store.sendall(b" ".join((method, b"/" + address.split(b"/", 3)[3], version)) + b"\r\nConnection: close\r\n" + rest)
        back = threading.Thread(target=self.pump, args=(store, client), daemon=True)
        back.start()
        self.pump(client, store)

    @staticmethod
    def pump(source, target):
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


def test_through_a_proxy(lab, bucket, rgw, moved):
    lab("cp", "-", f"{bucket}/proxied/../x", input="by proxy")
    plain = Proxy("127.0.0.1", int(rgw["RGW_ENDPOINT"].rsplit(":", 1)[1]))
    moved("http://192.0.2.1:8000")
    assert lab("cat", f"{bucket}/proxied/../x", env={"HTTP_PROXY": plain.url, "http_proxy": plain.url}).stdout == "by proxy"
    assert plain.asked == [("GET http://192.0.2.1:8000/ceph-one/proxied/../x HTTP/1.1", True)]
    tunnel = Proxy("127.0.0.1", int(rgw["RGW_TLS_ENDPOINT"].rsplit(":", 1)[1]))
    moved("https://store.invalid:8443")
    # The tunnel leads to the store, whose certificate has another name.
    refused = lab("ls", code=1, env={"HTTPS_PROXY": tunnel.url, "https_proxy": tunnel.url, "WIGEON_CA_FILE": rgw["RGW_CA_FILE"]}).stderr
    assert "certificate" in refused and "store.invalid" in refused
    assert tunnel.asked == [("CONNECT store.invalid:8443 HTTP/1.1", True)]
    unknown = lab("ls", code=6, env={"HTTPS_PROXY": "socks5://127.0.0.1:1", "https_proxy": "socks5://127.0.0.1:1"}).stderr
    assert "is not an http:// one" in unknown


# ---- at a terminal -----------------------------------------------------------------------------------------


def at_a_terminal(lab, *arguments, **more):
    """What a person sees: standard error is a terminal of 80 columns."""
    parent, child = pty.openpty()
    os.set_blocking(parent, True)
    process = subprocess.Popen([BINARY, *arguments], cwd=lab.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=child,
                               env=environment(lab.home, TERM="xterm-256color", COLUMNS="80", **more))
    os.close(child)
    seen = b""
    while True:
        ready, _, _ = select.select([parent], [], [], 60)
        try:
            piece = os.read(parent, 65536) if ready else b""
        except OSError:
            piece = b""
        if not piece:
            break
        seen += piece
    os.close(parent)
    process.communicate(timeout=60)
    return process.returncode, seen.decode()


def test_progress_is_shown_to_people_only(lab, bucket):
    noise(lab.home / "medium", 60 * MIB)
    code, seen = at_a_terminal(lab, "cp", "medium", f"{bucket}/medium")
    assert code == 0 and "60.00 MiB" in seen and "Copied 1 file, 60 MiB" in seen
    for quiet in (("--quiet",), ("--json",)):
        code, seen = at_a_terminal(lab, "cp", "medium", f"{bucket}/medium", *quiet)
        assert (code, seen) == (0, ""), quiet
    assert "\x1b" not in lab("cp", "medium", f"{bucket}/medium").stderr
    (lab.home / "medium").unlink()


def test_colors_are_for_terminals_that_want_them(lab, bucket):
    assert "\x1b[31;1merror:" in at_a_terminal(lab, "cat", f"{bucket}/none")[1]
    assert "\x1b" not in at_a_terminal(lab, "cat", f"{bucket}/none", NO_COLOR="1")[1]
    assert "\x1b" not in lab("cat", f"{bucket}/none", code=1).stderr


# ---- renewal -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def short(tmp_path_factory, rgw, browse):
    """The command with tokens and credentials of a few seconds, and no browser after the sign-in."""
    provider = Peer("oidc-provider", OIDC_PORT=str(free_port()), OIDC_NAME="short", OIDC_ID_TOKEN_TTL="8")
    role = RgwRole(rgw, provider, "e2e-short")
    run = runner(tmp_path_factory.mktemp("short"))
    (run.home / "short.cyberduckprofile").write_text(
        rgw_profile(rgw, provider, role.name, properties=["s3.assumerole.durationseconds=4"]))
    run("profile", "import", "short.cyberduckprofile", "--name", "short")
    run("login", env={"BROWSER": str(browse)})
    yield run
    role.remove()
    provider.stop()


def test_credentials_and_tokens_are_renewed_without_a_browser(short):
    keys = set()
    for _ in range(3):
        keys.add(json.loads(short("credentials").stdout)["AccessKeyId"])
        time.sleep(3.2)
    assert len(keys) == 3
    who = json.loads(short("whoami", "--json").stdout)
    assert who["renews"] is True and who["id_token_expires_at"] > who["signed_in_at"]


def test_an_upload_outlives_its_credentials(short):
    short("mb", "s3://ceph-long")
    begun = json.loads(short("credentials").stdout)["AccessKeyId"]
    process = subprocess.Popen([BINARY, "cp", "-", "s3://ceph-long/slow", "--json"], cwd=short.home, env=environment(short.home),
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    sent = b""
    for _ in range(5):
        piece = os.urandom(8 * MIB)
        process.stdin.write(piece)
        process.stdin.flush()
        sent += piece
        time.sleep(2)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert json.loads(out)["bytes"] == len(sent)
    assert short("cat", "s3://ceph-long/slow", binary=True).stdout == sent
    assert json.loads(short("credentials").stdout)["AccessKeyId"] != begun
    short("rb", "--force", "s3://ceph-long")


def test_an_interrupt_can_be_gone_on_with(lab, bucket, rgw):
    noise(lab.home / "endless", 200 * MIB)
    reader = other_reader(lab, rgw)
    for more in (["--no-resume"], []):
        process = subprocess.Popen([BINARY, "cp", "--limit-rate", "60M", *more, "endless", f"{bucket}/endless"], cwd=lab.home, env=environment(lab.home),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(500):
            uploads = reader.list_multipart_uploads(Bucket="ceph-one").get("Uploads", [])
            if uploads and reader.list_parts(Bucket="ceph-one", Key="endless", UploadId=uploads[0]["UploadId"]).get("Parts"):
                break
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 1 and "interrupted" in errors
        assert bool(reader.list_multipart_uploads(Bucket="ceph-one").get("Uploads")) == (not more)
        assert "endless" not in lab("ls", bucket).stdout
    done = json.loads(lab("cp", "endless", f"{bucket}/endless", "--json").stdout)
    assert done["resumed_bytes"] >= 8 * MIB
    assert not reader.list_multipart_uploads(Bucket="ceph-one").get("Uploads")
    assert lab("cat", f"{bucket}/endless", binary=True).stdout == (lab.home / "endless").read_bytes()
    lab("rm", f"{bucket}/endless")
    (lab.home / "endless").unlink()


def test_leftovers_can_be_given_up(lab, bucket, rgw):
    reader = other_reader(lab, rgw)
    reader.create_multipart_upload(Bucket="ceph-one", Key="left over")
    assert [entry["key"] for entry in lines(lab("uploads", bucket, "--json").stdout)] == ["left over"]
    assert lab("uploads", bucket, "--abort", "--older-than", "1h").stdout == ""
    assert "left over" in lab("uploads", f"{bucket}/left", "--abort").stdout
    assert not reader.list_multipart_uploads(Bucket="ceph-one").get("Uploads")


def test_a_tree_through_bad_weather(tmp_path, lab, bucket, rgw, oidc, rgw_role, browse, storm):
    fair, stormy = rgw["RGW_ENDPOINT"], storm(rgw["RGW_ENDPOINT"], seed=2)
    text = rgw_profile(rgw, oidc, rgw_role)
    port = lambda url: f'<integer>{url.rsplit(":", 1)[1]}</integer>'
    run = runner(tmp_path)
    (tmp_path / "stormy.cyberduckprofile").write_text(text.replace(port(fair), port(stormy)))
    run("profile", "import", "stormy.cyberduckprofile", "--name", "stormy")
    run("login", "stormy", env={"BROWSER": str(browse)})
    for number in range(60):
        path = tmp_path / "weather" / f"d{number % 5}" / f"f {number} ü"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(path, number * 997)
    noise(tmp_path / "weather" / "large", 40 * MIB + 3)
    until_done(tmp_path, "cp", "-r", "weather", f"{bucket}/weather")
    lab("cp", "-r", f"{bucket}/weather", tmp_path / "fair")
    assert contents(tmp_path / "fair") == contents(tmp_path / "weather")
    until_done(tmp_path, "cp", "-r", f"{bucket}/weather", "back")
    assert contents(tmp_path / "back") == contents(tmp_path / "weather")
    lab("rm", "-r", f"{bucket}/weather")


def test_who_signs_out_is_signed_out(lab, bucket):
    # The last of this module's tests: the bucket's removal needs the sign-in once more.
    who = json.loads(lab("whoami", "--json").stdout)
    assert (who["user"], who["role_name"], who["renews"]) == ("alice@example.test", "e2e-person", True)
    assert lab("whoami").stdout.startswith("Signed in as alice@example.test (lab). Role e2e-person. Valid ")
    kept = {path: path.read_bytes() for path in (lab.home / ".local/state/wigeon").rglob("*") if path.is_file()}
    done = json.loads(lab("logout", "--json").stdout)
    assert done == [{"profile": "lab", "was_signed_in": True, "revoked": True}]
    assert not list((lab.home / ".local/state/wigeon").rglob("lab.json"))
    lab("ls", code=4)
    for path, content in kept.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
