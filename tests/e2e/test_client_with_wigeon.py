"""Wigeon's client with Wigeon's own server, and its credentials in the hands of other tools."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request

import boto3
import pytest
from botocore.config import Config

from conftest import BINARY, Identity, Kept, Peer, Server, environment, free_port, runner, until_done

MIB = 1 << 20


def profile(server, issuer, host="127.0.0.1", virtual_host=False):
    """A connection profile in Wigeon's own notation."""
    return textwrap.dedent(f"""\
        protocol = "s3"
        vendor = "own"
        description = "Our own"
        issuer = "{issuer}"
        scheme = "http"
        default_hostname = "{host}"
        default_port = {server.url.rsplit(":", 1)[1]}
        oauth_client_id = "s3-cli"
        oauth_client_secret = ""
        scopes = ["openid", "email", "offline_access"]
        sts_endpoint = "{server.url}"

        [properties]
        role_arn = "{server.role}"
        "s3.bucket.virtualhost.disable" = {str(not virtual_host).lower()}
        """)


def root(server):
    s3 = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", config=Config(s3={"addressing_style": "path"}), **server.root)
    have = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    for bucket in ("shared", "home"):
        if bucket not in have:
            s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="shared", Key="readme.txt", Body=b"for everyone\n", ContentType="text/plain")
    return s3


def signed_in(folder, browse, server, issuer, name="own", **more):
    run = runner(folder)
    (folder / f"{name}.toml").write_text(profile(server, issuer, **more))
    run("profile", "import", f"{name}.toml", "--name", name)
    run("login", name, env={"BROWSER": str(browse)})
    return run


@pytest.fixture(scope="module")
def admin(server):
    return root(server)


@pytest.fixture(scope="module")
def own(tmp_path_factory, server, identity, admin, browse):
    return signed_in(tmp_path_factory.mktemp("own"), browse, server, identity.issuer)


def record_of(run, name="own"):
    """What is kept of the sign-in."""
    return Kept(run.home, name)


def edit(path, change):
    record = json.loads(path.read_text())
    change(record["session"]["credentials"])
    path.write_text(json.dumps(record))


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


# ---- the commands ------------------------------------------------------------------------------------------


def test_who_and_what(own, server):
    who = json.loads(own("whoami", "--json").stdout)
    assert (who["user"], who["subject"], who["role_name"]) == ("alice@example.test", "alice", "person")
    assert who["confirmed_by_sts"] is True and who["arn"].split("/")[1:] == ["person", "alice"]
    assert [entry["name"] for entry in lines(own("ls", "--json").stdout)] == ["home", "shared"]
    assert own("cat", "s3://shared/readme.txt").stdout == "for everyone\n"


def test_a_profile_may_begin_in_a_bucket(own, server, identity):
    (own.home / "begins.toml").write_text(profile(server, identity.issuer).replace('scheme =', 'default_path = "/shared"\nscheme ='))
    own("profile", "import", "begins.toml", "--name", "own", "--replace")
    assert [entry["key"] for entry in lines(own("ls", "--json").stdout)] == ["readme.txt"]
    assert [entry["name"] for entry in lines(own("ls", "s3://", "--json").stdout)] == ["home", "shared"]
    own("profile", "import", "own.toml", "--name", "own", "--replace")


def test_a_tree_both_ways(own):
    source = own.home / "tree"
    for number in range(30):
        path = source / f"d{number % 3}" / f"ü {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 1000))
    (source / "large").write_bytes(os.urandom(40 * MIB + 5))
    up = json.loads(own("cp", "-r", "tree", "s3://home/alice/tree", "--json").stdout)
    assert (up["copied"], up["verified_by"]) == (31, "checksum")
    assert "verified by checksum" in own("cp", "-r", "s3://home/alice/tree", "back").stderr
    read = lambda folder: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert read(own.home / "back") == read(source)
    assert own("rm", "-r", "s3://home/alice/tree").stderr == "Removed 31 objects.\n"


