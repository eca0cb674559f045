"""Every tool, every way to credentials: the cells of the table in docs/tools.md, and a job that outlives its sessions."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import textwrap
import time

import boto3
import pytest

from conftest import BINARY, Certificates, Identity, Peer, Server, environment, free_port
from test_client_with_wigeon import root, signed_in

CONTENT = "for everyone\n"
TOOLS = ("aws-cli", "boto3", "s3fs", "s5cmd", "rclone", "pyarrow", "obstore", "polars", "DuckDB", "Terraform")
WAYS = ("container", "credential_process", "web identity")
# Each program reads s3://shared/readme.txt and prints it. `{url}` is the endpoint, `{host}` without the scheme.
PYTHON = {
    "boto3": "import boto3; print(boto3.client('s3', endpoint_url='{url}').get_object(Bucket='shared', Key='readme.txt')['Body'].read().decode(), end='')",
    "s3fs": "import s3fs; print(s3fs.S3FileSystem(endpoint_url='{url}').cat('shared/readme.txt').decode(), end='')",
    # As `wigeon setup polars` prints it: boto3 is asked for credentials. By itself it takes what obstore does.
    "polars": """
        import polars as pl
        options = {{'aws_endpoint_url': '{url}', 'aws_region': 'us-east-1', 'aws_virtual_hosted_style_request': 'false', 'aws_allow_http': 'true'}}
        print(pl.scan_csv('s3://shared/readme.txt', has_header=False, storage_options=options, credential_provider=pl.CredentialProviderAWS()).collect().item())""",
    "pyarrow": """
        from pyarrow import fs
        s3 = fs.S3FileSystem(region='us-east-1', endpoint_override='{host}', scheme='http')
        print(s3.open_input_stream('shared/readme.txt').read().decode(), end='')""",
    "obstore": """
        import obstore, os
        from obstore.store import S3Store
        options = {{'root_certificate': open(os.environ['CA_FILE'], 'rb').read()}} if 'CA_FILE' in os.environ else {{'allow_http': True}}
        store = S3Store('shared', endpoint='{url}', region='us-east-1', virtual_hosted_style_request=False, client_options=options)
        print(bytes(obstore.get(store, 'readme.txt').bytes()).decode(), end='')""",
    "DuckDB": """
        import duckdb, duckdb_extension_aws, duckdb_extension_httpfs, pathlib
        db = duckdb.connect()
        for package in (duckdb_extension_httpfs, duckdb_extension_aws):
            [file] = pathlib.Path(package.__file__).parent.glob('extensions/*/*.duckdb_extension')
            db.install_extension(str(file), force_install=True)
            db.load_extension(file.name.split('.')[0])
        db.execute("CREATE SECRET (TYPE s3, PROVIDER credential_chain, {chain}ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false, REGION 'us-east-1')")
        print(db.execute("SELECT content FROM read_text('s3://shared/readme.txt')").fetchone()[0], end='')""",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory, server, identity, browse):
    root(server).put_object(Bucket="shared", Key="terraform.tfstate", Body=json.dumps(STATE).encode())
    run = signed_in(tmp_path_factory.mktemp("matrix"), browse, server, identity.issuer)
    run("setup", "aws", "own")
    run("setup", "rclone", "own")
    yield run
    root(server).delete_object(Bucket="shared", Key="terraform.tfstate")


def python_of(tool):
    """s3fs has an environment of its own."""
    return os.environ["WIGEON_E2E_S3FS"] if tool.startswith("s3fs") else sys.executable


def terraform(url):
    """Terraform's own S3 backend, which needs no plug-in: the output of a state that lies in the bucket."""
    if shutil.which("terraform") is None:
        pytest.skip("there is no terraform here, and no registry that these tests install from has it")
    backend = textwrap.dedent(f"""
        terraform {{
          backend "s3" {{
            bucket                      = "shared"
            key                         = "terraform.tfstate"
            region                      = "us-east-1"
            endpoints                   = {{ s3 = "{url}", sts = "{url}" }}
            use_path_style              = true
            skip_requesting_account_id  = true
            skip_credentials_validation = true
          }}
        }}
        """)
    script = 'd=$(mktemp -d) && cd "$d" && printf %s "$1" > main.tf && terraform init -input=false >&2 && terraform output -raw text'
    return ["sh", "-c", script, "sh", backend]


STATE = {"version": 4, "terraform_version": "1.0.0", "serial": 1, "lineage": "7a9d1d1e-0000-4000-8000-000000000000", "resources": [],
         "outputs": {"text": {"value": CONTENT, "type": "string"}}}


@pytest.fixture(scope="module")
def secure(tmp_path_factory, identity):
    """For the tool that asks an STS over https only."""
    certificates = Certificates(tmp_path_factory.mktemp("matrix-certificates"))
    server = Server(tmp_path_factory.mktemp("matrix-secure"), identity, tls=certificates)
    admin = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", verify=str(certificates.ca), **server.root)
    admin.create_bucket(Bucket="shared")
    admin.put_object(Bucket="shared", Key="readme.txt", Body=CONTENT.encode())
    server.ca = certificates.ca
    yield server
    server.stop()


