"""The commands about objects and buckets, against Ceph RGW and Wigeon's own server; boto3 is the other opinion."""

import datetime
import json
import os
import pty
import re
import select
import subprocess
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config

from conftest import BINARY, environment, runner

PROFILE = """<plist version="1.1"><dict>
  <key>Protocol</key><string>s3</string>
  <key>Vendor</key><string>{name}</string>
  <key>Scheme</key><string>{scheme}</string>
  <key>Default Hostname</key><string>{host}</string>
  <key>Default Port</key><integer>{port}</integer>
  <key>Region</key><string>us-east-1</string>
  <key>Properties</key><array><string>s3.bucket.virtualhost.disable=true</string></array>
</dict></plist>
"""


class Store:
    """A store under a profile with access keys, and what boto3 says of it."""

    def __init__(self, run, name, url, key, secret):
        self.run, self.name = run, name
        scheme, rest = url.split("://", 1)
        host, port = rest.rsplit(":", 1)
        (run.home / f"{name}.cyberduckprofile").write_text(PROFILE.format(name=name, scheme=scheme, host=host, port=port))
        run("profile", "import", f"{name}.cyberduckprofile", "--name", name)
        run("login", name, "--access-key-id", key, env={"WIGEON_SECRET_KEY": secret})
        self.boto = boto3.client("s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id=key, aws_secret_access_key=secret,
                                 config=Config(s3={"addressing_style": "path"}), verify=False if scheme == "https" else None)

    def __call__(self, *arguments, **more):
        return self.run(*arguments, **more)

    def json(self, *arguments, **more):
        return json.loads(self(*arguments, "--json", **more).stdout)

    def lines(self, *arguments, **more):
        return [json.loads(line) for line in self(*arguments, "--json", **more).stdout.splitlines()]

    def bucket(self, name, *keys, versions=False):
        """A bucket, named as the command names it."""
        self.boto.create_bucket(Bucket=name)
        if versions:
            self.boto.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        for key in keys:
            self.boto.put_object(Bucket=name, Key=key, Body=key.encode())
        return f"{self.name}:{name}"

    def keys(self, bucket):
        pages = self.boto.get_paginator("list_objects_v2").paginate(Bucket=bucket.split(":", 1)[1])
        return [item["Key"] for page in pages for item in page.get("Contents", [])]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return runner(tmp_path_factory.mktemp("objects"))


@pytest.fixture(scope="module")
def ceph(home, rgw):
    return Store(home, "ceph", rgw["RGW_ENDPOINT"], rgw["RGW_ACCESS_KEY"], rgw["RGW_SECRET_KEY"])


@pytest.fixture(scope="module")
def own(home, server):
    return Store(home, "own", server.url, server.root["aws_access_key_id"], server.root["aws_secret_access_key"])


