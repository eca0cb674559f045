"""Three gateways over one directory in PostgreSQL, one key ring and one Ceph RGW: any of them will do, and none is missed."""

import glob
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import boto3
import pytest
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from conftest import BINARY, Server, environment, free_port, upstream_table

NODES = 3


class Postgres:
    """A database server of its own; it does not run as root."""

    def __init__(self, folder):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), reverse=True) or [shutil.which("postgres")]
        assert found[0], "PostgreSQL is missing: tests/e2e/run installs it"
        self.programs, self.folder, self.port = pathlib.Path(found[0]).parent, folder, free_port()
        self.owner = []
        if os.geteuid() == 0:
            self.owner = ["setpriv", "--reuid", "postgres", "--regid", "postgres", "--clear-groups"]
            subprocess.run(["chown", "postgres", folder], check=True)
        self.let_in()
        self.run("initdb", "--auth=trust", "--username=wigeon", "--no-sync", "-D", folder / "data")
        self.start()
        self.run("psql", "-q", "-h", "127.0.0.1", "-p", self.port, "-U", "wigeon", "-d", "postgres", "-c", "CREATE DATABASE wigeon")

    def run(self, program, *arguments):
        done = subprocess.run([*self.owner, self.programs / program, *map(str, arguments)], cwd="/", stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def let_in(self):
        """Its user has to get through to its folder; another run of pytest closes the one that they share."""
        for parent in self.folder.parents:
            if self.owner and parent.stat().st_uid == 0 and parent != pathlib.Path("/") and not parent.stat().st_mode & 0o001:
                parent.chmod(parent.stat().st_mode | 0o011)

    def start(self):
        self.let_in()
        command = [*self.owner, self.programs / "postgres", "-D", self.folder / "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", "", "-c", "fsync=off"]
        self.process = subprocess.Popen(command, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        ready = [self.programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "wigeon", "-d", "postgres"]
        # On a busy machine that takes a while.
        for _ in range(1200):
            if subprocess.run(ready).returncode == 0:
                return
            time.sleep(0.05)
        raise AssertionError("PostgreSQL did not start")

    def stop(self):
        # Its fast way: connections are cut, not waited for.
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


class Node(Server):
    """A gateway whose directory is the database, and whose keys are those of the others."""

    def __init__(self, folder, identity, postgres, keys, rgw):
        self.directory = f'directory = {{ postgres = "postgres://wigeon@127.0.0.1:{postgres.port}/wigeon" }}\nsession_keys = "{keys}"\n'
        super().__init__(folder, identity, tables=upstream_table(rgw, folder))

    def start(self):
        config = (self.folder / "serve.toml").read_text()
        (self.folder / "serve.toml").write_text(config.replace('directory = "directory.toml"\n', self.directory))
        super().start()


class Balancer:
    """What stands before the nodes: hands each connection to the next node that takes it."""

    def __init__(self, nodes):
        self.addresses = [node.address.split(":") for node in nodes]
        self.next = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        for _ in range(NODES):
            host, port = self.addresses[self.next % NODES]
            self.next += 1
            try:
                server = socket.create_connection((host, int(port)), timeout=5)
                break
            except OSError:
                continue
        else:
            client.close()
            return
        server.settimeout(None)
        back = threading.Thread(target=self.pump, args=(server, client), daemon=True)
        back.start()
        self.pump(client, server)
        back.join()
        client.close()
        server.close()

    @staticmethod
    def pump(source, target):
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def stop(self):
        self.listener.close()


def client(service, url, keys, attempts=1):
    settings = Config(retries={"max_attempts": attempts, "mode": "standard"}, s3={"addressing_style": "path"}, connect_timeout=5, read_timeout=20)
    return boto3.client(service, endpoint_url=url, region_name="us-east-1", config=settings, **keys)


def session(url, role, identity, attempts=1):
    sts = client("sts", url, {"aws_access_key_id": "x", "aws_secret_access_key": "x"}, attempts)
    keys = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="nodes", WebIdentityToken=identity.token())["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "aws_session_token": keys["SessionToken"]}


def document(*actions, effect="Allow"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": list(actions), "Resource": "*"}]})


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def nodes(tmp_path_factory, postgres, identity, rgw):
    keys = tmp_path_factory.mktemp("keys") / "session-keys.json"
    nodes = [Node(tmp_path_factory.mktemp(f"node{number}"), identity, postgres, keys, rgw) for number in range(NODES)]
    iam = client("iam", nodes[0].url, nodes[0].root)
    iam.create_open_id_connect_provider(Url=identity.issuer, ClientIDList=["s3-cli"], ThumbprintList=["a" * 40])
    name = identity.issuer.split("://", 1)[1]
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Federated": f"arn:aws:iam::000000000000:oidc-provider/{name}"},
        "Action": "sts:AssumeRoleWithWebIdentity", "Condition": {"StringEquals": {f"{name}:aud": "s3-cli"}}}]}
    role = iam.create_role(RoleName="person", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="person", PolicyName="all", PolicyDocument=document("s3:*"))
    client("s3", nodes[0].url, nodes[0].root).create_bucket(Bucket="nodes")
    for node in nodes:
        node.role = role
        eventually(lambda: client("s3", node.url, session(node.url, role, identity)).head_bucket(Bucket="nodes"))
    yield nodes
    admin = client("s3", nodes[0].url, nodes[0].root)
    for page in admin.get_paginator("list_objects_v2").paginate(Bucket="nodes"):
        for item in page.get("Contents", []):
            admin.delete_object(Bucket="nodes", Key=item["Key"])
    admin.delete_bucket(Bucket="nodes")
    for node in nodes:
        assert node.stop() == 0