def command(tool, way, server):
    url, host = server.url, server.url.split("://")[1]
    if tool == "aws-cli":
        return ["aws", "--endpoint-url", url, "s3", "cp", "s3://shared/readme.txt", "-"]
    if tool == "s5cmd":
        return ["s5cmd", "--endpoint-url", url, "cat", "s3://shared/readme.txt"]
    if tool == "rclone":
        # The remote of `setup rclone`, and the one that `exec` makes.
        return ["rclone", "cat", f"{'own' if way == 'credential_process' else 'wigeon'}:shared/readme.txt", "--retries", "1"]
    if tool == "Terraform":
        return terraform(url)
    chain = "CHAIN 'process', PROFILE 'own', " if way == "credential_process" else "CHAIN 'sts', " if way == "web identity" else ""
    return [python_of(tool), "-c", textwrap.dedent(PYTHON[tool]).format(url=url, host=host, chain=chain)]


def read(tool, way, own, server, identity):
    env = environment(own.home)
    program = command(tool, way, server)
    if way == "container":
        program = [BINARY, "exec", "own", "--", *program]
    elif way == "credential_process":
        env |= {"AWS_PROFILE": "own"}
    else:
        token = own.home / "token"
        token.write_text(identity.token())
        env |= {
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": server.role, "AWS_ROLE_SESSION_NAME": "matrix",
            "AWS_ENDPOINT_URL_STS": server.url, "AWS_ENDPOINT_URL_S3": server.url, "AWS_CONFIG_FILE": "/dev/null",
            "RCLONE_CONFIG_WIGEON_TYPE": "s3", "RCLONE_CONFIG_WIGEON_PROVIDER": "Other", "RCLONE_CONFIG_WIGEON_ENV_AUTH": "true",
            "RCLONE_CONFIG_WIGEON_ENDPOINT": server.url, "RCLONE_CONFIG_WIGEON_REGION": "us-east-1", "RCLONE_CONFIG": "/dev/null",
            # What goes astray goes nowhere: the real STS is not to hear of a test.
            "HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9",
        }
    env["HOME"] = str(own.home)
    if server.trust:
        env |= {"CA_FILE": str(server.ca), "NO_PROXY": "localhost", "no_proxy": "localhost"}
    try:
        return subprocess.run(program, env=env, cwd=own.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 if way == "web identity" else 90)
    except subprocess.TimeoutExpired as late:
        # The C++ SDK says what went wrong, and then waits for AWS's own STS.
        return subprocess.CompletedProcess(program, -9, "", str(late.stderr))


def documented():
    """The table of docs/tools.md: (tool, way) → ✔ or ✘."""
    text = (pathlib.Path(__file__).resolve().parents[2] / "docs/tools.md").read_text()
    rows = re.findall(r"^\| ([A-Za-z0-9-]+) \| ([✔✘])[^|]*\| ([✔✘])[^|]*\| ([✔✘])[^|]*\|", text, re.MULTILINE)
    return {(tool, way): mark for tool, *marks in rows for way, mark in zip(WAYS, marks)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.replace(" ", "-"))
@pytest.mark.parametrize("tool", TOOLS)
def test_a_cell(tool, way, own, server, identity, secure):
    server = secure if (tool, way) == ("obstore", "web identity") else server
    done = read(tool, way, own, server, identity)
    works = done.returncode == 0 and done.stdout == CONTENT
    assert documented()[tool, way] == ("✔" if works else "✘"), f"{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("variable", ["AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"])
def test_either_form_of_the_token_is_enough(variable, own, server):
    script = f"unset {variable}; aws --endpoint-url {server.url} s3 cp s3://shared/readme.txt -"
    assert own("exec", "own", "--", "sh", "-c", script).stdout == CONTENT


# ---- a job that outlives its sessions ----------------------------------------------------------------------


