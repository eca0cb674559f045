"""How the server reaches a provider: a private authority, a provider that does not answer, rotated keys."""

import contextlib
import hashlib
import http.server
import json
import socket
import ssl
import subprocess
import threading
import time
import urllib.request

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import PEERS, Certificates, Identity, Peer, Server, free_port
from test_iam import StoredServer, client, trust


def exchange(server, token):
    sts = boto3.client(
        "sts", endpoint_url=server.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )
    return sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName="e2e", WebIdentityToken=token)


@pytest.fixture(scope="module")
def secure_oidc():
    peer = Peer("oidc-provider", OIDC_NAME="secure", OIDC_PORT=str(free_port()), OIDC_TLS="1")
    yield peer
    peer.stop()


class SecureIdentity(Identity):
    def token(self, user="alice", client="s3-cli", scope="openid"):
        command = [PEERS / "signin", "--issuer", self.issuer, "--client-id", client, "--user", user, "--ca", self.peer["OIDC_CA_FILE"]]
        command += ["--password", f"{user}-password", "--scope", scope, "--only", "id_token"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_a_provider_with_a_private_authority(secure_oidc, tmp_path):
    identity = SecureIdentity(secure_oidc)
    (tmp_path / "told").mkdir()
    (tmp_path / "untold").mkdir()
    token = identity.token()
    told = Server(tmp_path / "told", identity, provider=f'ca_file = "{secure_oidc["OIDC_CA_FILE"]}"')
    untold = Server(tmp_path / "untold", identity)
    try:
        assert exchange(told, token)["SubjectFromWebIdentityToken"] == "alice"
        with pytest.raises(ClientError) as error:
            exchange(untold, token)
        assert error.value.response["Error"]["Code"] == "IDPCommunicationError"
    finally:
        assert (told.stop(), untold.stop()) == (0, 0)


def test_a_provider_that_never_answers(identity, tmp_path):
    """AWS waits five seconds for a provider, and so does this server; nobody else waits with it."""
    listener = socket.create_server(("127.0.0.1", 0))
    held = []

    def hold():
        with contextlib.suppress(OSError):  # The listener is closed at the end.
            while True:
                held.append(listener.accept())

    threading.Thread(target=hold, daemon=True).start()

    class Silent:
        issuer = f"http://127.0.0.1:{listener.getsockname()[1]}"

    server = Server(tmp_path, Silent)
    try:
        token = identity.mint({"iss": Silent.issuer})
        started = time.monotonic()
        with pytest.raises(ClientError) as error:
            exchange(server, token)
        assert error.value.response["Error"]["Code"] == "IDPCommunicationError"
        assert time.monotonic() - started < 9
    finally:
        assert server.stop() == 0
        listener.close()


def test_rotated_keys_without_a_failed_request(tmp_path):
    """Tokens of the new key are taken at once, those of the old one still."""
    peer = Peer("oidc-provider", OIDC_NAME="rotating", OIDC_PORT=str(free_port()))
    identity = Identity(peer)
    server = Server(tmp_path, identity)
    try:
        old = identity.token()
        exchange(server, old)
        subprocess.run([PEERS / "oidc-provider" / "rotate"], env=peer.environment, check=True, capture_output=True)
        new = identity.token()
        exchange(server, new)
        exchange(server, old)
    finally:
        assert server.stop() == 0
        peer.stop()


class KeyServer:
    """A provider's keys at an https address of their own, with a whole chain of certificates."""

    def __init__(self, folder, identity):
        with urllib.request.urlopen(f"{identity.issuer}/.well-known/openid-configuration") as discovery:
            with urllib.request.urlopen(json.load(discovery)["jwks_uri"]) as answer:
                keys = answer.read()
        certificates = Certificates(folder)
        chain = folder / "chain.pem"
        chain.write_text(certificates.certificate.read_text() + certificates.ca.read_text())
        self.thumbprint = hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificates.ca.read_text())).hexdigest()
        self.leaf = hashlib.sha1(ssl.PEM_cert_to_DER_cert(certificates.certificate.read_text())).hexdigest()
        self.ca = certificates.ca

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(keys)))
                self.end_headers()
                self.wfile.write(keys)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, certificates.key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"https://localhost:{self.server.server_address[1]}/jwks"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(scope="module")
def key_server(tmp_path_factory, identity):
    server = KeyServer(tmp_path_factory.mktemp("keys"), identity)
    yield server
    server.stop()


def registered(server, identity, thumbprints):
    """A provider and a role that only the API makes."""
    iam = client("iam", server)
    made = iam.create_open_id_connect_provider(Url=identity.issuer, ClientIDList=["s3-cli"], ThumbprintList=thumbprints)
    iam.create_role(RoleName="person", AssumeRolePolicyDocument=trust(identity))
    return iam, made["OpenIDConnectProviderArn"]


def said(identity, *lines):
    return "\n".join(["", "[[provider]]", f'url = "{identity.issuer}"', *lines, ""])


def test_a_provider_of_the_api_with_keys_elsewhere_and_an_own_authority(key_server, identity, tmp_path):
    tables = said(identity, f'jwks_url = "{key_server.url}"', f'ca_file = "{key_server.ca}"')
    server = StoredServer(tmp_path, identity, tables=tables)
    try:
        registered(server, identity, [])
        assert exchange(server, identity.token())["SubjectFromWebIdentityToken"] == "alice"
    finally:
        assert server.stop() == 0


def test_thumbprints_where_no_authority_is_trusted(key_server, identity, tmp_path):
    """As AWS documents them: that of the last certificate of the chain, and no other's."""
    server = StoredServer(tmp_path, identity, tables=said(identity, f'jwks_url = "{key_server.url}"'))
    try:
        iam, arn = registered(server, identity, [key_server.leaf])
        with pytest.raises(ClientError) as error:
            exchange(server, identity.token())
        assert error.value.response["Error"]["Code"] == "IDPCommunicationError"
        assert key_server.thumbprint in (tmp_path / "serve.log").read_text()
        iam.update_open_id_connect_provider_thumbprint(OpenIDConnectProviderArn=arn, ThumbprintList=[key_server.thumbprint])
        assert exchange(server, identity.token())["SubjectFromWebIdentityToken"] == "alice"
    finally:
        assert server.stop() == 0


def test_fixed_keys_of_a_provider_of_the_api_change_while_the_server_runs(identity, tmp_path):
    keys = tmp_path / "keys.json"
    keys.write_text('{"keys": []}')
    server = StoredServer(tmp_path, identity, tables=said(identity, 'jwks_file = "keys.json"'))
    try:
        registered(server, identity, [])
        token = identity.token()
        with pytest.raises(ClientError) as error:
            exchange(server, token)
        assert error.value.response["Error"]["Code"] == "InvalidIdentityToken"
        with urllib.request.urlopen(f"{identity.issuer}/.well-known/openid-configuration") as discovery:
            with urllib.request.urlopen(json.load(discovery)["jwks_uri"]) as answer:
                keys.write_bytes(answer.read())
        for _ in range(50):
            try:
                assert exchange(server, token)["SubjectFromWebIdentityToken"] == "alice"
                break
            except ClientError:
                time.sleep(0.1)
        else:
            raise AssertionError("the new keys were not taken up")
    finally:
        assert server.stop() == 0
