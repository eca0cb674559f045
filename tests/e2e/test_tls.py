"""The listener with a certificate of a private authority: tools, renewal, HTTP/2."""

import socket
import ssl
import subprocess
import sys
import time

import boto3
import pytest
from botocore.exceptions import SSLError

from conftest import Certificates, Server, environment


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(tmp_path_factory, identity, certificates):
    server = Server(tmp_path_factory.mktemp("secure"), identity, tls=certificates)
    root = boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", verify=str(certificates.ca), **server.root)
    for bucket in ("shared", "home"):
        root.create_bucket(Bucket=bucket)
    root.put_object(Bucket="shared", Key="readme.txt", Body=b"over TLS\n")
    yield server
    assert server.stop() == 0


def test_boto3_with_and_without_the_authority(secure, certificates):
    good = boto3.client("s3", endpoint_url=secure.url, region_name="us-east-1", verify=str(certificates.ca), **secure.root)
    # Over https, boto3 sends unsigned chunks with a checksum in the trailer.
    good.put_object(Bucket="home", Key="alice/trailer", Body=b"x" * 100_000)
    assert good.get_object(Bucket="home", Key="alice/trailer")["Body"].read() == b"x" * 100_000
    other = boto3.client("s3", endpoint_url=secure.url, region_name="us-east-1", **secure.root)
    with pytest.raises(SSLError):
        other.list_buckets()


def test_object_store_exchanges_by_itself(secure, certificates, identity, tmp_path):
    """It sends the parameters in the query of an empty POST, and only over https."""
    token = tmp_path / "token"
    token.write_text(identity.token())
    program = f"""
import obstore
from obstore.store import S3Store
store = S3Store("shared", endpoint={secure.url!r}, region="us-east-1", virtual_hosted_style_request=False,
                client_options={{"root_certificate": open({str(certificates.ca)!r}, "rb").read()}})
print(bytes(obstore.get(store, "readme.txt").bytes()).decode(), end="")
"""
    env = environment(
        tmp_path, AWS_ROLE_ARN=secure.role, AWS_ROLE_SESSION_NAME="obstore", AWS_WEB_IDENTITY_TOKEN_FILE=str(token),
        AWS_ENDPOINT_URL_STS=secure.url,
    )
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True)
    assert done.stdout == "over TLS\n", done.stderr


def test_http_2(secure, certificates):
    def fetch(*more):
        command = ["curl", "-sS", "--cacert", certificates.ca, "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *more]
        return subprocess.run([*command, f"{secure.url}/healthz"], check=True, capture_output=True, text=True).stdout

    assert fetch("--http2") == "2 200"
    assert fetch("--http1.1") == "1.1 200"


def test_a_renewed_certificate_is_served(secure, certificates):
    def subject():
        context = ssl.create_default_context(cafile=certificates.ca)
        port = int(secure.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname="localhost") as tls:
            return dict(entry[0] for entry in tls.getpeercert()["subject"])["commonName"]

    assert subject() == "first"
    certificates.issue("second")
    for _ in range(100):
        if subject() == "second":
            break
        time.sleep(0.1)
    assert subject() == "second"
    # Nonsense in its place leaves things as they are.
    certificates.certificate.write_text("not a certificate")
    time.sleep(6)
    assert subject() == "second"
