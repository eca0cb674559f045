"""What Ceph's own tests of web identity (ceph/s3-tests, test_sts.py) expect of a server, with the `ceph` switch on: the same
situations, one after the other, in our words. docs/sts.md lists them, and where we differ on purpose."""

import json
import uuid

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from test_iam import StoredServer, allow

TAGS = {"https://aws.amazon.com/tags": {"principal_tags": {"Department": ["Engineering", "Marketing"]}}}
ENGINEERING = {"StringEquals": {"aws:RequestTag/Department": "Engineering"}}
EVERYTHING = allow("s3:*", resource="arn:aws:s3:::*")
GET, PUT = "s3:GetObject", "s3:PutObject"


def denied(call, **parameters):
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return error.value.response["Error"]["Code"] == "AccessDenied"


class Rgw:
    """The server as its administrator and its users see it; like Ceph's tests they name no region."""

    def __init__(self, server, identity):
        self.server, self.identity = server, identity
        self.issuer = identity.issuer.split("://", 1)[1]
        self.iam, self.s3 = self.client("iam"), self.client("s3")
        # No client ids: the audience is for the trust policies to say.
        made = self.iam.create_open_id_connect_provider(Url=identity.issuer, ThumbprintList=["a" * 40])
        self.provider = made["OpenIDConnectProviderArn"]
        assert self.provider == f"arn:aws:iam:::oidc-provider/{self.issuer}"

    def client(self, service, **keys):
        config = Config(retries={"max_attempts": 1})
        return boto3.client(service, endpoint_url=self.server.url, region_name="", config=config, **(keys or self.server.root))

    def bucket(self, tags=None):
        name = f"ceph-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=name)
        if tags:
            self.s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]})
        return name

    def role(self, may=EVERYTHING, condition=None, tags=()):
        """A role of the provider's people; by default of those whose token is for this client."""
        name = f"role-{uuid.uuid4().hex[:12]}"
        trusting = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"Federated": [self.provider]},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": condition or {"StringEquals": {f"{self.issuer}:app_id": "s3-cli"}}}]}
        made = self.iam.create_role(Path="/", RoleName=name, AssumeRolePolicyDocument=json.dumps(trusting), Tags=list(tags))
        assert made["Role"]["Arn"] == f"arn:aws:iam:::role/{name}"
        if may:
            self.iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=may)
        return name

    def person(self, role, policy=None, **claims):
        """S3 as somebody with a token and this role; `policy` limits the session."""
        asked = {"Policy": policy} if policy else {}
        answer = self.client("sts", aws_access_key_id="none", aws_secret_access_key="none").assume_role_with_web_identity(
            RoleArn=f"arn:aws:iam:::role/{role}", RoleSessionName="somebody", WebIdentityToken=self.identity.mint(claims), **asked)
        keys = answer["Credentials"]
        return self.client("s3", aws_access_key_id=keys["AccessKeyId"], aws_secret_access_key=keys["SecretAccessKey"],
                           aws_session_token=keys["SessionToken"])


@pytest.fixture(scope="module")
def rgw(tmp_path_factory, identity):
    server = StoredServer(tmp_path_factory.mktemp("ceph-ways"), identity, "directory = { ceph = true }\n")
    yield Rgw(server, identity)
    assert server.stop() == 0