def eventually(check, seconds=15):
    end = time.monotonic() + seconds
    while True:
        try:
            return check()
        except (ClientError, BotoCoreError, AssertionError, pytest.fail.Exception):
            if time.monotonic() > end:
                raise
            time.sleep(0.1)


def test_a_session_of_one_works_on_the_others(nodes, identity):
    keys = session(nodes[0].url, nodes[0].role, identity)
    for number, node in enumerate(nodes):
        client("s3", node.url, keys).put_object(Bucket="nodes", Key=f"from-{number}", Body=b"x")
        listed = client("s3", nodes[-1 - number].url, keys).list_objects_v2(Bucket="nodes", Prefix="from-")
        assert listed["KeyCount"] == number + 1


def test_a_change_at_one_acts_on_the_others(nodes, identity):
    keys = session(nodes[0].url, nodes[0].role, identity)
    iam = client("iam", nodes[1].url, nodes[1].root)
    iam.put_role_policy(RoleName="person", PolicyName="deny", PolicyDocument=document("s3:DeleteObject", effect="Deny"))
    try:
        for node in nodes:
            def refused():
                with pytest.raises(ClientError):
                    client("s3", node.url, keys).delete_object(Bucket="nodes", Key="none")
            eventually(refused)
    finally:
        iam.delete_role_policy(RoleName="person", PolicyName="deny")
    for node in nodes:
        eventually(lambda: client("s3", node.url, keys).delete_object(Bucket="nodes", Key="none"))


def test_a_node_that_dies_is_not_missed(nodes, identity):
    balancer = Balancer(nodes)
    keys = session(balancer.url, nodes[0].role, identity)
    failures, done, stop = [], [], threading.Event()
    in_this_thread = TransferConfig(use_threads=False)

    def work(number):
        s3 = client("s3", balancer.url, keys, attempts=8)
        body, at = os.urandom(300_000), 0
        while not stop.is_set():
            at += 1
            try:
                s3.put_object(Bucket="nodes", Key=f"load/{number}/{at % 5}", Body=body)
                # A body that breaks off is asked for again by what downloads, not by `get_object`.
                got = io.BytesIO()
                s3.download_fileobj("nodes", f"load/{number}/{at % 5}", got, Config=in_this_thread)
                assert got.getvalue() == body
                done.append(1)
            except Exception as error:
                failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1.5)
        before = len(done)
        nodes[1].process.kill()
        nodes[1].process.wait()
        time.sleep(2.5)
        without = len(done)
        nodes[1].start()
        time.sleep(1)
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=60)
        balancer.stop()
    assert failures == []
    assert 0 < before < without, "work went on without it"


def test_keys_are_rotated_while_they_run(nodes, identity):
    def rotate(*more):
        command = [BINARY, "keys", "rotate", "--config", nodes[2].folder / "serve.toml", *more]
        subprocess.run(command, env=environment(nodes[2].folder), check=True, capture_output=True)

    old = session(nodes[0].url, nodes[0].role, identity)
    key_of = lambda keys: keys["aws_session_token"][:6]
    rotate("--after", "3")
    # Before its time nobody issues with the new key; after it everybody does, and serves what the others issued.
    assert {key_of(session(node.url, node.role, identity)) for node in nodes} == {key_of(old)}
    time.sleep(3)
    for node in nodes:
        def newer():
            keys = session(node.url, node.role, identity)
            assert key_of(keys) != key_of(old)
            return keys
        fresh = eventually(newer)
        for other in nodes:
            client("s3", other.url, fresh).list_objects_v2(Bucket="nodes")
            client("s3", other.url, old).list_objects_v2(Bucket="nodes")
    # Without the old key its sessions end, everywhere.
    rotate("--after", "0", "--keep", "1")
    for node in nodes:
        def ended():
            with pytest.raises(ClientError) as error:
                client("s3", node.url, old).list_objects_v2(Bucket="nodes")
            assert error.value.response["Error"]["Code"] in ("InvalidToken", "ExpiredToken")
        eventually(ended)
        client("s3", node.url, session(node.url, node.role, identity)).list_objects_v2(Bucket="nodes")


def test_data_requests_go_on_without_the_database(nodes, postgres, identity):
    seconds = int(os.environ.get("WIGEON_DATABASE_AWAY", "15"))
    keys = session(nodes[0].url, nodes[0].role, identity)
    postgres.stop()
    try:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for node in nodes:
                s3 = client("s3", node.url, keys)
                s3.put_object(Bucket="nodes", Key="without", Body=b"database")
                assert s3.get_object(Bucket="nodes", Key="without")["Body"].read() == b"database"
            # Nor does an exchange need it: what it asks of the directory is in memory.
            session(nodes[1].url, nodes[1].role, identity)
            time.sleep(0.5)
        with pytest.raises(ClientError):
            client("iam", nodes[0].url, nodes[0].root).create_user(UserName="nobody")
    finally:
        postgres.start()
    iam = client("iam", nodes[0].url, nodes[0].root)
    eventually(lambda: iam.put_role_policy(RoleName="person", PolicyName="late", PolicyDocument=document("s3:PutObject", effect="Deny")), 30)
    for node in nodes:
        def changed():
            with pytest.raises(ClientError):
                client("s3", node.url, keys).put_object(Bucket="nodes", Key="late", Body=b"")
        eventually(changed, 30)
    iam.delete_role_policy(RoleName="person", PolicyName="late")