@pytest.fixture(params=["ceph", "own"])
def store(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def names():
    """Names of buckets, each once."""
    count = iter(range(1000))
    return lambda: f"cmd-{os.getpid()}-{next(count)}"


TREE = ["a.txt", "b/c.txt", "b/d/e.txt", "b/d/f.log", "b0", "z ü+%&=#?.txt"]


def test_lists(store, names):
    team = store.bucket(names(), *TREE)
    assert [line["key"] for line in store.lines("ls", team)] == ["a.txt", "b/", "b0", "z ü+%&=#?.txt"]
    deep = store.lines("ls", "-r", team)
    assert [line["key"] for line in deep] == TREE
    assert set(deep[0]) == {"type", "key", "size", "last_modified", "etag", "storage_class"}
    assert [line["key"] for line in store.lines("ls", f"{team}/b/*.txt")] == ["b/c.txt", "b/d/e.txt"]
    assert [line["key"] for line in store.lines("ls", "-r", team, "--include", "*.log")] == ["b/d/f.log"]
    by_size = [line["size"] for line in store.lines("ls", "-r", "--sort", "size", "--reverse", team)]
    assert by_size == sorted(by_size, reverse=True)
    assert store("ls", "--tree", team).stdout == "a.txt  5 B\nb/\n  c.txt  7 B\n  d/\n    e.txt  9 B\n    f.log  9 B\nb0  2 B\nz ü+%&=#?.txt  14 B\n"
    assert store("ls", "--tree", "--depth", "1", team).stdout.splitlines()[:3] == ["a.txt  5 B", "b/", "b0  2 B"]
    total = store.lines("ls", "-r", "--total", team)[-1]
    assert total == {"type": "total", "objects": 6, "bytes": sum(len(key.encode()) for key in TREE)}
    assert "nothing begins with" in store("ls", f"{team}/nope", code=1).stderr
    assert store("ls", f"{team}/b/c.txt").returncode == 0


def test_sums(store, names):
    team = store.bucket(names(), *TREE)
    size = sum(len(key.encode()) for key in TREE)
    assert store.lines("du", team) == [{"bucket": team.split(":")[1], "prefix": "", "objects": 6, "bytes": size}]
    deep = store.lines("du", "--depth", "2", team)
    assert [(line["prefix"], line["objects"], line["bytes"]) for line in deep] == [("b/d/", 2, 18), ("b/", 3, 25), ("", 6, size)]
    assert store.lines("du", f"{team}/b/", "--include", "*.log")[-1]["bytes"] == 9
    assert store.lines("du", "--by-class", team)[0]["classes"] == {"STANDARD": {"objects": 6, "bytes": size}}
    assert "25 B" in store("du", f"{team}/b/").stdout


def test_finds(store, names):
    team = store.bucket(names(), *TREE)
    bucket = team.split(":")[1]
    store.boto.put_object(Bucket=bucket, Key="tagged", Body=b"x" * 5000, Metadata={"owner": "ada"})
    store.boto.put_object_tagging(Bucket=bucket, Key="tagged", Tagging={"TagSet": [{"Key": "project", "Value": "x"}]})
    found = lambda *arguments: store("find", team, *arguments).stdout.splitlines()
    assert found("--name", "*.txt", "--path", "b/*") == [f"{team}/b/c.txt", f"{team}/b/d/e.txt"]
    assert found("--regex", "^b/d/.\\.(log|txt)$", "--format", "{name} {bytes}") == ["e.txt 9", "f.log 9"]
    assert found("--min-size", "4K") == [f"{team}/tagged"]
    assert found("--tag", "project=x") == found("--tag", "project") == found("--meta", "owner=ada") == [f"{team}/tagged"]
    assert found("--tag", "project=y") == found("--storage-class", "COLD") == []
    assert found("--limit", "2") == [f"{team}/a.txt", f"{team}/b/c.txt"]
    assert found("--max-age", "1h", "--name", "b0") == [f"{team}/b0"] and found("--min-age", "1h") == []
    raw = store("find", team, "--print0", "--format", "{key}", binary=True).stdout
    assert raw.decode().split("\0") == [*TREE[:5], "tagged", TREE[5], ""]
    quoted = store("find", team, "--name", "z*", "--format", "echo {key:q}").stdout
    assert subprocess.run(["sh", "-c", quoted], capture_output=True, text=True).stdout.rstrip("\n") == TREE[5]
    assert "is not known" in store("find", team, "--format", "{what}", code=2).stderr


def test_beginnings(store, names):
    team = store.bucket(names())
    store.boto.put_object(Bucket=team.split(":")[1], Key="log", Body=b"".join(b"%d\n" % number for number in range(100_000)))
    store.boto.put_object(Bucket=team.split(":")[1], Key="empty", Body=b"")
    assert store("head", f"{team}/log").stdout == "".join(f"{number}\n" for number in range(10))
    assert store("head", "-n", "3", f"{team}/log").stdout == "0\n1\n2\n"
    assert store("head", "-c", "7", f"{team}/log").stdout == "0\n1\n2\n3"
    assert store("head", "-c", "7", f"{team}/empty").stdout == store("head", f"{team}/empty").stdout == ""
    assert store("head", f"{team}/nope", code=1).stderr


def test_removes_what_is_meant_and_nothing_else(store, names):
    team = store.bucket(names(), *TREE, "b/*")
    assert "names no object" in store("rm", team, code=2).stderr
    would = store("rm", "-n", f"{team}/b/*.txt").stdout
    assert would.splitlines() == [f"would remove {team.split(':')[1]}/{key}" for key in ("b/c.txt", "b/d/e.txt")]
    assert store.keys(team) == sorted([*TREE, "b/*"])
    store("rm", "--literal", f"{team}/b/*")
    assert store.keys(team) == TREE
    store("rm", f"{team}/b/?.txt")
    assert store.keys(team) == [key for key in TREE if key != "b/c.txt"]
    assert "nothing matches" in store("rm", f"{team}/nope*", code=1).stderr
    store("rm", "-r", f"{team}/b", "--exclude", "*.log")
    assert store.keys(team) == ["a.txt", "b/d/f.log", "b0", TREE[5]]
    assert store.json("rm", "-r", team) == {"removed": 4, "not_removed": 0, "failures": []}
    assert store.keys(team) == []
    store("rb", team)


def test_removes_thousands(store, names):
    team = store.bucket(names())
    folder = store.run.home / f"thousands-{store.name}"
    for number in range(3500):
        path = folder / f"{number % 10}" / f"{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    assert store.json("cp", "-r", folder, f"{team}/")["copied"] == 3500
    assert len(store.lines("ls", "-r", team)) == 3500
    assert store.json("rm", "-r", team) == {"removed": 3500, "not_removed": 0, "failures": []}
    assert store.keys(team) == []


def test_tags(store, names):
    team = store.bucket(names(), "a", "b", "c/d")
    store("tag", "set", f"{team}/a", "project=x", "empty=")
    assert store.json("tag", "get", f"{team}/a")["tags"] == {"project": "x", "empty": ""}
    store("tag", "add", f"{team}/a", "project=y", "more=ü & <b>")
    tags = {tag["Key"]: tag["Value"] for tag in store.boto.get_object_tagging(Bucket=team.split(":")[1], Key="a")["TagSet"]}
    assert tags == {"project": "y", "empty": "", "more": "ü & <b>"}
    store("tag", "remove", f"{team}/a", "empty", "more")
    assert store("tag", "get", f"{team}/a").stdout == "project=y\n"
    many = store.lines("tag", "add", "-r", team, "all=1")
    assert sorted((line["key"], line["done"]) for line in many) == [("a", "tagged"), ("b", "tagged"), ("c/d", "tagged")]
    assert "as wished before" in store("tag", "add", "-r", team, "all=1").stderr
    store("tag", "remove", "--all", f"{team}/a")
    assert store.json("tag", "get", f"{team}/a")["tags"] == {}
    assert store("tag", "set", f"{team}/nope", "a=b", code=1).stderr


def test_tags_of_buckets(store, names):
    team = store.bucket(names())
    assert store.json("tag", "get", team)["tags"] == {}
    store("tag", "set", team, "cost=7")
    store("tag", "add", team, "who=ada")
    assert store.json("tag", "get", team) == {"bucket": team.split(":")[1], "key": None, "tags": {"cost": "7", "who": "ada"}}
    store("tag", "remove", team, "--all")
    assert store.json("tag", "get", team)["tags"] == {}


def test_metadata_changes_and_the_rest_stays(store, names):
    team = store.bucket(names())
    bucket = team.split(":")[1]
    store.boto.put_object(Bucket=bucket, Key="k", Body=b"text", ContentType="text/plain", CacheControl="no-store",
                          Metadata={"owner": "ada"}, Tagging="project=x")
    store("meta", "set", f"{team}/k", "content-type=text/html", "color=blue", "content-disposition=inline")
    head = store.boto.head_object(Bucket=bucket, Key="k")
    assert (head["ContentType"], head["CacheControl"], head["ContentDisposition"]) == ("text/html", "no-store", "inline")
    assert head["Metadata"] == {"owner": "ada", "color": "blue"}
    assert store.boto.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "project", "Value": "x"}]
    assert store.boto.get_object(Bucket=bucket, Key="k")["Body"].read() == b"text"
    store("meta", "remove", f"{team}/k", "owner", "cache-control")
    assert store.json("meta", "get", f"{team}/k")["metadata"] == {
        "content-type": "text/html", "content-disposition": "inline", "color": "blue"}
    before = store.boto.head_object(Bucket=bucket, Key="k")["LastModified"]
    assert "as wished before" in store("meta", "set", f"{team}/k", "color=blue").stderr
    assert store.boto.head_object(Bucket=bucket, Key="k")["LastModified"] == before
    store("meta", "set", "--replace", f"{team}/k", "only=this")
    assert store.boto.head_object(Bucket=bucket, Key="k")["Metadata"] == {"only": "this"}


