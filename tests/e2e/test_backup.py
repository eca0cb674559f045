"""What docs/operations.md says of backups and of `--check` against a database, done as it says."""

import os
import shutil
import sqlite3
import subprocess

import boto3
import pytest

from conftest import Server
from test_nodes import Postgres, document
from test_operations import checked


def client(server, service="s3", keys=None):
    return boto3.client(service, endpoint_url=server.url, region_name="us-east-1", **(keys or server.root))


class Kept(Server):
    """A server whose directory is in a database."""

    def __init__(self, folder, identity, directory=""):
        self.directory = directory
        super().__init__(folder, identity)

    def start(self):
        config = (self.folder / "serve.toml").read_text()
        (self.folder / "serve.toml").write_text(config.replace('directory = "directory.toml"\n', self.directory))
        super().start()

    def furnish(self):
        """A bucket with objects, and somebody with an access key of his own."""
        iam, s3 = client(self, "iam"), client(self)
        iam.create_user(UserName="keeper")
        iam.put_user_policy(UserName="keeper", PolicyName="all", PolicyDocument=document("s3:*"))
        key = iam.create_access_key(UserName="keeper")["AccessKey"]
        s3.create_bucket(Bucket="kept")
        for name, size in (("small", 10), ("large", 300_000)):
            s3.put_object(Bucket="kept", Key=name, Body=name.encode() * size)
        return {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}

    def holds(self, keys):
        s3 = client(self, keys=keys)
        return all(s3.get_object(Bucket="kept", Key=name)["Body"].read() == name.encode() * size for name, size in (("small", 10), ("large", 300_000)))


@pytest.fixture
def postgres(tmp_path_factory):
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    if server.process.poll() is None:
        server.stop()


def in_database(postgres, name="wigeon"):
    return f'directory = {{ postgres = "postgres://wigeon@127.0.0.1:{postgres.port}/{name}" }}\n'


def test_a_backup_of_files_is_put_back(tmp_path, identity):
    (tmp_path / "old").mkdir()
    old = Kept(tmp_path / "old", identity)
    keys = old.furnish()
    data, backup = old.folder / "data", tmp_path / "backup"
    backup.mkdir()
    # The directory and the keys while it runs, the store when it does not.
    if shutil.which("sqlite3"):
        subprocess.run(["sqlite3", data / "directory.sqlite", f".backup {backup / 'directory.sqlite'}"], check=True)
    else:
        with sqlite3.connect(data / "directory.sqlite") as source, sqlite3.connect(backup / "directory.sqlite") as target:
            source.backup(target)
    shutil.copy2(data / "session-keys.json", backup / "session-keys.json")
    assert old.stop() == 0
    subprocess.run(["cp", "-a", data / "store", backup / "store"], check=True)
    shutil.rmtree(data)

    (tmp_path / "new").mkdir()
    new = Kept.__new__(Kept)
    shutil.copytree(backup, tmp_path / "new/data", copy_function=shutil.copy2)
    os.chmod(tmp_path / "new/data/directory.sqlite", 0o600)
    new.__init__(tmp_path / "new", identity)
    try:
        assert new.holds(keys)
        assert [user["UserName"] for user in client(new, "iam").list_users()["Users"]] == ["keeper"]
    finally:
        assert new.stop() == 0
    found = checked(new.folder)
    assert found.returncode == 0, found.stdout + found.stderr


def test_a_backup_of_a_database_is_put_back(tmp_path, identity, postgres):
    server = Kept(tmp_path, identity, in_database(postgres))
    try:
        keys = server.furnish()
        connection = ["-h", "127.0.0.1", "-p", postgres.port, "-U", "wigeon"]
        dump = postgres.folder / "directory.dump"
        postgres.run("pg_dump", *connection, "-Fc", "-f", dump, "wigeon")
        assert server.stop() == 0
        postgres.run("psql", "-q", *connection, "-d", "postgres", "-c", "CREATE DATABASE restored")
        postgres.run("pg_restore", *connection, "-d", "restored", dump)
        postgres.run("psql", "-q", *connection, "-d", "postgres", "-c", "DROP DATABASE wigeon")
        config = server.folder / "serve.toml"
        config.write_text(config.read_text().replace("/wigeon\"", "/restored\""))
        server.start()
        assert server.holds(keys)
        client(server, "iam").create_user(UserName="later")
    finally:
        assert server.stop() == 0


def test_check_looks_at_the_database(tmp_path, identity, postgres):
    server = Kept(tmp_path, identity, in_database(postgres))
    assert server.stop() == 0
    found = checked(tmp_path)
    assert found.returncode == 0, found.stdout
    assert "PostgreSQL: 0 providers, 0 roles" in found.stdout
    config = tmp_path / "serve.toml"
    told = config.read_text()
    postgres.run("psql", "-q", "-h", "127.0.0.1", "-p", postgres.port, "-U", "wigeon", "-d", "postgres", "-c", "CREATE DATABASE fresh")
    config.write_text(told.replace("/wigeon\"", "/fresh\""))
    found = checked(tmp_path)
    assert found.returncode == 0 and "its tables will be made" in found.stdout, found.stdout
    # Nothing was made by looking.
    assert "its tables will be made" in checked(tmp_path).stdout
    config.write_text(told.replace("/wigeon\"", "/missing\""))
    missing = checked(tmp_path)
    config.write_text(told)
    postgres.stop()
    for found, reason in ((missing, "missing"), (checked(tmp_path), "refused")):
        assert found.returncode == 1, found.stdout
        line = next(line for line in found.stdout.splitlines() if "directory" in line and line.startswith("FAIL"))
        assert reason in found.stdout, found.stdout
        assert "see that the database runs" in found.stdout and "wigeon@" not in line
