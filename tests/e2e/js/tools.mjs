// The AWS SDK for JavaScript, as it is. Arguments: endpoint, bucket, prefix, the installed packages.
import { createRequire } from "node:module";
import { Readable } from "node:stream";
import { randomBytes } from "node:crypto";
import assert from "node:assert/strict";

const [endpoint, Bucket, prefix, packages] = process.argv.slice(2);
const require = createRequire(`${packages}/`);
const s3sdk = require("@aws-sdk/client-s3");
const { Upload } = require("@aws-sdk/lib-storage");
const { getSignedUrl } = require("@aws-sdk/s3-request-presigner");

const s3 = new s3sdk.S3Client({ endpoint, region: "us-east-1", forcePathStyle: true });
const Key = `${prefix}js/a b.txt`;
const read = async (name) => Buffer.from(await (await s3.send(new s3sdk.GetObjectCommand({ Bucket, Key: name }))).Body.transformToByteArray());

await s3.send(new s3sdk.PutObjectCommand({ Bucket, Key, Body: "text", Metadata: { a: "1" } }));
assert.equal((await read(Key)).toString(), "text");
// A stream goes in chunks with a trailer.
const body = randomBytes(200_000);
await s3.send(new s3sdk.PutObjectCommand({ Bucket, Key: `${Key}.stream`, Body: Readable.from([body]), ContentLength: body.length }));
assert.deepEqual(await read(`${Key}.stream`), body);
// In parts.
const large = randomBytes(11 << 20);
await new Upload({ client: s3, params: { Bucket, Key: `${Key}.large`, Body: Readable.from([large]) } }).done();
assert.deepEqual(await read(`${Key}.large`), large);
await s3.send(new s3sdk.CopyObjectCommand({ Bucket, Key: `${Key}.copy`, CopySource: `${Bucket}/${encodeURIComponent(Key)}` }));
assert.equal((await read(`${Key}.copy`)).toString(), "text");
const listed = await s3.send(new s3sdk.ListObjectsV2Command({ Bucket, Prefix: `${prefix}js/` }));
assert.equal(listed.KeyCount, 4);
const url = await getSignedUrl(s3, new s3sdk.GetObjectCommand({ Bucket, Key }), { expiresIn: 60 });
assert.equal(await (await fetch(url)).text(), "text");
// With checksums the presigner writes that of an empty body into the address, which no body then has.
const plain = new s3sdk.S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
const put = await getSignedUrl(plain, new s3sdk.PutObjectCommand({ Bucket, Key }), { expiresIn: 60 });
assert.equal((await fetch(put, { method: "PUT", body: "by address" })).status, 200);
assert.equal((await read(Key)).toString(), "by address");
const Objects = listed.Contents.map(({ Key }) => ({ Key }));
const deleted = await s3.send(new s3sdk.DeleteObjectsCommand({ Bucket, Delete: { Objects } }));
assert.equal(deleted.Deleted.length, 4);
await assert.rejects(s3.send(new s3sdk.HeadObjectCommand({ Bucket, Key })), { name: "NotFound" });
await assert.rejects(s3.send(new s3sdk.GetObjectCommand({ Bucket, Key: "other/secret" })), { name: "AccessDenied" });