def test_a_refusal_says_what_and_why(own):
    failed = own("cp", "-", "s3://shared/mine", input="x", code=5).stderr
    for part in ("AccessDenied", "`shared/mine`", "PutObject", "request ", "hint:"):
        assert part in failed
    document = json.loads(own("rm", "s3://shared/readme.txt", "--json", code=5).stderr)["error"]
    assert document["kind"] == "denied"
    assert own("cat", "s3://home/bob/secret", code=5).stderr.startswith("error: ")
    assert "wigeon ls s3://BUCKET" not in own("ls").stdout


@pytest.mark.parametrize("key", ["a/../b", "..", "./x", "x/.", "//two", "%2e%2e/x", "a b+c&d=e", "new\nline", "ü/\U0001f986", "q?x#y"])
def test_keys_of_every_kind(own, admin, key):
    address = f"s3://home/alice/{key}"
    own("cp", "-", address, input=key)
    assert [entry["Key"] for entry in admin.list_objects_v2(Bucket="home", Prefix="alice/")["Contents"]] == [f"alice/{key}"]
    assert own("cat", address).stdout == key
    own("cp", address, "s3://home/alice/copy")
    assert own("cat", "s3://home/alice/copy").stdout == key
    own("rm", address, "s3://home/alice/copy")
    assert "Contents" not in admin.list_objects_v2(Bucket="home", Prefix="alice/")


def test_keys_that_are_no_file_names_are_escaped_and_come_back(own, admin):
    keys = {"ok", "a/../../../escaped", "a", "//two", "-rf", "k" * 900, "new\nline"}
    for key in keys:
        own("cp", "-", f"s3://home/alice/odd/{key}", input=key)
    own("cp", "-r", "s3://home/alice/odd", "odd")
    assert (own.home / "odd" / "a‛d" / "‛.." / "‛.." / "‛.." / "escaped").read_text() == "a/../../../escaped"
    assert not [path for path in own.home.parent.rglob("escaped") if own.home / "odd" not in path.parents]
    own("cp", "-r", "odd", "s3://home/alice/even")
    listed = admin.list_objects_v2(Bucket="home", Prefix="alice/even/")["Contents"]
    assert {entry["Key"].removeprefix("alice/even/") for entry in listed} == keys
    for key in keys:
        assert own("cat", f"s3://home/alice/even/{key}").stdout == key
    own("rm", "-r", "s3://home/alice/odd")
    own("rm", "-r", "s3://home/alice/even")


def test_a_dry_run_prints_what_the_run_does(own, admin):
    (own.home / "dry/sub").mkdir(parents=True)
    for name in ("one", "sub/two"):
        (own.home / "dry" / name).write_text(name)
    (own.home / "dry/link").symlink_to("one")
    would = lines(own("cp", "-rn", "dry", "s3://home/alice/dry", "--json").stdout)
    assert not admin.list_objects_v2(Bucket="home", Prefix="alice/dry").get("Contents")
    done = lines(own("mv", "-r", "dry", "s3://home/alice/dry", "--json", "--events").stdout)
    assert {(item["source"], item["target"]) for item in would} == {(event["source"], event["target"]) for event in done if event.get("event") == "done"}
    assert done[-1]["copied"] == 2 and [event["source"] for event in done if event.get("event") == "skipped"] == ["dry/link"]
    assert sorted(path.name for path in (own.home / "dry").rglob("*")) == ["link"]
    own("rm", "-r", "s3://home/alice/dry")


def test_file_times_and_links_go_both_ways(own, admin):
    tree = own.home / "times"
    tree.mkdir()
    (tree / "file").write_text("x")
    os.utime(tree / "file", ns=(1, 1_700_000_000_123_456_789))
    (tree / "link").symlink_to("file")
    own("cp", "-r", "--times", "--links", "store", "times", "s3://home/alice/times")
    assert admin.head_object(Bucket="home", Key="alice/times/file")["Metadata"] == {"mtime": "1700000000.123456789"}
    own("cp", "-r", "--times", "--links", "store", "s3://home/alice/times", "times-back")
    assert (own.home / "times-back/file").stat().st_mtime_ns == 1_700_000_000_123_456_789
    assert os.readlink(own.home / "times-back/link") == "file"
    own("rm", "-r", "s3://home/alice/times")


