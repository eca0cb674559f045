"""S3 tools as they are, with a session of Wigeon's: over the local store, and in front of Ceph RGW.

Nothing of a tool is changed; what it is told are its own settings, documented in docs/s3-tools.md. Each puts, reads, lists,
uploads in parts, copies, deletes and presigns as far as it can.
"""

import datetime
import filecmp
import io
import os
import pathlib
import shutil
import subprocess
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import Server, environment, upstream_table

MIB = 1 << 20
TOOLS = pathlib.Path(__file__).resolve().parent
PACKAGES = pathlib.Path(os.environ.get("WIGEON_E2E_JS", "")) if os.environ.get("WIGEON_E2E_JS") else None


class Target:
    """A gateway, and alice's session there."""

    def __init__(self, server, keys):
        self.server, self.keys, self.url = server, keys, server.url
        self.host = server.address
        self.prefix = "alice/"

    def environment(self, home, **more):
        return environment(home, AWS_ACCESS_KEY_ID=self.keys["AccessKeyId"], AWS_SECRET_ACCESS_KEY=self.keys["SecretAccessKey"],
                           AWS_SESSION_TOKEN=self.keys["SessionToken"], AWS_REGION="us-east-1", AWS_ENDPOINT_URL=self.url,
                           AWS_ENDPOINT_URL_S3=self.url, **more)

    def boto(self):
        return boto3.client("s3", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id=self.keys["AccessKeyId"],
                            aws_secret_access_key=self.keys["SecretAccessKey"], aws_session_token=self.keys["SessionToken"],
                            config=Config(s3={"addressing_style": "path"}))


STATEMENTS = [
    {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"], "Resource": "arn:aws:s3:::home"},
    {"Effect": "Allow", "Action": ["s3:GetObjectTagging", "s3:GetObjectAcl", "s3:PutObjectAcl"], "Resource": "arn:aws:s3:::home/alice/*"},
]


def target(server, identity):
    admin = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **server.root)
    admin.create_bucket(Bucket="home")
    sts = boto3.client("sts", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    answer = sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="tools", WebIdentityToken=identity.token())
    return Target(server, answer["Credentials"])


@pytest.fixture(scope="module")
def local(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("tools-local"), identity, statements=STATEMENTS)
    yield target(server, identity)
    assert server.stop() == 0


@pytest.fixture(scope="module")
def ceph(tmp_path_factory, identity, rgw):
    folder = tmp_path_factory.mktemp("tools-ceph")
    # In a bucket of its own at RGW.
    more = '[[upstream.bucket]]\nname = "home"\nbucket = "tools-home"\n'
    server = Server(folder, identity, statements=STATEMENTS, tables=upstream_table(rgw, folder, more))
    yield target(server, identity)
    assert server.stop() == 0
    there = boto3.resource("s3", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1",
                           aws_access_key_id=rgw["RGW_ACCESS_KEY"], aws_secret_access_key=rgw["RGW_SECRET_KEY"]).Bucket("tools-home")
    there.objects.all().delete()
    there.delete()


@pytest.fixture(params=["local", "ceph"])
def place(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def run(place, tmp_path):
    def run(*arguments, code=0, input="", **more):
        done = subprocess.run([str(each) for each in arguments], env=place.environment(tmp_path, **more), cwd=tmp_path,
                              input=input, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    return run


@pytest.fixture
def files(tmp_path):
    """A small file and one that is uploaded in parts."""
    (tmp_path / "small").write_bytes(b"small\n")
    (tmp_path / "large").write_bytes(os.urandom(20 * MIB))
    return tmp_path


def same(one, other):
    return filecmp.cmp(one, other, shallow=False)


def fetch(url):
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read()


def test_aws_cli(run, files):
    run("aws", "s3", "cp", "small", "s3://home/alice/cli/small")
    run("aws", "s3", "cp", "large", "s3://home/alice/cli/large")
    run("aws", "s3", "cp", "s3://home/alice/cli/large", "s3://home/alice/cli/copy")
    run("aws", "s3", "cp", "s3://home/alice/cli/copy", "back")
    assert same(files / "large", files / "back")
    assert "large" in run("aws", "s3", "ls", "s3://home/alice/cli/")
    assert fetch(run("aws", "s3", "presign", "s3://home/alice/cli/small").strip()) == b"small\n"
    (files / "tree" / "deep").mkdir(parents=True)
    (files / "tree" / "deep" / "ü x").write_text("1")
    run("aws", "s3", "sync", "tree", "s3://home/alice/cli/tree")
    assert run("aws", "s3", "sync", "tree", "s3://home/alice/cli/tree") == ""
    run("aws", "s3", "rm", "--recursive", "s3://home/alice/cli/")
    run("aws", "s3", "cp", "small", "s3://home/bob/x", code=1)


def test_boto3(place, files):
    s3 = place.boto()
    s3.upload_file(str(files / "large"), "home", "alice/boto/large")
    s3.copy({"Bucket": "home", "Key": "alice/boto/large"}, "home", "alice/boto/copy")
    s3.download_file("home", "alice/boto/copy", str(files / "back"))
    assert same(files / "large", files / "back")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="home", Prefix="alice/boto/", PaginationConfig={"PageSize": 1})
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    assert keys == ["alice/boto/copy", "alice/boto/large"]
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "home", "Key": "alice/boto/copy"})
    assert len(fetch(url)) == 20 * MIB
    gone = s3.delete_objects(Bucket="home", Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == 2
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket="home", Key="bob/x")
    assert error.value.response["Error"]["Code"] == "AccessDenied"