TTL = 9
JOBS = {
    "boto3": """
        import boto3, sys, time
        s3 = boto3.client('s3', endpoint_url='{url}')
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            assert s3.get_object(Bucket='shared', Key='readme.txt')['Body'].read() == b'for everyone\\n'
            done += 1
            time.sleep(0.3)
        print(done)""",
    "pyarrow": """
        import time
        from pyarrow import fs
        s3 = fs.S3FileSystem(region='us-east-1', endpoint_override='{host}', scheme='http')
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            assert s3.open_input_stream('shared/readme.txt').read() == b'for everyone\\n'
            done += 1
            time.sleep(0.3)
        print(done)""",
    "obstore": """
        import time, obstore
        from obstore.store import S3Store
        store = S3Store('shared', endpoint='{url}', region='us-east-1', virtual_hosted_style_request=False, client_options={{'allow_http': True}})
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            assert bytes(obstore.get(store, 'readme.txt').bytes()) == b'for everyone\\n'
            done += 1
            time.sleep(0.3)
        print(done)""",
    "s3fs": """
        import s3fs, time
        s3 = s3fs.S3FileSystem(endpoint_url='{url}', use_listings_cache=False)
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            assert s3.cat('shared/readme.txt') == b'for everyone\\n'
            done += 1
            time.sleep(0.3)
        print(done)""",
    "polars": """
        import polars as pl, time
        options = {{'aws_endpoint_url': '{url}', 'aws_region': 'us-east-1', 'aws_virtual_hosted_style_request': 'false', 'aws_allow_http': 'true'}}
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            assert pl.scan_csv('s3://shared/readme.txt', has_header=False, storage_options=options).collect().item() == 'for everyone'
            done += 1
            time.sleep(0.3)
        print(done)""",
    "minio-py": """
        import time
        from minio import Minio
        from minio.credentials import IamAwsProvider
        s3 = Minio('{host}', credentials=IamAwsProvider(), secure=False, region='us-east-1')
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            answer = s3.get_object('shared', 'readme.txt')
            assert answer.read() == b'for everyone\\n'
            answer.close()
            done += 1
            time.sleep(0.3)
        print(done)""",
    # One process, whose commands come slowly.
    "s5cmd": """
        import subprocess, time
        s5cmd = subprocess.Popen(['s5cmd', '--endpoint-url', '{url}', 'run'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        until = time.time() + {seconds}
        while time.time() < until:
            s5cmd.stdin.write('cat s3://shared/readme.txt\\n')
            s5cmd.stdin.flush()
            time.sleep(0.4)
        said = s5cmd.communicate()[0]
        assert s5cmd.returncode == 0
        print(said.count('for everyone'))""",
    # One process, which may make a request each second.
    "rclone": """
        import pathlib, subprocess
        subprocess.run(['rclone', 'copy', 'wigeon:shared/many/', 'many', '--tpslimit', '1', '--tpslimit-burst', '1', '--transfers', '1',
                        '--checkers', '1', '--retries', '1', '--low-level-retries', '1'], check=True)
        print(len(list(pathlib.Path('many').iterdir())))""",
    # A process for each request, as scripts have it.
    "aws-cli": """
        import subprocess, time
        until, done = time.time() + {seconds}, 0
        while time.time() < until:
            said = subprocess.run(['aws', '--endpoint-url', '{url}', 's3', 'cp', 's3://shared/readme.txt', '-'], check=True, capture_output=True).stdout
            assert said == b'for everyone\\n'
            done += 1
        print(done)""",
}
# How often each gets through at least; starting the AWS CLI takes a second and more.
ENOUGH = {"aws-cli": 8}


def test_a_job_spans_five_expiries_without_one_refusal(tmp_path_factory, browse):
    provider = Peer("oidc-provider", OIDC_PORT=str(free_port()), OIDC_NAME="matrix-short", OIDC_ID_TOKEN_TTL=str(TTL))
    server = None
    try:
        identity = Identity(provider)
        server = Server(tmp_path_factory.mktemp("five-server"), identity, provider="sessions_end_with_token = true")
        admin = root(server)
        for number in range(5 * TTL + 3):
            admin.put_object(Bucket="shared", Key=f"many/{number}", Body=b"one of many")
        own = signed_in(tmp_path_factory.mktemp("five"), browse, server, identity.issuer)
        own("setup", "aws", "own")
        before = len(server.audit())
        values = {"url": server.url, "host": server.url.split("://")[1], "seconds": 5 * TTL + 3}
        python = lambda tool: [python_of(tool), "-c", textwrap.dedent(JOBS[tool]).format(**values)]
        jobs = {f"{tool} in exec": subprocess.Popen([BINARY, "exec", "own", "--", *python(tool)], env=environment(own.home), cwd=own.home,
                                                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for tool in JOBS}
        jobs["boto3 with credential_process"] = subprocess.Popen(python("boto3"), env=environment(own.home, AWS_PROFILE="own"), cwd=own.home,
                                                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for name, job in jobs.items():
            out, errors = job.communicate(timeout=240)
            assert job.returncode == 0, f"{name}: {errors}"
            assert int(out) > ENOUGH.get(name.split(" in ")[0], 40), name
        lines = server.audit()[before:]
        refused = [line for line in lines if line.get("status", 200) >= 400]
        assert [(line["status"], line.get("operation"), line.get("key"), line.get("user_agent")) for line in refused] == []
        sessions = [line for line in lines if "AssumeRoleWithWebIdentity" in json.dumps(line)]
        # One renewal for all: no job has sessions of its own.
        assert 5 <= len(sessions) <= 5 * TTL // 4
    finally:
        if server:
            server.stop()
        provider.stop()