def test_a_batch_of_commands(own, admin):
    (own.home / "batch").mkdir()
    for number in range(20):
        (own.home / "batch" / f"f {number}").write_text(str(number))
    own("run", "-", input="# up\n\n" + "".join(f"cp 'batch/f {number}' s3://home/alice/batch/\n" for number in range(20)))
    assert len(admin.list_objects_v2(Bucket="home", Prefix="alice/batch/")["Contents"]) == 20
    (own.home / "jobs").write_text(
        "mv 's3://home/alice/batch/f 0' s3://home/alice/moved\n"
        "rm 's3://home/alice/batch/f 1' 's3://home/alice/batch/f 2'\n"
        "cp 's3://home/alice/batch/f 3' batch-back\n"
        "cp nowhere s3://home/alice/batch/\n"
        "nonsense\n")
    would = own("run", "-n", "jobs", code=3)
    assert "would remove home/alice/batch/f 1 " in would.stdout and "2 of 6 items would fail" in would.stderr
    said = own("run", "jobs", code=3).stderr
    assert "line 4: cp nowhere" in said and "line 5: nonsense" in said and "2 removed" in said
    assert (own.home / "batch-back").read_text() == "3" and own("cat", "s3://home/alice/moved").stdout == "0"
    assert len(admin.list_objects_v2(Bucket="home", Prefix="alice/batch/")["Contents"]) == 17
    own("rm", "s3://home/alice/moved")
    own("rm", "-r", "s3://home/alice/batch")


def test_a_rate_is_kept(own):
    (own.home / "paced").write_bytes(os.urandom(3 * MIB))
    begun = time.monotonic()
    own("cp", "--limit-rate", "1M", "paced", "s3://home/alice/paced")
    own("cp", "--limit-rate", "Mon-00:00,2M Thu-12:00,2M", "s3://home/alice/paced", "paced-back")
    assert 4 < time.monotonic() - begun < 20
    assert (own.home / "paced-back").read_bytes() == (own.home / "paced").read_bytes()
    assert "08:00,2M" in own("cp", "--limit-rate", "fast", "paced", "s3://home/alice/paced", code=2).stderr
    own("rm", "s3://home/alice/paced")


def test_presigned_addresses(own):
    put = own("presign", "s3://home/alice/link", "--method", "PUT").stdout.strip()
    urllib.request.urlopen(urllib.request.Request(put, data=b"by link", method="PUT"))
    got = own("presign", "s3://home/alice/link", "--expires", "1s").stdout.strip()
    assert urllib.request.urlopen(got).read() == b"by link"
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(got)
    assert refused.value.code == 403
    assert "168h" in own("presign", "s3://home/alice/link", "--expires", "169h", code=2).stderr
    own("rm", "s3://home/alice/link")


def test_virtual_hosts(tmp_path_factory, identity, browse):
    server = Server(tmp_path_factory.mktemp("hosts"), identity, domains=("s3.localhost",))
    root(server)
    run = signed_in(tmp_path_factory.mktemp("client"), browse, server, identity.issuer, host="s3.localhost", virtual_host=True)
    for key in ("plain", "..", "a//b", "ü &="):
        run("cp", "-", f"s3://home/alice/{key}", input=key)
        assert run("cat", f"s3://home/alice/{key}").stdout == key
    assert len(lines(run("ls", "-r", "--json", "s3://home/alice/").stdout)) == 4
    link = run("presign", "s3://home/alice/plain").stdout
    assert link.startswith("http://home.s3.localhost:")
    assert server.stop() == 0


# ---- in the hands of other tools ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tools(own):
    (own.home / "aws-config").write_text(textwrap.dedent(f"""\
        [profile own]
        region = us-east-1
        credential_process = {BINARY} credentials --format process own
        """))
    return environment(own.home, AWS_PROFILE="own")


def test_credential_process_of_the_aws_cli(own, tools, server, admin):
    aws = lambda *arguments: subprocess.run(
        ["aws", "--endpoint-url", server.url, *arguments], env=tools, capture_output=True, text=True, timeout=120)
    who = aws("sts", "get-caller-identity")
    assert who.returncode == 0 and json.loads(who.stdout)["Arn"].endswith("assumed-role/person/alice"), who.stderr
    (own.home / "from aws").write_text("from aws")
    assert aws("s3", "cp", str(own.home / "from aws"), "s3://home/alice/aws").returncode == 0
    assert own("cat", "s3://home/alice/aws").stdout == "from aws"
    refused = aws("s3", "cp", str(own.home / "from aws"), "s3://shared/aws")
    assert refused.returncode == 1 and "AccessDenied" in refused.stderr
    own("rm", "s3://home/alice/aws")