def makes_buckets(s3):
    name = f"own-{uuid.uuid4().hex[:12]}"
    assert s3.create_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert s3.delete_bucket(Bucket=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    return True


def within(bucket):
    return [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]


@pytest.mark.parametrize("key, claims", [("app_id", {}), ("sub", {}), ("azp", {"azp": "s3-cli"})])
def test_trust_by_a_claim(rgw, key, claims):
    value = {"app_id": "s3-cli", "sub": "alice", "azp": "s3-cli"}[key]
    of = lambda value: {"StringEquals": {f"{rgw.issuer}:{key}": value}}  # noqa: E731
    assert makes_buckets(rgw.person(rgw.role(condition=of(value)), **claims))
    assert denied(rgw.person, role=rgw.role(condition=of("other")), **claims)


def test_a_session_policy_limits_and_never_grants(rgw):
    one, other = rgw.bucket(), rgw.bucket()
    on = within(one)
    # The role's and the session's policy, each limiting the other, and whether an object may be written.
    cases = [
        (allow("s3:*"), allow(GET, PUT, resource=on), True),
        (allow("s3:*"), allow(GET, resource=on), False),
        (allow(GET, PUT, resource=on), allow("s3:*"), True),
        (allow(PUT, resource=on), allow(GET, resource=on), False),
        (allow("s3:*", effect="Deny"), allow(PUT, resource=on), False),
        (allow(PUT, resource=on), allow(PUT, resource=on, effect="Deny"), False),
        (None, allow(GET, PUT, resource=on), False),
    ]
    for may, policy, written in cases:
        s3 = rgw.person(rgw.role(may), policy)
        if written:
            s3.put_object(Bucket=one, Key="test-1.txt", Body=b"this is a test file")
        else:
            assert denied(s3.put_object, Bucket=one, Key="test-1.txt", Body=b""), (may, policy)
    # What either leaves out is denied: here they have no bucket in common.
    s3 = rgw.person(rgw.role(allow("s3:*", resource=within(other))), allow(GET, PUT, resource=on))
    assert denied(s3.put_object, Bucket=one, Key="x", Body=b"") and denied(s3.put_object, Bucket=other, Key="x", Body=b"")
    # On purpose: whoever may not know of a bucket is not told that there is none.
    assert denied(s3.create_bucket, Bucket="missing-at-ceph") and denied(s3.put_object, Bucket="missing-at-ceph", Key="x", Body=b"")


@pytest.mark.parametrize("service", ["iam", "sts"])
def test_bucket_policies_that_name_a_session_or_its_role(rgw, service):
    """Ceph's policies write sessions as `arn:aws:iam:::assumed-role/…`; the ARN that its STS answers is taken as well."""
    role, policy = rgw.role(allow("s3:*")), lambda bucket: allow(PUT, resource=within(bucket))
    session = f"arn:aws:{service}:::assumed-role/{role}/somebody"

    def says(bucket, effect, principal):
        statement = {"Effect": effect, "Principal": {"AWS": principal}, "Action": [GET, PUT], "Resource": within(bucket)}
        rgw.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))

    # The role is named: what limits its session limits it here.
    bucket = rgw.bucket()
    says(bucket, "Allow", f"arn:aws:iam:::role/{role}")
    s3 = rgw.person(role, policy(bucket))
    s3.put_object(Bucket=bucket, Key="test-1.txt", Body=b"x")
    assert denied(s3.get_object, Bucket=bucket, Key="test-1.txt")
    # The session itself is named: that is beyond what the session's policy says.
    bucket = rgw.bucket()
    says(bucket, "Allow", session)
    s3 = rgw.person(role, policy(bucket))
    s3.put_object(Bucket=bucket, Key="test-1.txt", Body=b"this is a test file")
    s3.copy({"Bucket": bucket, "Key": "test-1.txt"}, bucket, "test-2.txt")
    assert s3.get_object(Bucket=bucket, Key="test-2.txt")["Body"].read() == b"this is a test file"
    says(bucket, "Deny", session)
    assert denied(rgw.person(role, policy(bucket)).put_object, Bucket=bucket, Key="test-1.txt", Body=b"")


@pytest.mark.parametrize("condition, made", [
    ({"StringEquals": {"aws:PrincipalTag/Department": "Engineering"}}, True),
    ({"ForAllValues:StringEquals": {"aws:PrincipalTag/Department": ["Engineering", "Marketing"]}}, True),
    ({"ForAllValues:StringEquals": {"aws:PrincipalTag/Department": ["Engineering"]}}, False),
    ({"ForAnyValue:StringEquals": {"aws:PrincipalTag/Department": ["Engineering"]}}, True),
    # At AWS a key of the exchange alone.
    ({"StringEquals": {"aws:TagKeys": ["Department"]}}, True),
    ({"StringEquals": {"aws:TagKeys": ["Team"]}}, False),
])
def test_tags_with_several_values(rgw, condition, made):
    role = rgw.role(allow("s3:*", resource="arn:aws:s3:::*", condition=condition), ENGINEERING)
    s3 = rgw.person(role, **TAGS)
    assert makes_buckets(s3) if made else denied(s3.create_bucket, Bucket=f"own-{uuid.uuid4().hex[:12]}")
    # Who has no such tag is not let in.
    assert denied(rgw.person, role=role)


