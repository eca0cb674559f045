"""Real servers and real tools around the `wigeon` binary.

The peers (Ceph RGW, OpenID providers) are started by scripts of their own, found in
`$WIGEON_SHARED/peers`. Everything listens on loopback; what is started here is stopped here, by pid.
"""

import hashlib
import html.parser
import http.cookiejar
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import textwrap
import time
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore
import botocore.config
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

BINARY = pathlib.Path(os.environ["WIGEON_BIN"])
SHARED = pathlib.Path(os.environ["WIGEON_SHARED"])
PEERS = SHARED / "peers"
# Each run has peers of its own; what they download is kept for the next run.
CACHE = pathlib.Path(os.environ.get("WIGEON_PEERS_CACHE", "/tmp/wigeon-e2e-cache"))
STATE = pathlib.Path(os.environ.get("WIGEON_PEERS_STATE", f"/tmp/wigeon-e2e-{os.getpid()}"))
ACCOUNT = "000000000000"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(home, **more):
    """A clean environment: no credentials, profiles or proxies of the person who runs the tests."""
    keep = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **keep,
        "HOME": str(home),
        "AWS_CONFIG_FILE": str(home / "aws-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(home / "aws-credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_PAGER": "",
        **more,
    }


class Peer:
    """One of the peers, with the KEY=VALUE lines that it printed."""

    def __init__(self, name, **settings):
        script = PEERS / name / "start"
        if not script.exists():
            pytest.skip(f"no peers at {PEERS}: set WIGEON_SHARED to the folder that holds them")
        self.name = name
        self.environment = {**os.environ, "PEERS_STATE": str(STATE), **settings}
        started = subprocess.run([script], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert started.returncode == 0, started.stderr
        self.values = dict(line.split("=", 1) for line in started.stdout.splitlines() if "=" in line)

    def __getitem__(self, name):
        return self.values[name]

    def stop(self):
        subprocess.run([PEERS / self.name / "stop"], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)


@pytest.fixture(scope="session", autouse=True)
def peers_state():
    """The folder of this run's peers, with what earlier runs downloaded."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    CACHE.mkdir(mode=0o700, exist_ok=True)
    for kept in CACHE.iterdir():
        if not (STATE / kept.name).exists():
            (STATE / kept.name).symlink_to(kept)
    yield
    for made in STATE.iterdir():
        downloaded = made.name.startswith(("npm-", "venv-")) and (made / "done").exists()
        if downloaded and not made.is_symlink() and not (CACHE / made.name).exists():
            made.rename(CACHE / made.name)
    shutil.rmtree(STATE, ignore_errors=True)


@pytest.fixture(scope="session")
def oidc(peers_state):
    """panva's oidc-provider."""
    peer = Peer("oidc-provider", OIDC_PORT=str(free_port()))
    yield peer
    peer.stop()


@pytest.fixture(scope="session")
def rgw(peers_state):
    """Ceph RGW: S3, STS and IAM."""
    # A range for each run, so that two on one machine do not meet.
    base = 20000 + os.getpid() % 300 * 30
    peer = Peer(
        "ceph-rgw",
        RGW_PORT=str(free_port()),
        RGW_TLS_PORT=str(free_port()),
        CEPH_MON_PORT=str(free_port()),
        CEPH_OSD_PORT_MIN=str(base),
        CEPH_OSD_PORT_MAX=str(base + 29),
        RGW_STS_MIN_SECONDS="1",
    )
    yield peer
    peer.stop()


class Identity:
    """Tokens of an OpenID provider."""

    def __init__(self, peer):
        self.peer = peer
        self.issuer = peer["OIDC_ISSUER"]

    def token(self, user="alice", client="s3-cli", scope="openid email profile groups"):
        command = [PEERS / "signin", "--issuer", self.issuer, "--client-id", client, "--user", user]
        command += ["--password", f"{user}-password", "--scope", scope, "--only", "id_token"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def mint(self, claims, header=None):
        """Signs any claims with the provider's key."""
        command = [PEERS / "oidc-provider" / "mint", json.dumps(claims)]
        command += [json.dumps(header)] if header else []
        return subprocess.run(command, check=True, capture_output=True, text=True, env=self.peer.environment).stdout.strip()


@pytest.fixture(scope="session")
def identity(oidc):
    return Identity(oidc)


def client(server, **credentials):
    """boto3's S3 client of a server of ours."""
    return boto3.client("s3", endpoint_url=server.url, region_name="us-east-1", **credentials)


def exchanged(server, identity, session="alice"):
    """Credentials of a session of the server's role, named as boto3's clients take them."""
    unsigned = botocore.config.Config(signature_version=botocore.UNSIGNED)
    sts = boto3.client("sts", endpoint_url=server.url, region_name="us-east-1", config=unsigned)
    keys = sts.assume_role_with_web_identity(RoleArn=server.role, RoleSessionName=session, WebIdentityToken=identity.token())["Credentials"]
    return {"aws_access_key_id": keys["AccessKeyId"], "aws_secret_access_key": keys["SecretAccessKey"], "aws_session_token": keys["SessionToken"]}


class Server:
    """`wigeon serve` with a directory of its own."""

    def __init__(self, folder, identity, provider="", tls=None, domains=("localhost",),
                 key_id="AKIAWIGEONROOTKEY000", secret="e2e-root-secret-key-0000", settings='audit = "audit.jsonl"', tables="", verbose=(),
                 statements=(), variables=None):
        self.folder = folder
        self.variables = variables or {}
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"https://localhost:{self.address.split(':')[1]}" if tls else f"http://{self.address}"
        self.trust = ssl.create_default_context(cafile=tls.ca) if tls else None
        self.root = {"aws_access_key_id": key_id, "aws_secret_access_key": secret}
        issuer = identity.issuer
        name = issuer.split("://", 1)[1]
        trust = json.dumps({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{name}"},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{name}:aud": "s3-cli"}},
            }],
        })
        permissions = json.dumps({
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": ["arn:aws:s3:::shared", "arn:aws:s3:::shared/*"]},
                {"Effect": "Allow", "Action": "s3:*Object", "Resource": f"arn:aws:s3:::home/${{{name}:sub}}/*"},
                {"Effect": "Allow", "Action": ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"], "Resource": "arn:aws:s3:::home/*"},
                {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "arn:aws:s3:::home",
                 "Condition": {"StringLike": {"s3:prefix": f"${{{name}:sub}}/*"}}},
                {"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"},
                *statements,
            ],
        })
        self.role = f"arn:aws:iam::{ACCOUNT}:role/person"
        (folder / "directory.toml").write_text(textwrap.dedent(f"""\
            account = "{ACCOUNT}"

            [[provider]]
            url = "{issuer}"
            client_ids = ["s3-cli", "other-app"]
            {provider}

            [[role]]
            name = "person"
            trust = '{trust}'

            [[role.policy]]
            name = "buckets"
            document = '{permissions}'
            """))
        secret_file = folder / "root-secret"
        secret_file.write_text(secret)
        secret_file.chmod(0o600)
        (folder / "serve.toml").write_text(textwrap.dedent(f"""\
            listen = "{self.address}"
            data = "data"
            directory = "directory.toml"
            domains = {json.dumps(domains)}
            {settings}

            [root]
            access_key_id = "{key_id}"
            secret_key_file = "root-secret"
            """) + (f'[tls]\ncertificate = "{tls.certificate}"\nkey = "{tls.key}"\n' if tls else "") + tables)
        self.verbose = list(verbose)
        self.process = None
        self.start()

    def start(self):
        self.log = open(self.folder / "serve.log", "ab")
        command = [BINARY, *self.verbose, "serve", "--config", self.folder / "serve.toml"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=environment(self.folder, **self.variables))
        for _ in range(200):
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=5, context=self.trust) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                assert self.process.poll() is None, (self.folder / "serve.log").read_text()
                time.sleep(0.05)
        raise AssertionError("the server did not start")

    def stop(self):
        self.process.terminate()
        code = self.process.wait(timeout=40)
        self.log.close()
        return code

    def audit(self, request_id=None):
        """The records; of one request, once it is there: it is written when the answer's last byte has gone."""
        if request_id is not None:
            for _ in range(100):
                found = [record for record in self.audit() if record["request_id"] == request_id]
                if found:
                    return found[-1]
                time.sleep(0.05)
            raise AssertionError(f"no record of {request_id}")
        return [json.loads(line) for line in (self.folder / "audit.jsonl").read_text().splitlines()]


class Certificates:
    """An authority of its own, and a server's certificate that can be replaced."""

    def __init__(self, folder):
        self.ca, self.certificate, self.key = (folder / name for name in ("ca.pem", "server.pem", "server.key"))
        self.folder = folder
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=end-to-end authority",
                     "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.issue("first")

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def issue(self, name):
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                     "-keyout", "new.key", "-out", "new.csr", "-subj", f"/CN={name}")
        (self.folder / "names").write_text("subjectAltName=DNS:localhost,DNS:*.localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-days", "1",
                     "-CAcreateserial", "-out", "new.pem", "-extfile", "names")
        (self.folder / "new.key").replace(self.key)
        (self.folder / "new.pem").replace(self.certificate)


@pytest.fixture(scope="session")
def server(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("server"), identity)
    yield server
    assert server.stop() == 0


@pytest.fixture(scope="session")
def short_server(tmp_path_factory, identity):
    """Its sessions end when the token does that they were made from."""
    server = Server(tmp_path_factory.mktemp("short"), identity, provider="sessions_end_with_token = true")
    yield server
    assert server.stop() == 0


@pytest.fixture
def home(tmp_path):
    return tmp_path


def runner(home):
    """Runs the binary in a home of its own; gives the finished process."""

    def run(*arguments, code=0, input=None, binary=False, env=None, timeout=120):
        done = subprocess.run(
            [BINARY, *map(str, arguments)], env=environment(home, **(env or {})), cwd=home, timeout=timeout,
            input=input, stdin=subprocess.DEVNULL if input is None else None, capture_output=True, text=not binary,
        )
        assert code is None or done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    run.home = home
    return run


class Kept:
    """A sign-in as it is kept on the disk: sealed under a key of this machine (docs/sign-in.md, "Where it is kept")."""

    def __init__(self, home, profile):
        self.profile, self.sessions = profile, home / ".local/state/wigeon/sessions"
        self.folder = self.sessions / f"p-{profile}"

    @property
    def path(self):
        return self.folder / f"{(self.folder / 'current').read_text()}.sealed"

    def key(self):
        seed = bytes.fromhex((self.sessions / "keys/file").read_text())
        machine = pathlib.Path("/etc/machine-id")
        info = machine.read_text().strip().encode() if machine.exists() else b""
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=b"wigeon machine key", info=info).derive(seed)

    def about(self, head):
        return head + b"\0" + self.profile.encode() + b"\0" + self.path.stem.encode()

    def read_text(self):
        head, sealed = self.path.read_bytes().split(b"\n", 1)
        assert head == b"wigeon-sealed 1 file " + hashlib.sha256(b"wigeon key id" + self.key()).hexdigest()[:16].encode()
        return AESGCMSIV(self.key()).decrypt(sealed[:12], sealed[12:], self.about(head)).decode()

    def write_text(self, text):
        head = self.path.read_bytes().split(b"\n", 1)[0]
        nonce = os.urandom(12)
        self.path.write_bytes(head + b"\n" + nonce + AESGCMSIV(self.key()).encrypt(nonce, text.encode(), self.about(head)))


def listening(pid):
    """The local addresses on which a process listens, as the kernel tells."""
    sockets = set()
    for descriptor in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(descriptor)
        except OSError:
            continue
        if target.startswith("socket:["):
            sockets.add(target[8:-1])
    addresses = []
    for table, width in (("tcp", 8), ("tcp6", 32)):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in sockets:
                address, port = fields[1].split(":")
                family = socket.AF_INET if width == 8 else socket.AF_INET6
                packed = b"".join(bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, width, 8))
                addresses.append((socket.inet_ntop(family, packed), int(port, 16)))
    return addresses


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, installed if it is missing and this is root."""
    program = shutil.which("chromium")
    if program is None and os.geteuid() == 0 and shutil.which("apt-get"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "update", "-qq"], env=env, capture_output=True, check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], env=env, capture_output=True, check=False)
        program = shutil.which("chromium")
    if program is None:
        pytest.skip("there is no Chromium here")
    return program


@pytest.fixture
def wigeon(home):
    return runner(home)


@pytest.fixture(scope="session")
def browse():
    """A browser that signs alice in."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    subprocess.run(["cargo", "build", "--quiet", "-p", "wigeon-testkit", "--example", "browse"], cwd=root, check=True)
    return BINARY.parent / "examples" / "browse"


@pytest.fixture(scope="session")
def storm():
    """A proxy that fails, cuts, throttles and stalls a tenth of all answers."""
    root = pathlib.Path(__file__).resolve().parent.parent.parent
    subprocess.run(["cargo", "build", "--quiet", "-p", "wigeon-testkit", "--example", "faults"], cwd=root, check=True)
    running = []

    def start(url, per_mille=100, seed=1):
        process = subprocess.Popen([BINARY.parent / "examples" / "faults", url.removeprefix("http://"), str(per_mille), str(seed)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return "http://" + process.stdout.readline().strip()

    yield start
    for process in running:
        out, _ = process.communicate(timeout=10)
        assert int(out.split()[0]) > 0, "no fault has happened"


def until_done(home, *arguments):
    """Runs a command in bad weather until it has done everything; what it says in between is worth trying again."""
    for _ in range(20):
        done = subprocess.run([BINARY, *arguments], cwd=home, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0:
            return
        # Partly done, or worth trying again; an expired token that is none ends in a sign-in that is asked for.
        assert done.returncode in (3, 4, 6), done.stderr
    raise AssertionError(done.stderr)


def forms_until(address, stop, fields):
    """Follows redirects and fills in forms, as a browser on another machine, up to the redirect to `stop`."""

    class Halt(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, request, fp, code, msg, headers, newurl):
            return None

    class Form(html.parser.HTMLParser):
        def __init__(self, text):
            super().__init__()
            self.action, self.values = None, {}
            self.feed(text)

        def handle_starttag(self, tag, attributes):
            attributes = dict(attributes)
            if tag == "form" and self.action is None:
                self.action = attributes.get("action", "")
            elif tag == "input" and attributes.get("name"):
                name = attributes["name"]
                self.values[name] = fields.get(name, attributes.get("value", ""))

    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), Halt, urllib.request.HTTPCookieProcessor(jar))
    form = None
    for _ in range(20):
        try:
            answer = opener.open(address, data=form)
        except urllib.error.HTTPError as redirected:
            assert redirected.code in (301, 302, 303, 307), f"{redirected.code} {redirected.read()!r}"
            address, form = urllib.parse.urljoin(address, redirected.headers["Location"]), None
            if address.startswith(stop):
                return address
            continue
        page = Form(answer.read().decode())
        assert page.action is not None, address
        address, form = urllib.parse.urljoin(address, page.action), urllib.parse.urlencode(page.values).encode()
    raise AssertionError(f"no redirect to {stop}")


def upstream_table(rgw, folder, more="default = true\n", endpoint=None, credentials=True):
    """`[[upstream]]`: Ceph RGW behind a gateway, with RGW's own administrator key."""
    secret = folder / "rgw-secret"
    secret.write_text(rgw["RGW_SECRET_KEY"])
    secret.chmod(0o600)
    text = f'\n[[upstream]]\nname = "ceph"\nendpoint = "{endpoint or rgw["RGW_ENDPOINT"]}"\n'
    if credentials:
        text += f'credentials = {{ access_key_id = "{rgw["RGW_ACCESS_KEY"]}", secret_key_file = "rgw-secret" }}\n'
    return text + more


class RgwRole:
    """A role of RGW that may do everything in S3, for people of a provider's client `s3-cli`."""

    def __init__(self, rgw, oidc, name):
        self.name = name
        self.iam = boto3.client("iam", endpoint_url=rgw["RGW_ENDPOINT"], region_name="us-east-1",
                                aws_access_key_id=rgw["RGW_ACCESS_KEY"], aws_secret_access_key=rgw["RGW_SECRET_KEY"])
        issuer = oidc["OIDC_ISSUER"]
        host = issuer.split("://", 1)[1]
        self.provider = f"arn:aws:iam:::oidc-provider/{host}"
        trust = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": [self.provider]}, "Action": ["sts:AssumeRoleWithWebIdentity"],
            "Condition": {"StringEquals": {f"{host}:app_id": "s3-cli"}}}]}
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::*"}]}
        # Compact JSON: this RGW does not read `+` as a space.
        compact = lambda document: json.dumps(document, separators=(",", ":"))
        self.iam.create_open_id_connect_provider(Url=issuer, ClientIDList=["s3-cli"], ThumbprintList=[oidc["OIDC_THUMBPRINT"]])
        self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=compact(trust))
        self.iam.put_role_policy(RoleName=name, PolicyName="s3", PolicyDocument=compact(everything))

    def remove(self):
        self.iam.delete_role_policy(RoleName=self.name, PolicyName="s3")
        self.iam.delete_role(RoleName=self.name)
        self.iam.delete_open_id_connect_provider(OpenIDConnectProviderArn=self.provider)


@pytest.fixture(scope="session")
def rgw_role(oidc, rgw):
    role = RgwRole(rgw, oidc, "e2e-person")
    yield role.name
    role.remove()


RGW_PROFILE = """<plist version="1.1"><dict>
  <!-- as people have them: addresses, no issuer -->
  <key>Protocol</key><string>s3</string>
  <key>Vendor</key><string>lab</string>
  <key>Description</key><string>The lab</string>
  <key>Scheme</key><string>http</string>
  <key>Default Hostname</key><string>127.0.0.1</string>
  <key>Default Port</key><integer>{port}</integer>
  <key>OAuth Authorization Url</key><string>{issuer}/auth</string>
  <key>OAuth Token Url</key><string>{issuer}/token</string>
  <key>OAuth Client ID</key><string>{client}</string>
  <key>OAuth Client Secret</key><string/>
  <key>OAuth Redirect Url</key><string>http://127.0.0.1/callback</string>
  <key>Scopes</key><array><string>openid</string><string>email</string><string>offline_access</string></array>
  <key>STS Endpoint</key><string>{sts}</string>
  <key>Properties</key><array>
    <string>role_arn=arn:aws:iam:::role/{role}</string>
    <string>s3.bucket.virtualhost.disable=true</string>{properties}
  </array>
</dict></plist>
"""


def rgw_profile(rgw, oidc, role, client="s3-cli", properties=()):
    """A connection profile for RGW, as a property list."""
    port = rgw["RGW_ENDPOINT"].rsplit(":", 1)[1]
    more = "".join(f"\n    <string>{text}</string>" for text in properties)
    return RGW_PROFILE.format(port=port, issuer=oidc["OIDC_ISSUER"], client=client, sts=rgw["RGW_ENDPOINT"], role=role, properties=more)