def test_stat_tells_what_there_is(store, names):
    team = store.bucket(names(), versions=True)
    bucket = team.split(":")[1]
    store.boto.put_object(Bucket=bucket, Key="k", Body=b"old")
    store.boto.put_object(Bucket=bucket, Key="k", Body=b"newer", Metadata={"owner": "ada"}, Tagging="a=b")
    known = store.json("stat", "--versions", f"{team}/k")
    assert (known["size"], known["metadata"], known["tags"], len(known["versions"])) == (5, {"owner": "ada"}, {"a": "b"}, 2)
    old = known["versions"][1]["version_id"]
    assert store.json("stat", f"{team}/k", "--version-id", old)["size"] == 3
    assert "metadata owner" in store("stat", f"{team}/k").stdout
    whole = store.json("stat", team)
    assert (whole["versioning"], whole["policy"], whole["lifecycle"]) == ("enabled", False, False)


def test_addresses_that_work_for_a_time(store, names):
    team = store.bucket(names(), "k")
    ask = lambda url, method="GET", data=None, headers={}: urllib.request.urlopen(
        urllib.request.Request(url, method=method, data=data, headers=headers), timeout=20)
    presign = lambda *arguments: store.json("presign", f"{team}/k", *arguments)
    assert ask(presign()["url"]).read() == b"k"
    answered = ask(presign("--answer-type", "text/csv", "--answer-disposition", "attachment; filename=\"a b\"")["url"])
    assert (answered.headers["content-type"], answered.headers["content-disposition"]) == ("text/csv", "attachment; filename=\"a b\"")
    assert ask(presign("--method", "head")["url"], "HEAD").headers["content-length"] == "1"
    put = presign("--method", "put", "--content-type", "text/html", "-H", "x-amz-meta-owner: ada")
    assert put["headers"] == {"content-type": "text/html", "x-amz-meta-owner": "ada"} or set(put["headers"]) == {"content-type", "x-amz-meta-owner"}
    ask(put["url"], "PUT", b"new", put["headers"])
    assert store.json("stat", f"{team}/k")["metadata"] == {"owner": "ada"}
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(put["url"], "PUT", b"other", {"content-type": "text/plain", "x-amz-meta-owner": "ada"})
    assert refused.value.code == 403
    ask(presign("--method", "delete")["url"], "DELETE")
    assert store.keys(team) == []
    ends = datetime.datetime.fromisoformat(presign("--expires", "15m")["ends_at"])
    left = (ends - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
    assert 890 < left <= 900


def write(store, bucket, key, *bodies):
    return [store.boto.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"] for body in bodies]


def body(store, bucket, key):
    return store.boto.get_object(Bucket=bucket, Key=key)["Body"].read()


def test_versions_come_back(store, names):
    team = store.bucket(names(), versions=True)
    bucket = team.split(":")[1]
    first, _ = write(store, bucket, "a", b"one", b"two")
    assert [line["is_latest"] for line in store.lines("versions", "list", f"{team}/a")] == [True, False]
    store("versions", "restore", f"{team}/a", "--version-id", first)
    assert body(store, bucket, "a") == b"one" and len(store.lines("versions", "list", f"{team}/a")) == 3
    store("rm", f"{team}/a")
    store("rm", f"{team}/a")
    assert "its removal is undone" in store("versions", "restore", "-n", "-r", team).stdout and store.keys(team) == []
    store("versions", "restore", "-r", team)
    assert body(store, bucket, "a") == b"one"
    # Everything as it was.
    time.sleep(1.1)
    then = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    time.sleep(1.1)
    write(store, bucket, "a", b"three")
    write(store, bucket, "later", b"x")
    store("versions", "restore", "-r", team, "--at", then)
    assert (store.keys(team), body(store, bucket, "a")) == (["a"], b"one")
    assert "as wished before" in store("versions", "restore", "-r", team, "--at", then).stderr
    assert {line["type"] for line in store.lines("ls", "-r", "--versions", team)} == {"version"}


def test_versions_are_purged(store, names):
    team = store.bucket(names(), versions=True)
    bucket = team.split(":")[1]
    write(store, bucket, "a", b"1", b"22", b"333")
    write(store, bucket, "gone", b"1")
    store("rm", f"{team}/gone")
    sums = store.lines("du", "--versions", team)[0]
    assert (sums["objects"], sums["bytes"], sums["older_versions"], sums["older_bytes"], sums["delete_markers"]) == (1, 3, 3, 4, 1)
    would = store.lines("versions", "purge", "-r", "-n", "--keep", "1", team)
    assert [(line["would_remove"]["key"], line["would_remove"]["size"]) for line in would] == [("a", 1)]
    assert store.json("versions", "purge", "-r", "--older-than", "1d", team)["removed"] == 0
    done = store.json("versions", "purge", "-r", team)
    assert (done["removed"], done["bytes"]) == (4, 4)
    assert [(line["key"], line["size"]) for line in store.lines("versions", "list", "-r", team)] == [("a", 3)]
    store("rm", "-r", team)
    assert store.json("rm", "-r", "--versions", team)["removed"] == 2
    store("rb", team)


def test_only_who_is_asked_confirms(ceph, names):
    """A person at a terminal is asked; nobody else is."""
    team = ceph.bucket(names(), versions=True)
    write(ceph, team.split(":")[1], "a", b"1")
    screen, terminal = pty.openpty()
    command = [BINARY, "rm", "-r", "--versions", team]
    process = subprocess.Popen(command, stdin=terminal, stdout=terminal, stderr=terminal, env=environment(ceph.run.home, TERM="xterm"), cwd=ceph.run.home)
    os.close(terminal)
    seen, answered = b"", False
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        ready, _, _ = select.select([screen], [], [], 0.2)
        try:
            seen += os.read(screen, 4096) if ready else b""
        except OSError:
            break
        if not answered and b"for good?" in seen:
            os.write(screen, b"n\r")
            answered = True
    assert answered and process.wait(timeout=20) == 1, seen
    assert len(ceph.lines("versions", "list", "-r", team)) == 1
    ceph("rm", "-r", "--versions", team)
    assert ceph.lines("ls", "-r", "--versions", team) == []


def test_lists_of_access_are_sent_only_when_asked_for(ceph, names):
    team = ceph.bucket(names(), "a", "b/c")
    grants = ceph.json("acl", "get", f"{team}/a")
    assert [grant["permission"] for grant in grants["grants"]] == ["FULL_CONTROL"]
    ceph("acl", "set", "public-read", f"{team}/a")
    assert {"READ", "FULL_CONTROL"} == {grant["permission"] for grant in ceph.json("acl", "get", f"{team}/a")["grants"]}
    many = ceph.lines("acl", "set", "private", "-r", team)
    assert sorted(line["key"] for line in many) == ["a", "b/c"]
    ceph("acl", "set", "public-read", team)
    assert len(ceph.json("acl", "get", team)["grants"]) == 2
    assert "is not a canned ACL" in ceph("acl", "set", "public", f"{team}/a", code=2).stderr


def test_what_goes_with_objects(store, home, names):
    team = store.bucket(names())
    bucket = team.split(":")[1]
    tags = lambda key: {tag["Key"]: tag["Value"] for tag in store.boto.get_object_tagging(Bucket=bucket, Key=key)["TagSet"]}
    head = lambda key: store.boto.head_object(Bucket=bucket, Key=key)
    (home.home / "page").mkdir(exist_ok=True)
    (home.home / "page" / "a.html").write_text("<p>")
    store("cp", "page/a.html", f"{team}/a", "--meta", "owner=ada", "--meta", "cache-control=no-store", "--tag", "project=x & y")
    assert (head("a")["Metadata"], head("a")["CacheControl"], head("a")["ContentType"]) == ({"owner": "ada"}, "no-store", "text/html")
    assert tags("a") == {"project": "x & y"}
    # A copy has what its source has, and what is wished in its place.
    store("cp", f"{team}/a", f"{team}/same")
    assert (head("same")["Metadata"], tags("same")) == ({"owner": "ada"}, {"project": "x & y"})
    store("cp", f"{team}/a", f"{team}/b", "--meta", "owner=bob", "--content-type", "text/x-b")
    assert (head("b")["Metadata"], head("b")["CacheControl"], head("b")["ContentType"]) == ({"owner": "bob"}, "no-store", "text/x-b")
    assert tags("b") == {"project": "x & y"}
    store("mv", f"{team}/b", f"{team}/c", "--tag", "moved=1", "--meta", "expires=never")
    assert (head("c")["Metadata"], head("c")["ExpiresString"], tags("c")) == ({"owner": "bob"}, "never", {"moved": "1"})
    store("run", input=f"cp page/a.html {team}/d --meta owner=eve\n")
    assert head("d")["Metadata"] == {"owner": "eve"}
    store("sync", "page", f"{team}/s", "--tag", "by=sync", "--meta", "owner=sync")
    assert (head("s/a.html")["Metadata"]["owner"], tags("s/a.html")) == ("sync", {"by": "sync"})
    assert "files are written here" in store("cp", f"{team}/a", "here", "--tag", "x=1", code=2).stderr
    assert "files are written here" in store("sync", f"{team}/s", "page", "--tag", "x=1", code=2).stderr


def test_what_goes_with_objects_from_store_to_store(ceph, own, home, names):
    source, target = own.bucket(names()), ceph.bucket(names())
    own.boto.put_object(Bucket=source.split(":")[1], Key="k", Body=b"text", ContentType="text/x-k", Metadata={"owner": "ada"},
                        Tagging="project=x")
    seen = lambda store, place, key: (
        store.json("meta", "get", f"{place}/{key}")["metadata"], store.json("tag", "get", f"{place}/{key}")["tags"])
    home("cp", f"{source}/k", f"{target}/k")
    assert seen(ceph, target, "k") == ({"content-type": "text/x-k", "owner": "ada"}, {"project": "x"})
    home("mv", f"{target}/k", f"{source}/back", "--meta", "owner=bob")
    assert seen(own, source, "back") == ({"content-type": "text/x-k", "owner": "bob"}, {"project": "x"})


def test_classes_and_lists_of_what_is_written(ceph, own, home, names):
    (home.home / "kept").write_text("kept")
    team = own.bucket(names())
    own("cp", "kept", f"{team}/a", "--storage-class", "STANDARD_IA")
    own("cp", f"{team}/a", f"{team}/b")
    own("cp", f"{team}/a", f"{team}/c", "--storage-class", "GLACIER_IR")
    own("mv", f"{team}/a", f"{team}/d")
    classes = {line["key"]: line["storage_class"] for line in own.lines("ls", "-r", team)}
    assert classes == {"b": "STANDARD", "c": "GLACIER_IR", "d": "STANDARD_IA"}
    assert own("cp", "kept", f"{team}/e", "--storage-class", "NO_SUCH_CLASS", code=1).stderr
    open_to_all = lambda place: {grant["permission"] for grant in ceph.json("acl", "get", place)["grants"]} == {"READ", "FULL_CONTROL"}
    team = ceph.bucket(names())
    ceph("cp", "kept", f"{team}/a", "--acl", "public-read")
    ceph("cp", f"{team}/a", f"{team}/b")
    ceph("cp", f"{team}/b", f"{team}/c", "--acl", "public-read")
    ceph("mv", f"{team}/a", f"{team}/d")
    assert [open_to_all(f"{team}/{key}") for key in "bcd"] == [False, True, True]
    ceph("mv", f"{team}/d", f"{team}/e", "--acl", "private")
    assert not open_to_all(f"{team}/e")


def test_classes(ceph, own, names):
    team = own.bucket(names(), "k", "l")
    own("storage-class", "GLACIER_IR", "-r", team)
    assert {line["storage_class"] for line in own.lines("ls", "-r", team)} == {"GLACIER_IR"}
    team = ceph.bucket(names(), "k")
    assert "as wished before" in ceph("storage-class", "STANDARD", f"{team}/k").stderr
    assert ceph("storage-class", "NO_SUCH_CLASS", f"{team}/k", code=1).stderr
    assert ceph.lines("restore", "--status", f"{team}/k")[0]["state"] == "not-archived"


CORS = {"CORSRules": [{"AllowedOrigins": ["https://x.example"], "AllowedMethods": ["GET", "PUT"], "MaxAgeSeconds": 60}]}
LIFECYCLE = {"Rules": [{"ID": "old", "Status": "Enabled", "Filter": {"Prefix": "tmp/"}, "Expiration": {"Days": 3}}]}


def test_what_a_bucket_is_set_to(store, names):
    team = store.bucket(names())
    bucket = team.split(":")[1]
    assert store("bucket", "get", "versioning", team).stdout == "off\n"
    store("bucket", "set", "versioning", team, "enabled")
    assert store.json("bucket", "get", "versioning", team) == "enabled"
    for setting, document in (("cors", CORS), ("lifecycle", LIFECYCLE)):
        assert store.json("bucket", "get", setting, team) is None
        (store.run.home / "document.json").write_text(json.dumps(document))
        store("bucket", "set", setting, team, "document.json")
        kept = store.json("bucket", "get", setting, team)
        assert list(kept) == list(document)
        for name, value in list(document.values())[0][0].items():
            assert list(kept.values())[0][0][name] == value, kept
        store("bucket", "remove", setting, team)
        assert store.json("bucket", "get", setting, team) is None
    assert store.boto.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
    policy = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject", "Resource": f"arn:aws:s3:::{bucket}/kept/*"}]}
    store("bucket", "set", "policy", team, "-", input=json.dumps(policy))
    assert store.json("bucket", "get", "policy", team)["Statement"][0]["Action"] == "s3:DeleteObject"
    known = store.json("stat", team)
    # This RGW lists objects where it is asked for a setting that it does not know.
    assert (known["policy"], known["encryption"]) == (True, None if store.name == "ceph" else False)
    store("bucket", "remove", "policy", team)
    assert "cannot be removed" in store("bucket", "remove", "versioning", team, code=2).stderr
    assert "is no cors" in store("bucket", "set", "cors", team, "-", input="{]", code=2).stderr


def test_locks(store, names):
    bucket = names()
    store.boto.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    team = f"{store.name}:{bucket}"
    store.boto.put_object(Bucket=bucket, Key="k", Body=b"kept")
    assert store.json("lock", "get", team) == {"bucket": bucket, "object_lock": True, "default": None}
    store("lock", "default", team, "--days", "3")
    assert store.json("lock", "get", team)["default"] == {"mode": "GOVERNANCE", "days": 3}
    store("lock", "default", team)
    store("lock", "retain", f"{team}/k", "--for", "1d")
    assert store.json("lock", "get", f"{team}/k")["mode"] == "GOVERNANCE"
    version = store.lines("versions", "list", f"{team}/k")[0]["version_id"]
    assert store("rm", f"{team}/k", "--version-id", version, code=5).stderr
    store("lock", "hold", f"{team}/k")
    assert store.json("lock", "get", f"{team}/k")["legal_hold"] is True
    store("lock", "unhold", f"{team}/k")
    store("rm", f"{team}/k", "--version-id", version, "--bypass-governance")
    assert store.lines("ls", "-r", "--versions", team) == []
    assert "is not ahead" in store("lock", "retain", f"{team}/k", "--until", "2001-01-01", code=2).stderr


def test_pages_and_colors(home):
    pages = home.home / "man"
    home("manual", "--write", pages)
    written = {page.name for page in pages.iterdir()}
    assert {"wigeon.1", "wigeon-ls.1", "wigeon-versions-purge.1", "wigeon-tag-set.1"} <= written
    assert ".TH wigeon-ls 1" in (pages / "wigeon-ls.1").read_text() and home("manual").stdout.startswith(".ie")
    for variables, colored in (({}, True), ({"NO_COLOR": "1"}, False)):
        screen, terminal = pty.openpty()
        subprocess.run([BINARY, "ls", "nowhere:"], stdin=terminal, stdout=terminal, stderr=terminal,
                       env=environment(home.home, TERM="xterm", **variables), cwd=home.home)
        os.close(terminal)
        seen = os.read(screen, 65536)
        assert (b"\x1b[" in seen) is colored, seen
    script = home("completions", "bash").stdout
    assert "wigeon" in script
    offered = home("--", "wigeon", "versions", "", env={"COMPLETE": "bash", "_CLAP_COMPLETE_INDEX": "2", "_CLAP_COMPLETE_COMP_TYPE": "9", "_CLAP_COMPLETE_SPACE": "true", "_CLAP_IFS": "\n"}).stdout
    assert {"list", "restore", "purge"} <= set(offered.split())