def test_credential_process_of_boto3(own, tools, server):
    script = f"""
import boto3
s3 = boto3.client("s3", endpoint_url={server.url!r})
s3.put_object(Bucket="home", Key="alice/boto", Body=b"from boto3")
print(s3.get_object(Bucket="home", Key="alice/boto")["Body"].read().decode())
s3.delete_object(Bucket="home", Key="alice/boto")
"""
    done = subprocess.run([sys.executable, "-c", script], env=tools, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "from boto3\n"), done.stderr


def test_credentials_in_every_form(own, server):
    process = json.loads(own("credentials", "--format", "process").stdout)
    assert set(process) == {"Version", "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration"}
    plain = json.loads(own("credentials", "--format", "json").stdout)
    assert plain["access_key_id"] == process["AccessKeyId"] and plain["endpoint"] == f"{server.url}/"
    shell = f'eval "$({BINARY} credentials --format env)"; env'
    done = subprocess.run(["sh", "-c", shell], env=environment(own.home), capture_output=True, text=True, check=True)
    seen = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert seen["AWS_SESSION_TOKEN"] == process["SessionToken"] and seen["AWS_ENDPOINT_URL_S3"] == f"{server.url}/"
    section = own("credentials", "--format", "ini").stdout
    (own.home / "aws-credentials").write_text(section)
    script = f"import boto3; print([b['Name'] for b in boto3.Session(profile_name='own').client('s3', endpoint_url={server.url!r}).list_buckets()['Buckets']])"
    done = subprocess.run([sys.executable, "-c", script], env=environment(own.home, AWS_CONFIG_FILE="/dev/null"), capture_output=True, text=True)
    assert done.stdout == "['home', 'shared']\n", done.stderr
    (own.home / "aws-credentials").unlink()


# ---- the session -------------------------------------------------------------------------------------------


def exchanges(server):
    return sum(1 for line in server.audit() if "AssumeRoleWithWebIdentity" in json.dumps(line))


