"""How the server reaches a provider: a private authority, a provider that does not answer, rotated keys."""

import socket
import subprocess
import threading
import time

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from conftest import PEERS, Identity, Peer, Server, free_port


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
    threading.Thread(target=lambda: [held.append(listener.accept()) for _ in range(20)], daemon=True).start()

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
