"""One side made like the other, against Wigeon's own server and Ceph RGW."""

import json
import os
import shutil

import boto3
import pytest

from conftest import runner
from test_client_with_wigeon import admin, own  # noqa: F401
from test_object_commands import Store

ODD = ["a", "a-b", "a.txt", "a0", "ü/日本 .txt", "with space/x y", "new\nline", ".hidden", "-dash", "deep/" * 12 + "end", "b/c", "b/c-d", "e+f&g=h?i#j%41"]


def write(root, files):
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def read(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def place(own, admin, request):  # noqa: F811
    """A fresh folder and a fresh prefix."""
    name = request.node.name.replace("[", "-").replace("]", "")
    folder = own.home / "synced" / name
    folder.mkdir(parents=True)

    class Place:
        local, prefix = folder, f"alice/sync-{name}"
        address = f"s3://home/{prefix}"

        def objects(self, below=""):
            pages = admin.get_paginator("list_objects_v2").paginate(Bucket="home", Prefix=f"{self.prefix}{below}/")
            keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
            return {key.removeprefix(f"{self.prefix}{below}/"): admin.get_object(Bucket="home", Key=key)["Body"].read() for key in keys}

    yield Place()
    for entry in admin.list_objects_v2(Bucket="home", Prefix=f"alice/sync-{name}").get("Contents", []):
        admin.delete_object(Bucket="home", Key=entry["Key"])


def files():
    return {name: os.urandom(index * 700) for index, name in enumerate(ODD)}


def test_up_and_down_and_again(own, place):  # noqa: F811
    content = files()
    write(place.local, content)
    up = json.loads(own("sync", place.local, place.address, "--json").stdout)
    assert (up["copied"], up["same"], up["failed"]) == (len(ODD), 0, 0)
    assert place.objects() == content
    again = json.loads(own("sync", place.local, place.address, "--json").stdout)
    assert (again["copied"], again["same"]) == (0, len(ODD))
    back = own.home / "synced" / "back"
    down = json.loads(own("sync", place.address, back, "--json").stdout)
    assert down["copied"] == len(ODD) and read(back) == content
    assert json.loads(own("sync", place.address, back, "--json").stdout)["copied"] == 0
    # Every comparison finds them the same.
    for how in ("modified", "mtime", "checksum", "size"):
        assert json.loads(own("sync", place.local, place.address, "--compare", how, "--json").stdout)["copied"] == 0, how
    assert "Compared by size and checksum." in own("check", place.local, place.address).stderr
    assert "Compared by all their bytes." in own("check", place.local, place.address, "--download").stderr
    shutil.rmtree(back)


def test_objects_beside_their_folders_come_down_and_go_up(own, admin, place):  # noqa: F811
    content = {"a": b"1", "a/b": b"2", "a//c": b"3", "a-": b"4", "../up": b"5", "x" * 300: b"6"}
    for key, body in content.items():
        admin.put_object(Bucket="home", Key=f"{place.prefix}/{key}", Body=body)
    own("sync", place.address, place.local)
    assert json.loads(own("sync", place.address, place.local, "--json").stdout)["copied"] == 0
    own("sync", place.local, place.address + "-copy")
    assert place.objects("-copy") == content


def test_changes_are_found_by_what_is_compared(own, place):  # noqa: F811
    write(place.local, {"same": b"1234", "size": b"1", "touched": b"touched", "hidden": b"old!"})
    own("sync", place.local, place.address)
    (place.local / "size").write_bytes(b"22")
    os.utime(place.local / "touched")
    (place.local / "hidden").write_bytes(b"new!")
    os.utime(place.local / "hidden", (1_000_000_000, 1_000_000_000))
    lines = lambda *more: [json.loads(line)["copy"]["source"]["name"] for line in own("sync", "-n", "--json", place.local, place.address, *more).stdout.splitlines()[:-1]]
    # A file that only became newer is read, and found to be the same.
    assert lines() == ["size"]
    assert lines("--size-only") == ["size"]
    assert lines("--checksum") == ["hidden", "size"]
    assert lines("--compare", "mtime") == ["hidden", "size", "touched"]
    assert own("diff", place.local, place.address, "--compare", "checksum", code=1).stdout == "* hidden  (another content)\n* size  (another size)\n"
    own("sync", "-c", place.local, place.address)
    assert place.objects() == read(place.local)


def test_removals_come_last_and_are_guarded(own, place):  # noqa: F811
    write(place.local, {f"f{number}": b"x" for number in range(5)})
    own("sync", place.local, place.address)
    for number in range(3):
        (place.local / f"f{number}").unlink()
    kept = own("sync", place.local, place.address, "--json")
    assert json.loads(kept.stdout)["only_at_target"] == 3 and len(place.objects()) == 5
    assert "3 files would be removed, and 2 are allowed: none was" in own("sync", place.local, place.address, "--delete", "--max-delete", "2", code=1).stderr
    assert len(place.objects()) == 5
    assert json.loads(own("sync", place.local, place.address, "--delete", "--json").stdout)["removed"] == 3
    assert place.objects() == read(place.local)
    # An empty source is hardly meant.
    for path in place.local.iterdir():
        path.unlink()
    assert "the source is empty" in own("sync", place.local, place.address, "--delete", code=1).stderr
    assert len(place.objects()) == 2
    own("sync", place.local / "missing", place.address, "--delete", "--allow-empty-source", code=1)
    assert len(place.objects()) == 2
    own("sync", place.local, place.address, "--delete", "--allow-empty-source")
    assert place.objects() == {}


def test_what_cannot_be_read_holds_removals_back(own, place):  # noqa: F811
    write(place.local, {"a": b"1", "b": b"2"})
    own("sync", place.local, place.address)
    (place.local / "a").unlink()
    os.symlink("b", place.local / "link")
    (place.local / b"\xff".decode(errors="surrogateescape")).write_bytes(b"no key")
    done = own("sync", place.local, place.address, "--delete", code=3)
    assert "UTF-8" in done.stderr and "none of 1 was removed" in done.stderr
    assert sorted(place.objects()) == ["a", "b"]


@pytest.mark.parametrize("down", [False, True])
def test_backups_and_renames(own, admin, place, down):  # noqa: F811
    source, target = (place.address, place.local) if down else (place.local, place.address)
    other = own.home / "synced" / f"source-{down}"
    other.mkdir()

    def fill(content):
        shutil.rmtree(other)
        other.mkdir()
        write(other, content)
        if down:
            own("sync", other, place.address, "--delete", "--checksum", "--allow-empty-source")
        else:
            shutil.rmtree(place.local)
            shutil.copytree(other, place.local)

    there = lambda below="": read(place.local if not below else place.local.with_name(place.local.name + below)) if down else place.objects(below)
    before = {"keep": b"k", "change": b"old", "go/away": b"gone", "old/name": b"moved content"}
    after = {"keep": b"k", "change": b"newer", "new/name": b"moved content"}
    fill(before)
    own("sync", source, target)
    assert there() == before
    fill(after)
    backup = f"{target}-backup"
    arguments = ("sync", source, target, "--delete", "--backup-dir", backup, "--track-renames", "--compare", "checksum")
    plan = [json.loads(line) for line in own(*arguments, "-n", "--json").stdout.splitlines()]
    assert [sorted(line)[0] for line in plan] == ["copy", "move", "remove", "comparison"]
    assert there() == before
    done = json.loads(own(*arguments, "--json").stdout)
    assert (done["copied"], done["moved"], done["removed"], done["same"]) == (1, 1, 1, 1)
    assert there() == after and there("-backup") == {"change": b"old", "go/away": b"gone"}
    if down:
        assert not (place.local / "go").exists()
    own("sync", source, target, "--backup-dir", f"{target}/inside", code=2)


def test_a_plan_is_saved_read_and_applied(own, admin, place):  # noqa: F811
    write(place.local, {"a": b"1", "b": b"2", "c": b"3", "d": b"4"})
    own("sync", place.local, place.address)
    (place.local / "a").write_bytes(b"11")
    (place.local / "b").write_bytes(b"22")
    (place.local / "c").unlink()
    (place.local / "d").unlink()
    plan = own.home / "the.plan"
    own("sync", place.local, place.address, "--delete", "--plan-out", plan)
    assert len(place.objects()["a"]) == 1
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    assert lines[0]["source"] == str(place.local) and lines[-1]["end"]["removals"] == 2
    assert own("sync", "--apply", plan, "-n").stdout.count("would") == 4
    # What changed since is left alone, and so is what would have been removed.
    (place.local / "b").write_bytes(b"222")
    done = own("sync", "--apply", plan, code=3)
    assert "is not what it was when the plan was made" in done.stderr
    assert place.objects() == {"a": b"11", "b": b"2", "c": b"3", "d": b"4"}
    own("sync", place.local, place.address, "--delete", "--plan-out", plan)
    own("sync", "--apply", plan)
    assert place.objects() == read(place.local)
    plan.write_text("\n".join(plan.read_text().splitlines()[:-1]))
    assert "has no end" in own("sync", "--apply", plan, code=1).stderr
    # Where nothing else was to be done, either: the same again would do no better.
    (place.local / "a").write_bytes(b"111")
    own("sync", place.local, place.address, "--plan-out", plan)
    (place.local / "a").write_bytes(b"1111")
    own("sync", "--apply", plan, code=3)
    # What is for every command may stand before it.
    done = own("--json", "sync", place.local, place.address, "--events")
    assert [json.loads(line).get("event") for line in done.stdout.splitlines()] == ["done", None]
    assert "--json" in own("sync", place.local, place.address, "--events", code=2).stderr


def test_newer_targets_are_named_and_kept(own, place):  # noqa: F811
    write(place.local, {"a": b"here", "b": b"1"})
    os.utime(place.local / "a", (1_000_000_000, 1_000_000_000))
    own("cp", "-", f"{place.address}/a", input="theirs")
    done = own("sync", place.local, place.address, "--update", code=3)
    assert "the target's is newer" in done.stderr
    assert place.objects() == {"a": b"theirs", "b": b"1"}
    own("sync", place.local, place.address)
    assert place.objects()["a"] == b"here"


def test_filters_keep_to_what_is_meant(own, place):  # noqa: F811
    write(place.local, {"a.txt": b"1", "b.jpg": b"2", "skip/c.txt": b"3", "large.txt": bytes(5000)})
    own("sync", place.local, place.address)
    shutil.rmtree(place.local / "skip")
    (place.local / "b.jpg").unlink()
    (place.local / "a.txt").unlink()
    # Neither side's excluded files have a part in it; what a bound of size leaves out is not missing.
    own("sync", place.local, place.address, "--delete", "--exclude", "skip/", "--exclude", "*.jpg", "--max-size", "1K", "--allow-empty-source")
    assert sorted(place.objects()) == ["b.jpg", "large.txt", "skip/c.txt"]


def test_differences_are_marked(own, place):  # noqa: F811
    write(place.local, {"same": b"1", "differs": b"12", "here": b"3"})
    own("sync", place.local, place.address)
    (place.local / "differs").write_bytes(b"21")
    own("cp", "-", f"{place.address}/there", input="4")
    own("rm", f"{place.address}/here")
    for more in ([], ["--download"]):
        done = own("check", place.local, place.address, "--all", *more, code=1)
        assert done.stdout == "* differs  (another content)\n+ here\n= same\n- there\n"
    assert "there" not in own("check", place.local, place.address, "--one-way", code=1).stdout
    states = {line["name"]: line["state"] for line in map(json.loads, own("check", "--json", place.local, place.address, "--size-only", code=1).stdout.splitlines())}
    assert states == {"here": "only-source", "there": "only-target"}


def test_between_stores_and_ceph(own, rgw, place, tmp_path):  # noqa: F811
    """Ceph RGW by its own access key, beside Wigeon's server by a sign-in."""
    bucket = "sync-e2e"
    s3 = boto3.client("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1",
                      aws_access_key_id=rgw["RGW_ACCESS_KEY"], aws_secret_access_key=rgw["RGW_SECRET_KEY"])
    s3.create_bucket(Bucket=bucket)
    content = {**files(), "large": os.urandom(20 << 20)}
    write(place.local, content)
    ceph = {"AWS_ACCESS_KEY_ID": rgw["RGW_ACCESS_KEY"], "AWS_SECRET_ACCESS_KEY": rgw["RGW_SECRET_KEY"]}
    run = runner(tmp_path)
    port = rgw["RGW_ENDPOINT"].rsplit(":", 1)[1]
    (tmp_path / "ceph.toml").write_text(
        f'protocol = "s3"\nvendor = "ceph"\nscheme = "http"\ndefault_hostname = "127.0.0.1"\ndefault_port = {port}\n'
        'credentials = "environment"\n\n[properties]\n"s3.bucket.virtualhost.disable" = true\n')
    run("profile", "import", "ceph.toml", "--name", "ceph")
    up = json.loads(run("sync", place.local, f"s3://{bucket}/x", "--json", env=ceph).stdout)
    assert (up["copied"], up["failed"]) == (len(content), 0)
    assert json.loads(run("sync", place.local, f"s3://{bucket}/x", "--json", "-c", env=ceph).stdout)["copied"] <= 1
    run("check", "--download", place.local, f"s3://{bucket}/x", env=ceph)
    run("sync", f"s3://{bucket}/x", tmp_path / "back", env=ceph)
    assert read(tmp_path / "back") == content
    (place.local / "a").unlink()
    assert json.loads(run("sync", place.local, f"s3://{bucket}/x", "--delete", "--json", env=ceph).stdout)["removed"] == 1
    run("sync", f"s3://{bucket}/x", f"s3://{bucket}/y", env=ceph)
    run("check", "--download", f"s3://{bucket}/x", f"s3://{bucket}/y", env=ceph)


# Everything that a key may be: all planes of Unicode, composed and not, spaces at either end, line breaks, leading dots and
# dashes, names of folders, escapes, 1,024 bytes, and objects beside their folders.
HARD = [
    "a", "a/b", "a/b/c", "a-", "a.", "a0", "a//b", "a///", "/", "//x", ".", "..", "../up", "x/./y", "x/../z", "...",
    " leading", "trailing ", "  ", "in side/of it", "new\nline", "tab\there", "-rf", "--delete", ".hidden", ".hidden/.deep",
    "\u00e9", "e\u0301", "\u65e5\u672c\u8a9e", "\U0001f600/\U0001f4a9", "\u05e9\u05dc\u05d5\u05dd", "\ufffd", "\U0010ffff", "\u201b", "\u201b\u201b", "\u201b-", "a\u201bd", "a\u201bd/x",
    "back\\slash", "quo\"te'", "st*r?", "pi|pe", "c:olon", "am&per", "per%cent", "%41", "pl+us", "h#sh", "<xml>&amp;", "$HOME", "`id`", "{brace}", "[bracket]", "s;emi,comma=",
    "long" * 64, "u\u0308" * 100, "p/" * 400 + "end",
]


@pytest.fixture(scope="module")
def two(tmp_path_factory, server, rgw):
    """Two servers under two profiles: Wigeon's own, and Ceph RGW; a bucket in each."""
    run = runner(tmp_path_factory.mktemp("two"))
    stores = {"own": Store(run, "own", server.url, server.root["aws_access_key_id"], server.root["aws_secret_access_key"]),
              "ceph": Store(run, "ceph", rgw["RGW_ENDPOINT"], rgw["RGW_ACCESS_KEY"], rgw["RGW_SECRET_KEY"])}
    for name, store in stores.items():
        store.boto.create_bucket(Bucket=f"two-{name}")
    return stores


def held(store, prefix):
    bucket = f"two-{store.name}"
    pages = store.boto.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    return {key.removeprefix(prefix): store.boto.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.mark.parametrize("name", ["own", "ceph"])
def test_every_name_goes_down_up_and_across(two, name, tmp_path):
    store, other = two[name], two["ceph" if name == "own" else "own"]
    longest = "n" * (1024 - len("hard/"))
    content = {key: f"{index}".encode() for index, key in enumerate(HARD + [longest])}
    for key, body in content.items():
        store.boto.put_object(Bucket=f"two-{name}", Key=f"hard/{key}", Body=body)
    assert held(store, "hard/") == content
    store("sync", f"{name}:two-{name}/hard", tmp_path / "down")
    again = store.json("sync", f"{name}:two-{name}/hard", tmp_path / "down", "--checksum")
    assert (again["copied"], again["same"]) == (0, len(content))
    store("sync", tmp_path / "down", f"{name}:two-{name}/back")
    assert held(store, "back/") == content
    # To another server, and a watch over it all finds nothing left to do.
    store("sync", f"{name}:two-{name}/hard", f"{other.name}:two-{other.name}/from")
    assert held(other, "from/") == content
    assert store("check", f"{name}:two-{name}/hard", f"{other.name}:two-{other.name}/from", "--download").returncode == 0


def test_two_servers_are_kept_alike(two):
    own, ceph = two["own"], two["ceph"]
    content = {f"d{index % 7}/f{index:03}": os.urandom(index * 50) for index in range(120)}
    content["large"] = os.urandom(20 << 20)
    for key, body in content.items():
        own.boto.put_object(Bucket="two-own", Key=f"alike/{key}", Body=body, Metadata={"who": "ada"})
    arguments = ("sync", "own:two-own/alike", "ceph:two-ceph/alike", "--delete")
    assert own.json(*arguments)["copied"] == len(content)
    assert held(ceph, "alike/") == content
    assert ceph.boto.head_object(Bucket="two-ceph", Key="alike/large")["Metadata"]["who"] == "ada"
    own.boto.delete_object(Bucket="two-own", Key="alike/d0/f000")
    own.boto.put_object(Bucket="two-own", Key="alike/d1/f001", Body=b"changed")
    ceph.boto.put_object(Bucket="two-ceph", Key="alike/stray", Body=b"?")
    done = own.json(*arguments, "--backup-dir", "ceph:two-ceph/kept")
    assert (done["copied"], done["removed"], done["failed"]) == (1, 2, 0)
    assert held(ceph, "alike/") == held(own, "alike/")
    assert set(held(ceph, "kept/")) == {"d0/f000", "d1/f001", "stray"}


def test_ceph_in_bad_weather(two, rgw, storm, tmp_path):
    """The proxy fails, cuts, throttles and stalls: what reports success is equal, and a rerun completes."""
    run = runner(tmp_path)
    rough = Store(run, "rough", storm(rgw["RGW_ENDPOINT"], per_mille=60), rgw["RGW_ACCESS_KEY"], rgw["RGW_SECRET_KEY"])
    content = {f"d{index % 5}/f{index}": os.urandom(index * 100) for index in range(60)}
    content["large"] = os.urandom(20 << 20)
    write(tmp_path / "here", content)

    def until_done(*arguments):
        for _ in range(20):
            done = run(*arguments, code=None)
            if done.returncode == 0:
                return
            assert done.returncode in (3, 4, 6), done.stderr
        raise AssertionError(done.stderr)

    until_done("sync", tmp_path / "here", "rough:two-ceph/storm", "--delete")
    assert held(two["ceph"], "storm/") == content
    until_done("sync", "rough:two-ceph/storm", tmp_path / "back", "--delete")
    assert read(tmp_path / "back") == content
    for index in range(30):
        (tmp_path / "here" / f"d{index % 5}" / f"f{index}").unlink()
    until_done("sync", tmp_path / "here", "rough:two-ceph/storm", "--delete", "--checksum")
    assert held(two["ceph"], "storm/") == read(tmp_path / "here")
    until_done("sync", "rough:two-ceph/storm", "rough:two-ceph/storm-copy", "--delete")
    assert held(two["ceph"], "storm-copy/") == read(tmp_path / "here")


def test_mtime_is_that_of_the_writing_where_there_is_none(own, admin, place):  # noqa: F811
    admin.put_object(Bucket="home", Key=f"{place.prefix}/plain", Body=b"no metadata")
    down = ("sync", place.address, place.local, "--compare", "mtime", "--json")
    assert json.loads(own(*down).stdout)["copied"] == 1
    written = admin.head_object(Bucket="home", Key=f"{place.prefix}/plain")["LastModified"].timestamp()
    assert (place.local / "plain").stat().st_mtime == written
    assert json.loads(own(*down).stdout)["copied"] == 0
    assert json.loads(own("sync", place.local, place.address, "--compare", "mtime", "--json").stdout)["copied"] == 0


@pytest.mark.parametrize("verb", ["cp", "mv"])
def test_filters_choose_what_is_copied_and_moved(own, admin, place, verb):  # noqa: F811
    content = {"a.txt": b"1", "b.jpg": b"22", "d/c.txt": b"333", "d/e.jpg": b"4444", "skip/f.txt": b"5", "large.txt": bytes(3000)}
    only = ["--include", "*.txt", "--filter", "- *", "--max-size", "1K"]
    chosen = {name: content[name] for name in ("a.txt", "d/c.txt", "skip/f.txt")}
    rest = {name: body for name, body in content.items() if name not in chosen}
    write(place.local, content)
    own(verb, "-r", place.local, place.address, *only)
    assert place.objects() == chosen
    assert read(place.local) == (content if verb == "cp" else rest)
    # A folder goes that is empty because of that; others stay.
    assert (place.local / "skip").exists() == (verb == "cp") and (place.local / "d").exists()
    write(place.local, content)
    own("cp", "-r", place.local, place.address)
    own(verb, "-r", place.address, f"{place.address}-2", *only)
    assert place.objects("-2") == chosen
    own("cp", "-r", place.local, place.address)
    own(verb, "-r", place.address, place.local.with_name(f"down-{verb}"), "--exclude", "skip/", "--exclude", "*.jpg", "--min-size", "2B")
    assert read(place.local.with_name(f"down-{verb}")) == {"d/c.txt": b"333", "large.txt": bytes(3000)}
    jobs = f"{verb} -r '{place.local}' '{place.address}-3' --include 'd/*.jpg'\nrm -r '{place.address}-2' --exclude /a.txt\n"
    own("run", input=jobs)
    assert place.objects("-3") == {"d/e.jpg": b"4444"} and place.objects("-2") == {"a.txt": b"1"}
    assert "copy" not in own(verb, "-rn", place.address, f"{place.address}-4", "--include", "none").stdout


def test_a_plan_of_a_profile_of_one_letter(tmp_path, server, place):  # noqa: F811
    k = Store(runner(tmp_path), "k", server.url, server.root["aws_access_key_id"], server.root["aws_secret_access_key"])
    write(place.local, {"a": b"1"})
    k("sync", place.local, f"k:home/{place.prefix}", "--plan-out", "plan")
    k("sync", "--apply", "plan")
    assert place.objects() == {"a": b"1"}


def test_what_a_rename_empties_goes(own, place):  # noqa: F811
    write(place.local, {"old/deep/name": b"moved content", "stays": b"s"})
    own("sync", place.local, place.address)
    (place.local / "new").mkdir()
    (place.local / "old" / "deep" / "name").rename(place.local / "new" / "name")
    other = place.local.with_name("renamed-down")
    own("sync", place.address, other)
    own("sync", place.local, place.address, "--delete", "--track-renames", "-c")
    assert json.loads(own("sync", place.address, other, "--delete", "--track-renames", "-c", "--json").stdout)["moved"] == 1
    assert read(other) == read(place.local) and not (other / "old").exists()
