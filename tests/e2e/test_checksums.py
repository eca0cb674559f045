"""Checksums of every algorithm, of whole objects and of parts, held against other implementations of them."""

import base64
import functools
import hashlib
import os
import zlib

import botocore.exceptions
import pytest

from conftest import Server
from test_operations import client

WHOLE, OF_PARTS = "FULL_OBJECT", "COMPOSITE"
# CRC-32C (Castagnoli) and CRC-64/NVME, reflected.
POLYNOMIALS = {"CRC32C": (0x82F63B78, 4), "CRC64NVME": (0x9A6C9329AC4BC9B5, 8)}
# Which kinds an algorithm has of an upload in parts; the first is what it has when nobody says.
KINDS = {"CRC32": [OF_PARTS, WHOLE], "CRC32C": [OF_PARTS, WHOLE], "CRC64NVME": [WHOLE], "SHA1": [OF_PARTS], "SHA256": [OF_PARTS]}


@functools.cache
def table(polynomial):
    def entry(value):
        for _ in range(8):
            value = value >> 1 ^ (polynomial if value & 1 else 0)
        return value
    return [entry(value) for value in range(256)]


@functools.cache
def digest(algorithm, body):
    if algorithm == "CRC32":
        return zlib.crc32(body).to_bytes(4, "big")
    if algorithm in ("SHA1", "SHA256"):
        return hashlib.new(algorithm.lower(), body).digest()
    polynomial, size = POLYNOMIALS[algorithm]
    steps, value = table(polynomial), (1 << 8 * size) - 1
    for byte in body:
        value = steps[(value ^ byte) & 255] ^ value >> 8
    return (value ^ (1 << 8 * size) - 1).to_bytes(size, "big")


def text(digest):
    return base64.b64encode(digest).decode()


def code(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as refused:
        call(**arguments)
    return refused.value.response["Error"]["Code"]


@pytest.fixture(scope="module")
def s3(tmp_path_factory, identity):
    server = Server(tmp_path_factory.mktemp("checksums"), identity)
    s3 = client(server)
    s3.create_bucket(Bucket="sums")
    yield s3
    assert server.stop() == 0


@pytest.fixture(scope="module")
def parts():
    return [os.urandom(5 << 20), os.urandom(1000)]


@pytest.mark.parametrize("algorithm", KINDS)
def test_one_piece(s3, algorithm):
    name = f"Checksum{algorithm}"
    body = os.urandom(50_000)
    assert digest(algorithm, b"123456789").hex() == {"CRC32": "cbf43926", "CRC32C": "e3069283", "CRC64NVME": "ae8b14860a799888", "SHA1": "f7c3bc1d808e04732adf679965ccc34ca7ae3441", "SHA256": "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"}[algorithm]
    expected = text(digest(algorithm, body))
    put = s3.put_object(Bucket="sums", Key=algorithm, Body=body, **{name: expected})
    assert (put[name], put["ChecksumType"]) == (expected, WHOLE)
    head = s3.head_object(Bucket="sums", Key=algorithm, ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (expected, WHOLE)
    attributes = s3.get_object_attributes(Bucket="sums", Key=algorithm, ObjectAttributes=["Checksum"])
    assert attributes["Checksum"] == {name: expected, "ChecksumType": WHOLE}
    wrong = text(digest(algorithm, body + b"x"))
    assert code(s3.put_object, Bucket="sums", Key="wrong", Body=body, **{name: wrong}) == "BadDigest"
    assert code(s3.put_object, Bucket="sums", Key="wrong", Body=body, **{name: "AAA="}) == "InvalidRequest"
    assert code(s3.head_object, Bucket="sums", Key="wrong") == "404"
    # A copy gets the one that is asked for, whatever its source has.
    for other in KINDS:
        copied = s3.copy_object(Bucket="sums", Key="copy", CopySource=f"sums/{algorithm}", ChecksumAlgorithm=other)
        assert copied["CopyObjectResult"][f"Checksum{other}"] == text(digest(other, body))


@pytest.mark.parametrize("algorithm,kind", [(algorithm, kind) for algorithm, kinds in KINDS.items() for kind in [None, *kinds]])
def test_in_parts(s3, parts, algorithm, kind):
    name, at = f"Checksum{algorithm}", {"Bucket": "sums", "Key": "parts"}
    asked = {"ChecksumAlgorithm": algorithm, **({"ChecksumType": kind} if kind else {})}
    begun = s3.create_multipart_upload(**at, **asked)
    kind = kind or KINDS[algorithm][0]
    assert (begun["ChecksumAlgorithm"], begun["ChecksumType"]) == (algorithm, kind)
    at["UploadId"] = begun["UploadId"]
    of_parts = [digest(algorithm, part) for part in parts]
    wrong = text(digest(algorithm, b"x"))
    assert code(s3.upload_part, **at, PartNumber=1, Body=parts[1], **{name: wrong}) == "BadDigest"
    done = []
    for number, (part, sum_of_it) in enumerate(zip(parts, of_parts), 1):
        sent = s3.upload_part(**at, PartNumber=number, Body=part, **{name: text(sum_of_it)})
        assert sent[name] == text(sum_of_it)
        done.append({"PartNumber": number, "ETag": sent["ETag"], name: text(sum_of_it)})
    listed = s3.list_parts(**at)["Parts"]
    assert [part[name] for part in listed] == [text(sum_of_it) for sum_of_it in of_parts]
    if kind == WHOLE:
        expected = text(digest(algorithm, b"".join(parts)))
    else:
        expected = f"{text(digest(algorithm, b''.join(of_parts)))}-{len(parts)}"
    assert code(s3.complete_multipart_upload, **at, MultipartUpload={"Parts": [{**done[0], name: wrong}, done[1]]}) == "InvalidPart"
    if kind == WHOLE:
        assert code(s3.complete_multipart_upload, **at, MultipartUpload={"Parts": done}, ChecksumType=kind, **{name: wrong}) == "BadDigest"
    completed = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": done}, ChecksumType=kind, **{name: expected})
    assert (completed[name], completed["ChecksumType"]) == (expected, kind)
    head = s3.head_object(Bucket="sums", Key="parts", ChecksumMode="ENABLED")
    assert (head[name], head["ChecksumType"]) == (expected, kind)


@pytest.mark.parametrize("algorithm,kind", [(algorithm, kind) for algorithm, kinds in KINDS.items() for kind in (WHOLE, OF_PARTS) if kind not in kinds])
def test_kinds_that_an_algorithm_does_not_have(s3, algorithm, kind):
    assert code(s3.create_multipart_upload, Bucket="sums", Key="k", ChecksumAlgorithm=algorithm, ChecksumType=kind) == "InvalidRequest"