def test_many_processes_renew_once(own, server):
    edit(record_of(own), lambda credentials: credentials.update(expires_at="2020-01-01T00:00:00Z"))
    before = exchanges(server)
    together = [subprocess.Popen([BINARY, "credentials"], env=environment(own.home), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(8)]
    answers = [process.communicate(timeout=60) for process in together]
    assert all(process.returncode == 0 for process in together), answers
    assert len({json.loads(out)["AccessKeyId"] for out, _ in answers}) == 1
    assert exchanges(server) == before + 1


def test_two_processes_upload_at_once(own, admin):
    sources = []
    for name in ("one", "two"):
        (own.home / name).write_bytes(os.urandom(30 * MIB))
        sources.append(subprocess.Popen([BINARY, "cp", name, f"s3://home/alice/{name}"], cwd=own.home, env=environment(own.home),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
    assert [process.wait(timeout=60) for process in sources] == [0, 0]
    for name in ("one", "two"):
        assert admin.get_object(Bucket="home", Key=f"alice/{name}")["Body"].read() == (own.home / name).read_bytes()
    own("rm", "s3://home/alice/one", "s3://home/alice/two")


@pytest.fixture(scope="module")
def short(tmp_path_factory, browse):
    """Sessions that end with tokens of a few seconds."""
    provider = Peer("oidc-provider", OIDC_PORT=str(free_port()), OIDC_NAME="short-own", OIDC_ID_TOKEN_TTL="9")
    identity = Identity(provider)
    server = Server(tmp_path_factory.mktemp("short-server"), identity, provider="sessions_end_with_token = true")
    root(server)
    run = signed_in(tmp_path_factory.mktemp("short"), browse, server, identity.issuer)
    yield run
    server.stop()
    provider.stop()


def test_a_store_that_says_expired_early_gets_other_credentials(short):
    # By our clock the credentials have an hour left; the store knows better.
    edit(record_of(short), lambda credentials: credentials.update(
        expires_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))))
    before = json.loads(short("credentials").stdout)["AccessKeyId"]
    time.sleep(9.5)
    said = short("cat", "s3://shared/readme.txt", "-vv")
    assert said.stdout == "for everyone\n" and "expired" in said.stderr
    after = json.loads(short("credentials").stdout)["AccessKeyId"]
    assert after != before


def test_tokens_are_refreshed_without_a_browser(short):
    seen = set()
    for _ in range(2):
        seen.add(json.loads(short("credentials").stdout)["AccessKeyId"])
        time.sleep(8)
    seen.add(json.loads(short("credentials").stdout)["AccessKeyId"])
    assert len(seen) == 3


def test_a_session_that_ends_in_the_middle_is_no_event(short):
    source = short.home / "both-ways"
    source.write_bytes(os.urandom(40 * MIB))
    short("cp", "both-ways", "s3://home/alice/there")
    before = json.loads(short("credentials").stdout)["AccessKeyId"]
    begun = time.monotonic()
    start = lambda *arguments: subprocess.Popen(
        [BINARY, "cp", "--json", "--limit-rate", "3M", *arguments], cwd=short.home, env=environment(short.home),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    both = [start("both-ways", "s3://home/alice/slow"), start("s3://home/alice/there", "back")]
    for process in both:
        said, errors = process.communicate(timeout=90)
        assert process.returncode == 0, errors
        assert json.loads(said)["verified_by"] == "checksum" and json.loads(said)["resumed_bytes"] == 0
    # Each took longer than a session lives.
    assert time.monotonic() - begun > 11
    assert json.loads(short("credentials").stdout)["AccessKeyId"] != before
    assert (short.home / "back").read_bytes() == source.read_bytes()
    assert short("cat", "s3://home/alice/slow", binary=True).stdout == source.read_bytes()


# ---- interrupts --------------------------------------------------------------------------------------------


def interrupted(own, by, begun, *arguments):
    """Starts a command, sends a signal once it has begun, and hands back its exit code and its words."""
    process = subprocess.Popen([BINARY, *arguments], cwd=own.home, env=environment(own.home),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(1000):
        if begun():
            break
        time.sleep(0.01)
    process.send_signal(by)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


@pytest.fixture(scope="module")
def large(own):
    (own.home / "large").write_bytes(os.urandom(150 * MIB))
    return own.home / "large"


def parts_there(admin, least):
    def there():
        uploads = admin.list_multipart_uploads(Bucket="home").get("Uploads", [])
        return any(len(admin.list_parts(Bucket="home", Key=one["Key"], UploadId=one["UploadId"]).get("Parts", [])) >= least for one in uploads)
    return there


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL], ids=lambda by: by.name)
def test_an_interrupted_upload_goes_on(own, admin, large, by):
    admin.put_object(Bucket="home", Key="alice/large", Body=b"what was there before")
    code, errors = interrupted(own, by, parts_there(admin, 2), "cp", "--limit-rate", "60M", "large", "s3://home/alice/large")
    if by == signal.SIGKILL:
        assert code == -signal.SIGKILL
    else:
        assert code == 1 and "interrupted" in errors
    assert own("cat", "s3://home/alice/large").stdout == "what was there before"
    assert [upload["Key"] for upload in admin.list_multipart_uploads(Bucket="home")["Uploads"]] == ["alice/large"]
    done = json.loads(own("cp", "large", "s3://home/alice/large", "--json").stdout)
    assert done["resumed_bytes"] >= 16 * MIB and done["verified_by"] == "checksum"
    assert not admin.list_multipart_uploads(Bucket="home").get("Uploads")
    assert own("cat", "s3://home/alice/large", binary=True).stdout == large.read_bytes()
    own("rm", "s3://home/alice/large")


def test_without_resuming_an_interrupted_upload_leaves_nothing_behind(own, admin, large):
    code, errors = interrupted(own, signal.SIGINT, parts_there(admin, 1), "cp", "--no-resume", "--limit-rate", "60M", "large", "s3://home/alice/large")
    assert code == 1 and "interrupted" in errors
    assert not admin.list_multipart_uploads(Bucket="home").get("Uploads")


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGKILL], ids=lambda by: by.name)
def test_an_interrupted_download_goes_on(own, admin, large, by):
    admin.put_object(Bucket="home", Key="alice/large", Body=large.read_bytes())
    target = own.home / f"target-{by}"
    target.mkdir()
    (target / "large").write_text("what was there before")
    # A limit keeps it at four ranges beside each other.
    begun = lambda: any(path.stat().st_blocks * 512 > 100 * MIB for path in target.iterdir())
    code, _ = interrupted(own, by, begun, "cp", "--limit-rate", "60M", "s3://home/alice/large", f"{target}/large")
    assert code == (1 if by == signal.SIGINT else -by)
    assert (target / "large").read_text() == "what was there before"
    done = json.loads(own("cp", "s3://home/alice/large", f"{target}/large", "--json").stdout)
    assert done["resumed_bytes"] >= 8 * MIB
    assert (target / "large").read_bytes() == large.read_bytes()
    assert [path.name for path in target.iterdir()] == ["large"]
    own("rm", "s3://home/alice/large")