def test_javascript(place, tmp_path):
    if PACKAGES is None:
        pytest.fail("tests/e2e/run installs the SDK's packages")
    done = subprocess.run(["node", TOOLS / "js" / "tools.mjs", place.url, "home", "alice/", PACKAGES],
                          env=place.environment(tmp_path), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


def test_rclone(run, place, files):
    settings = dict(RCLONE_CONFIG_W_TYPE="s3", RCLONE_CONFIG_W_PROVIDER="Other", RCLONE_CONFIG_W_ENV_AUTH="true",
                    RCLONE_CONFIG_W_ENDPOINT=place.url, RCLONE_CONFIG_W_REGION="us-east-1", RCLONE_CONFIG_W_NO_CHECK_BUCKET="true", RCLONE_CONFIG="/dev/null")
    rclone = lambda *arguments, **more: run("rclone", *arguments, **settings, **more)
    (files / "tree").mkdir()
    shutil.copy(files / "small", files / "tree" / "a b")
    shutil.copy(files / "large", files / "tree" / "large")
    rclone("copy", "--s3-upload-cutoff", "8M", "--s3-chunk-size", "8M", "tree", "w:home/alice/rclone")
    assert sorted(rclone("lsf", "w:home/alice/rclone").split("\n")[:-1]) == ["a b", "large"]
    rclone("check", "tree", "w:home/alice/rclone")
    rclone("copy", "w:home/alice/rclone", "w:home/alice/rclone-copy")
    rclone("check", "--download", "tree", "w:home/alice/rclone-copy")
    assert fetch(rclone("link", "w:home/alice/rclone/a b").strip()) == b"small\n"
    rclone("rcat", "w:home/alice/rclone/from-pipe", input="piped")
    assert rclone("cat", "w:home/alice/rclone/from-pipe") == "piped"
    rclone("delete", "w:home/alice/rclone")
    rclone("delete", "w:home/alice/rclone-copy")


def test_s5cmd(run, place, files):
    s5cmd = lambda *arguments, **more: run("s5cmd", "--endpoint-url", place.url, *arguments, **more)
    s5cmd("cp", "--part-size", "5", "large", "s3://home/alice/s5/large")
    s5cmd("cp", "small", "s3://home/alice/s5/small")
    assert "large" in s5cmd("ls", "s3://home/alice/s5/")
    s5cmd("cp", "s3://home/alice/s5/large", "s3://home/alice/s5/copy")
    s5cmd("cp", "s3://home/alice/s5/copy", "back")
    assert same(files / "large", files / "back")
    assert fetch(s5cmd("presign", "s3://home/alice/s5/small").strip()) == b"small\n"
    s5cmd("rm", "s3://home/alice/s5/*")
    s5cmd("cp", "small", "s3://home/bob/x", code=1)


def test_s3cmd(run, place, files):
    (files / "s3cfg").write_text("\n".join([
        "[default]", f"access_key = {place.keys['AccessKeyId']}", f"secret_key = {place.keys['SecretAccessKey']}",
        f"access_token = {place.keys['SessionToken']}", f"host_base = {place.host}", f"host_bucket = {place.host}",
        "use_https = False", "multipart_chunk_size_mb = 5", "bucket_location = us-east-1",
    ]))
    s3cmd = lambda *arguments, **more: run("s3cmd", "--config", files / "s3cfg", *arguments, **more)
    s3cmd("put", "small", "large", "s3://home/alice/s3cmd/")
    assert "s3://home/alice/s3cmd/large" in s3cmd("ls", "s3://home/alice/s3cmd/")
    s3cmd("cp", "s3://home/alice/s3cmd/large", "s3://home/alice/s3cmd/copy")
    s3cmd("get", "s3://home/alice/s3cmd/copy", "back")
    assert same(files / "large", files / "back")
    s3cmd("del", "--recursive", "--force", "s3://home/alice/s3cmd/")
    s3cmd("put", "small", "s3://home/bob/x", code=77)


def test_minio_py(place, files):
    minio = pytest.importorskip("minio")
    store = minio.Minio(place.host, access_key=place.keys["AccessKeyId"], secret_key=place.keys["SecretAccessKey"],
                        session_token=place.keys["SessionToken"], secure=False, region="us-east-1")
    assert store.bucket_exists("home")
    store.fput_object("home", "alice/minio/large", str(files / "large"), part_size=5 * MIB)
    store.put_object("home", "alice/minio/of unknown length", io.BytesIO(b"x" * 100), -1, part_size=5 * MIB)
    assert sorted(item.object_name for item in store.list_objects("home", "alice/minio/")) == [
        "alice/minio/large", "alice/minio/of unknown length"]
    store.copy_object("home", "alice/minio/copy", minio.commonconfig.CopySource("home", "alice/minio/large"))
    store.fget_object("home", "alice/minio/copy", str(files / "back"))
    assert same(files / "large", files / "back")
    assert fetch(store.presigned_get_object("home", "alice/minio/of unknown length")) == b"x" * 100
    for key in ("large", "copy", "of unknown length"):
        store.remove_object("home", f"alice/minio/{key}")
    with pytest.raises(minio.error.S3Error) as error:
        store.stat_object("home", "bob/x")
    assert error.value.code == "AccessDenied"


@pytest.fixture
def table():
    arrow = pytest.importorskip("pyarrow")
    return arrow.table({"id": list(range(200_000)), "name": [f"name {number % 97}" for number in range(200_000)]})


def test_pyarrow(place, table):
    from pyarrow import fs, parquet

    store = fs.S3FileSystem(access_key=place.keys["AccessKeyId"], secret_key=place.keys["SecretAccessKey"],
                            session_token=place.keys["SessionToken"], endpoint_override=place.host, scheme="http", region="us-east-1")
    parquet.write_table(table, "home/alice/arrow/t.parquet", filesystem=store)
    with store.open_output_stream("home/alice/arrow/large") as out:
        for _ in range(12):
            out.write(os.urandom(MIB))
    assert parquet.read_table("home/alice/arrow/t.parquet", filesystem=store, columns=["id"]).num_rows == 200_000
    listed = store.get_file_info(fs.FileSelector("home/alice/arrow"))
    assert sorted(each.base_name for each in listed) == ["large", "t.parquet"]
    store.copy_file("home/alice/arrow/t.parquet", "home/alice/arrow/copy.parquet")
    assert parquet.read_metadata("home/alice/arrow/copy.parquet", filesystem=store).num_rows == 200_000
    for name in ("t.parquet", "copy.parquet", "large"):
        store.delete_file(f"home/alice/arrow/{name}")


def test_polars_and_obstore(place, table):
    polars, obstore = pytest.importorskip("polars"), pytest.importorskip("obstore")
    options = {"aws_access_key_id": place.keys["AccessKeyId"], "aws_secret_access_key": place.keys["SecretAccessKey"],
               "aws_session_token": place.keys["SessionToken"], "aws_endpoint_url": place.url, "aws_region": "us-east-1",
               "aws_allow_http": "true"}
    frame = polars.from_arrow(table)
    frame.write_parquet("s3://home/alice/polars/t.parquet", storage_options=options)
    read = polars.scan_parquet("s3://home/alice/polars/*.parquet", storage_options=options)
    assert read.filter(polars.col("id") > 199_989).collect().height == 10
    store = obstore.store.S3Store("home", access_key_id=place.keys["AccessKeyId"], secret_access_key=place.keys["SecretAccessKey"],
                                  session_token=place.keys["SessionToken"], endpoint=place.url, region="us-east-1",
                                  client_options={"allow_http": True})
    body = os.urandom(12 * MIB)
    store.put("alice/obstore/large", body)
    assert bytes(store.get("alice/obstore/large").bytes()) == body
    assert bytes(store.get_range("alice/obstore/large", start=5, length=7)) == body[5:12]
    store.copy("alice/obstore/large", "alice/obstore/copy")
    assert sorted(each["path"] for batch in store.list("alice/obstore/") for each in batch) == ["alice/obstore/copy", "alice/obstore/large"]
    assert fetch(obstore.sign(store, "GET", "alice/obstore/copy", datetime.timedelta(minutes=1))) == body
    store.delete(["alice/obstore/large", "alice/obstore/copy", "alice/polars/t.parquet"])


def test_duckdb(place, table):
    duckdb, extension = pytest.importorskip("duckdb"), pytest.importorskip("duckdb_extension_httpfs")
    file = next(pathlib.Path(extension.__file__).parent.glob("extensions/*/httpfs.duckdb_extension"))
    database = duckdb.connect()
    database.execute(f"LOAD '{file}'")
    database.execute(f"""CREATE SECRET (TYPE s3, KEY_ID '{place.keys["AccessKeyId"]}', SECRET '{place.keys["SecretAccessKey"]}',
                         SESSION_TOKEN '{place.keys["SessionToken"]}', ENDPOINT '{place.host}', URL_STYLE 'path', USE_SSL false,
                         REGION 'us-east-1')""")
    database.register("t", table)
    database.execute("COPY t TO 's3://home/alice/duckdb/t.parquet' (FORMAT parquet)")
    assert database.execute("SELECT count(*), max(id) FROM 's3://home/alice/duckdb/*.parquet'").fetchone() == (200_000, 199_999)
    with pytest.raises(duckdb.Error):
        database.execute("SELECT * FROM 's3://home/bob/t.parquet'")
    place.boto().delete_object(Bucket="home", Key="alice/duckdb/t.parquet")
