"""Two `wigeon serve` on one PostgreSQL, spoken to over TLS with an authority of its own."""

import os
import pathlib
import shutil
import subprocess
import time

import pytest
from botocore.exceptions import ClientError

from conftest import ACCOUNT, BINARY, Certificates, environment, free_port
from test_iam import READ, StoredServer, allow, client, exchange, refused, trust


class Database:
    """Debian's PostgreSQL in a folder of its own. It does not run as root."""

    def __init__(self, folder, tls):
        self.folder = folder
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.binaries = found[-1]
        self.owner = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"] if os.getuid() == 0 else []
        self.port = free_port()
        data = folder / "data"
        if self.owner:
            for parent in (folder, *folder.parents):
                if parent.owner() == "root" and parent.stat().st_mode & 0o005 != 0o005 and parent != pathlib.Path("/"):
                    parent.chmod(parent.stat().st_mode | 0o011)
            shutil.chown(folder, "postgres", "postgres")
        self.run("initdb", "--auth=trust", "--username=wigeon", "--no-sync", "-D", data)
        for name in (tls.certificate, tls.key):
            copy = data / name.name
            shutil.copy(name, copy)
            copy.chmod(0o600)
            if self.owner:
                shutil.chown(copy, "postgres", "postgres")
        self.log = open(folder.parent / "postgres.log", "wb")
        command = [*self.owner, self.binaries / "postgres", "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
                   "-c", f"unix_socket_directories={folder}", "-c", "fsync=off", "-c", "ssl=on",
                   "-c", f"ssl_cert_file={tls.certificate.name}", "-c", f"ssl_key_file={tls.key.name}"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd=folder)
        for _ in range(200):
            ready = subprocess.run([self.binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False)
            if ready.returncode == 0:
                return
            assert self.process.poll() is None, (folder.parent / "postgres.log").read_text()
            time.sleep(0.05)
        raise AssertionError("PostgreSQL did not start")

    def run(self, program, *arguments):
        done = subprocess.run([*self.owner, self.binaries / program, *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def database(tmp_path_factory, tls):
    if not pathlib.Path("/usr/lib/postgresql").exists():
        assert "CI" not in os.environ, "PostgreSQL is missing: apt-get install postgresql"
        pytest.skip("PostgreSQL is missing: apt-get install postgresql")
    database = Database(tmp_path_factory.mktemp("postgresql"), tls)
    yield database
    database.stop()


def home(database, ca):
    """The table of `serve.toml`: at its top, so that what follows it is moved into no table."""
    address = f"postgres://wigeon@localhost:{database.port}/postgres?sslmode=require"
    return f'directory = {{ postgres = "{address}", ca_file = "{ca}", account = "{ACCOUNT}" }}\n'


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, identity, database, tls):
    one = StoredServer(tmp_path_factory.mktemp("one"), identity, home(database, tls.ca))
    folder = tmp_path_factory.mktemp("two")
    (folder / "data").mkdir()
    shutil.copy(one.folder / "data" / "session-keys.json", folder / "data" / "session-keys.json")
    two = StoredServer(folder, identity, home(database, tls.ca))
    yield one, two
    assert (one.stop(), two.stop()) == (0, 0)


def within(seconds, happens):
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.02)


def test_a_change_on_one_node_acts_on_the_other(nodes, identity):
    one, two = nodes
    iam = client("iam", one)
    iam.create_open_id_connect_provider(Url=identity.issuer, ClientIDList=["s3-cli"])
    iam.create_role(RoleName="person", AssumeRolePolicyDocument=trust(identity))
    there = lambda: [role["RoleName"] for role in client("iam", two).list_roles()["Roles"]] == ["person"]
    within(1, there)
    # A session from one works at the other, by the policy that the first was given a moment ago.
    keys = exchange(one, "person", identity.token())
    listed = lambda: refused(client("s3", two, keys).list_buckets)
    assert listed() == ("AccessDenied", 403)
    iam.put_role_policy(RoleName="person", PolicyName="list", PolicyDocument=allow("s3:ListAllMyBuckets"))

    def may():
        try:
            client("s3", two, keys).list_buckets()
        except ClientError:
            return False
        return True

    within(1, may)
    # And the other way round: a role made on the second is assumed at the first.
    client("iam", two).create_role(RoleName="other", AssumeRolePolicyDocument=trust(identity))

    def assumed():
        try:
            exchange(one, "other", identity.token())
        except ClientError:
            return False
        return True

    within(2, assumed)


def test_revocations_cross(nodes, identity):
    one, two = nodes
    keys = exchange(two, "person", identity.token())
    client("sts", one, keys).get_caller_identity()
    variables = {"AWS_ACCESS_KEY_ID": one.root["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": one.root["aws_secret_access_key"]}
    command = [BINARY, "revoke", "--endpoint", one.url, "session", keys["aws_access_key_id"]]
    done = subprocess.run(command, env=environment(one.folder, **variables), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    def over():
        try:
            client("sts", two, keys).get_caller_identity()
        except Exception as error:
            assert "InvalidClientTokenId" in str(error)
            return True
        return False

    within(1, over)


def test_a_database_under_another_authority_is_refused(tmp_path_factory, identity, database, tls):
    other = Certificates(tmp_path_factory.mktemp("other"))
    folder = tmp_path_factory.mktemp("refused")
    with pytest.raises(AssertionError, match="certificate|UnknownIssuer"):
        StoredServer(folder, identity, home(database, other.ca))
    # Under another name than the certificate's, too.
    named = tmp_path_factory.mktemp("named")
    wrong = home(database, tls.ca).replace("@localhost:", "@127.0.0.2:")
    with pytest.raises(AssertionError):
        StoredServer(named, identity, wrong)
