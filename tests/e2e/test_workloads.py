"""Credentials without a browser: workloads, access keys, chains of roles, against real servers."""

import json
import textwrap

import pytest

from conftest import ACCOUNT, Server, runner


@pytest.fixture(scope="module")
def chained(tmp_path_factory, identity):
    """A server of its own, with a second role that only the first one may assume."""
    server = Server(tmp_path_factory.mktemp("chained"), identity)
    trust = {"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"AWS": server.role}, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "e-17"}}}]}
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    with open(server.folder / "directory.toml", "a") as directory:
        directory.write(textwrap.dedent(f"""\

            [[role]]
            name = "keeper"
            trust = '{json.dumps(trust)}'

            [[role.policy]]
            name = "all"
            document = '{json.dumps(everything)}'
            """))
    server.stop()
    server.start()
    yield server
    assert server.stop() == 0


def profile(server, top="", properties=""):
    host, port = server.address.split(":")
    return textwrap.dedent(f"""\
        protocol = "s3"
        vendor = "e2e"
        scheme = "http"
        default_hostname = "{host}"
        default_port = "{port}"
        sts_endpoint = "{server.url}"
        """) + top + f'\n[properties]\n"s3.bucket.virtualhost.disable" = true\n{properties}\n'


@pytest.fixture
def made(wigeon, home):
    def make(text, name="job"):
        (home / f"{name}.toml").write_text(text)
        wigeon("profile", "import", home / f"{name}.toml", "--name", name, "--replace")
        return name

    return make


def test_a_token_of_a_file_needs_no_login(server, identity, made, wigeon, home):
    token = home / "token"
    token.write_text(identity.token("bob") + "\n")
    made(profile(server, f'token = "file:{token}"\n', f'role_arn = "{server.role}"'))
    (home / "note").write_text("from a pod")
    root = {"AWS_ACCESS_KEY_ID": server.root["aws_access_key_id"], "AWS_SECRET_ACCESS_KEY": server.root["aws_secret_access_key"]}
    made(profile(server, 'credentials = "environment"\n'), "root")
    wigeon("--profile", "root", "mb", "s3://home", env=root) if "home" not in wigeon("--profile", "root", "ls", "s3://", env=root).stdout else None
    wigeon("--profile", "job", "cp", "note", "s3://home/bob/note")
    assert wigeon("--profile", "job", "cat", "s3://home/bob/note").stdout == "from a pod"
    who = json.loads(wigeon("--profile", "job", "whoami", "--json").stdout)
    assert (who["subject"], who["renews"], who["role_name"]) == ("bob", True, "person")
    # `login` is not needed, and does no harm.
    assert wigeon("login", "job").stdout.startswith("Signed in as bob (job). Role person.")
    token.unlink()
    wigeon("--profile", "job", "cat", "s3://home/bob/note")
    wigeon("logout", "job")
    assert "cannot read the token file" in wigeon("--profile", "job", "ls", "s3://", code=1).stderr


def test_awss_variables_are_enough(server, identity, tmp_path):
    wigeon = runner(tmp_path)
    token = tmp_path / "token"
    token.write_text(identity.token("alice"))
    variables = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token), "AWS_ROLE_ARN": server.role, "AWS_ROLE_SESSION_NAME": "pod-7",
        "AWS_ENDPOINT_URL_STS": server.url, "AWS_ENDPOINT_URL_S3": server.url,
    }
    who = json.loads(wigeon("whoami", "--json", env=variables).stdout)
    assert who["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/person/pod-7" and who["profile"] == "environment"
    wigeon("ls", "s3://", env=variables)
    keys = json.loads(wigeon("credentials", env=variables).stdout)
    assert keys["SessionToken"]
    assert "there is no connection profile yet" in wigeon("ls", "s3://", code=1).stderr


def test_a_variable_a_command_and_a_job_without_permission(server, identity, made, wigeon):
    token, role = identity.token("alice"), f'role_arn = "{server.role}"'
    made(profile(server, 'token = "gitlab"\n', role))
    assert json.loads(wigeon("whoami", "job", "--json", env={"GITLAB_OIDC_TOKEN": token}).stdout)["subject"] == "alice"
    wigeon("logout", "job")
    made(profile(server, 'token = "command:printenv JOB_TOKEN"\n', role))
    assert json.loads(wigeon("whoami", "job", "--json", env={"JOB_TOKEN": token}).stdout)["subject"] == "alice"
    wigeon("logout", "job")
    failed = wigeon("whoami", "job", code=1)
    assert "`printenv` failed" in failed.stderr and token not in failed.stderr
    made(profile(server, 'token = "github-actions"\n', role))
    assert "id-token: write" in wigeon("whoami", "job", code=1).stderr


def test_a_client_by_itself(server, oidc, made, wigeon):
    """A real provider's token for the client itself; its audience is one that the STS does not know, and says so."""
    top = f'token = "client-credentials"\nissuer = "{oidc["OIDC_ISSUER"]}"\nresource = "urn:s3:sts"\n'
    made(profile(server, top + 'oauth_client_id = "s3-web"\noauth_client_secret = "s3-web-secret"\n', f'role_arn = "{server.role}"'))
    refused = wigeon("whoami", "job", code=1).stderr
    assert "for `urn:s3:sts`" in refused and "subject `s3-web`" in refused


def test_a_chain_of_roles(chained, identity, made, wigeon, home):
    token = home / "token"
    token.write_text(identity.token("alice"))
    keeper = f"arn:aws:iam::{ACCOUNT}:role/keeper"
    chain = f'token = "file:{token}"\nrole_chain = "{keeper}"\n'
    made(profile(chained, chain, f'role_arn = "{chained.role}"\nexternal_id = "e-17"'))
    assert json.loads(wigeon("whoami", "job", "--json").stdout)["arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/keeper/alice"
    wigeon("mb", "s3://kept-by-keeper", "--profile", "job")
    made(profile(chained, chain, f'role_arn = "{chained.role}"'))
    wigeon("logout", "job")
    refused = wigeon("whoami", "job", code=5).stderr
    assert "AccessDenied" in refused and "keeper" in refused and "external id" in refused


def test_a_profile_for_many_stores_is_asked_which(server, wigeon, home):
    """Without the question, this store's keys would go to AWS."""
    (home / "any.toml").write_text(
        'protocol = "s3"\nvendor = "any"\nscheme = "http"\nhostname_configurable = true\nhostname_placeholder = "ID.store.example"\n')
    assert "as in `ID.store.example`" in wigeon("profile", "check", "any.toml").stdout
    wigeon("profile", "import", "any.toml", "--name", "any")
    login = ["login", "any", "--access-key-id", server.root["aws_access_key_id"]]
    secret = {"WIGEON_SECRET_KEY": server.root["aws_secret_access_key"]}
    assert "give it with --hostname HOST" in wigeon(*login, env=secret, code=2).stderr
    wigeon(*login, "--hostname", server.address, env=secret)
    wigeon("ls", "s3://")
    # It is saved: nobody is asked twice.
    wigeon(*login, env=secret)
    assert server.url in wigeon("profile", "show", "any").stdout


def test_access_keys_are_asked_for_and_kept(server, made, wigeon, home):
    made(profile(server))
    assert "Run: wigeon login job" in wigeon("ls", "s3://", code=4).stderr
    assert "--access-key-id" in wigeon("login", "job", code=2).stderr
    secret = server.root["aws_secret_access_key"]
    login = ["login", "job", "--access-key-id", server.root["aws_access_key_id"]]
    wigeon(*login, env={"WIGEON_SECRET_KEY": secret})
    wigeon("ls", "s3://")
    assert json.loads(wigeon("credentials").stdout)["SecretAccessKey"] == secret
    printed = f"process:{home}/print-keys"
    (home / "print-keys").write_text(f"#!/bin/sh\nprintf '%s' '{json.dumps({'Version': 1, 'AccessKeyId': login[-1], 'SecretAccessKey': secret})}'\n")
    (home / "print-keys").chmod(0o700)
    made(profile(server, f'credentials = "{printed}"\n'), "printed")
    wigeon("--profile", "printed", "ls", "s3://")


def test_a_profile_of_awss_own_files(server, made, wigeon, home):
    (home / "aws-credentials").write_text(
        f"[store]\naws_access_key_id = {server.root['aws_access_key_id']}\naws_secret_access_key = {server.root['aws_secret_access_key']}\n")
    made(profile(server, 'credentials = "aws:store"\n'))
    wigeon("ls", "s3://")
    made(profile(server, 'credentials = "aws:nobody"\n'))
    wigeon("logout", "job")
    assert "there is no profile `nobody`" in wigeon("ls", "s3://", code=1).stderr