# ---- bad weather -------------------------------------------------------------------------------------------


def test_a_tree_through_bad_weather(tmp_path, own, server, identity, browse, storm):
    stormy = storm(server.url)
    run = runner(tmp_path)
    fair_port, stormy_port = (url.rsplit(":", 1)[1] for url in (server.url, stormy))
    text = profile(server, identity.issuer).replace(f"default_port = {fair_port}", f"default_port = {stormy_port}")
    (tmp_path / "stormy.toml").write_text(text)
    run("profile", "import", "stormy.toml", "--name", "stormy")
    # The sign-in goes to the provider and the STS, where the weather is fair.
    run("login", "stormy", env={"BROWSER": str(browse)})
    tree = tmp_path / "weather"
    for number in range(60):
        path = tree / f"d{number % 5}" / f"f {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 997))
    (tree / "large").write_bytes(os.urandom(40 * MIB + 3))
    read = lambda folder: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    until_done(tmp_path, "cp", "-r", "weather", "s3://home/alice/weather")
    own("cp", "-r", "s3://home/alice/weather", tmp_path / "fair")
    assert read(tmp_path / "fair") == read(tree)
    until_done(tmp_path, "cp", "-r", "s3://home/alice/weather", "back")
    assert read(tmp_path / "back") == read(tree)
    own("rm", "-r", "s3://home/alice/weather")


# ---- what people read --------------------------------------------------------------------------------------


def test_help_fits_a_terminal_and_names_everything(wigeon):
    top = wigeon("--help").stdout
    commands = re.findall(r"^  ([a-z]+)  +\S", top, re.MULTILINE)
    assert {"profile", "login", "logout", "whoami", "credentials", "ls", "cp", "mv", "run", "uploads", "cat", "rm", "mb", "rb", "stat", "presign"} <= set(commands)
    for command in commands:
        text = wigeon(command, "--help").stdout
        assert max(map(len, text.splitlines())) <= 100, command
        assert "Usage: wigeon " + command in text


def test_the_reference_names_every_command_and_option(wigeon):
    docs = pathlib.Path(__file__).resolve().parents[2] / "docs"
    reference = (docs / "commands.md").read_text()
    everywhere = set(re.findall(r"--[a-z-]+", wigeon("--help").stdout))
    for command in re.findall(r"^  ([a-z]+)  +\S", wigeon("--help").stdout.split("Options:")[0], re.MULTILINE):
        assert re.search(rf"^## (.*, )?{command}\b", reference, re.MULTILINE), command
        if command in ("serve", "demo"):
            continue
        texts = [wigeon(command, "--help").stdout]
        if command == "profile":
            texts += [wigeon("profile", action, "--help").stdout for action in re.findall(r"^  ([a-z]+)  +\S", texts[0].split("Options")[0], re.MULTILINE)]
        for option in {option for text in texts for option in re.findall(r"--[a-z-]+", text)} | everywhere - {"--help", "--version"}:
            assert option == "--help" or option in reference, f"{command} {option}"
    assert all((docs / link).exists() for link in re.findall(r"\]\(([a-z-]+\.md)\)", reference))