def test_trust_by_the_keys_of_tags(rgw):
    of = lambda key: {"StringEquals": {"aws:TagKeys": key}}  # noqa: E731
    assert makes_buckets(rgw.person(rgw.role(condition=of("Department")), **TAGS))
    assert denied(rgw.person, role=rgw.role(condition=of("Team")), **TAGS)


@pytest.mark.parametrize("tags, written", [({"Department": "Engineering"}, True), (None, False), ({"Department": "Other"}, False)])
def test_tags_of_the_bucket(rgw, tags, written):
    bucket = rgw.bucket(tags)
    for value in ["Engineering", "${aws:PrincipalTag/Department}"]:
        may = allow("s3:*", resource="arn:aws:s3:::*", condition={"StringEquals": {"s3:ResourceTag/Department": [value]}})
        s3 = rgw.person(rgw.role(may, ENGINEERING), **TAGS)
        if not written:
            assert denied(s3.put_object, Bucket=bucket, Key="test-1.txt", Body=b""), value
        elif value == "Engineering":
            s3.put_object(Bucket=bucket, Key="test-1.txt", Body=b"")
            # What there is is asked for its own tags.
            assert denied(s3.get_object, Bucket=bucket, Key="test-1.txt")


def test_tags_of_objects_and_copies(rgw):
    one, other = rgw.bucket({"Department": "Engineering"}), rgw.bucket({"Department": "Engineering"})
    may = allow("s3:*", resource="arn:aws:s3:::*", condition={"StringEquals": {"s3:ResourceTag/Department": ["Engineering"]}})
    s3 = rgw.person(rgw.role(may, ENGINEERING), **TAGS)
    s3.put_object(Bucket=one, Key="test-1.txt", Body=b"x", Tagging="Department=Engineering")
    assert s3.get_object(Bucket=one, Key="test-1.txt")["Body"].read() == b"x"
    for bucket, key in [(one, "test-2.txt"), (other, "test-1.txt")]:
        s3.copy({"Bucket": one, "Key": "test-1.txt"}, bucket, key)
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"x"
    rgw.s3.put_object(Bucket=one, Key="other.txt", Body=b"x", Tagging="Department=Other")
    assert denied(s3.get_object, Bucket=one, Key="other.txt")


@pytest.mark.parametrize("key", ["iam:ResourceTag/Department", "aws:ResourceTag/Department"])
def test_trust_by_the_tags_of_the_role(rgw, key):
    condition = {"StringEquals": {key: "Engineering"}}
    assert makes_buckets(rgw.person(rgw.role(condition=condition, tags=[{"Key": "Department", "Value": "Engineering"}]), **TAGS))
    assert denied(rgw.person, role=rgw.role(condition=condition), **TAGS)


def test_a_tag_has_one_value_where_it_is_kept(rgw):
    """On purpose, as at AWS: buckets, objects and roles have each tag once."""
    twice = [{"Key": "Department", "Value": value} for value in ("Engineering", "Marketing")]
    bucket = rgw.bucket()
    for call, parameters in [(rgw.s3.put_bucket_tagging, {"Bucket": bucket, "Tagging": {"TagSet": twice}}),
                             (rgw.s3.put_object, {"Bucket": bucket, "Key": "x", "Tagging": "Department=Engineering&Department=Marketing"})]:
        with pytest.raises(ClientError) as error:
            call(**parameters)
        assert error.value.response["Error"]["Code"] in ("InvalidTag", "InvalidArgument")
    with pytest.raises(ClientError) as error:
        rgw.role(tags=twice)
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
