"""The official Python SDK (cos-python-sdk-v5) does a day's work; one line of JSON for each scenario."""

import hashlib
import json
import logging
import os
import shutil
import socket
import sys
import tempfile
import traceback

import requests
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

logging.disable(logging.CRITICAL)

WAY = os.environ["INTEROP_WAY"]
PORT = int(os.environ["INTEROP_PORT"])
REGION = os.environ["INTEROP_REGION"]
BUCKET = os.environ["INTEROP_BUCKET"]
OTHER = os.environ["INTEROP_OTHER_BUCKET"]
PROXIES = {"http": "http://127.0.0.1:%d" % PORT}
FOLDER = tempfile.mkdtemp(prefix="cosbox-python-")
MIB = 1024 * 1024

if WAY == "Endpoint":
    # Stands in for a resolver that maps names below localhost to loopback, which glibc's does not.
    resolve = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        return resolve("127.0.0.1" if str(host).endswith(".localhost") else host, *args, **kwargs)

    socket.getaddrinfo = getaddrinfo


def client(**more):
    settings = {
        "Region": REGION,
        "SecretId": os.environ["INTEROP_SECRET_ID"],
        "SecretKey": os.environ["INTEROP_SECRET_KEY"],
        "Scheme": "http",
    }
    if WAY == "Proxies":
        settings["Proxies"] = PROXIES
    elif WAY == "IP":
        settings.update(IP="127.0.0.1", Port=PORT)
    else:
        settings["Endpoint"] = "cos.%s.localhost:%d" % (REGION, PORT)
        settings["ServiceDomain"] = "service.cos.localhost:%d" % PORT
    settings.update(more)
    return CosS3Client(CosConfig(**settings))


cos = client()


def source_of(key):
    source = {"Bucket": BUCKET, "Key": key, "Region": REGION}
    if WAY == "Endpoint":
        source["Endpoint"] = "cos.%s.localhost:%d" % (REGION, PORT)
    return source


def content(length, seed):
    out = bytearray()
    block = seed.encode()
    while len(out) < length:
        block = hashlib.sha512(block).digest()
        out += block
    return bytes(out[:length])


def same(found, expected):
    assert found == expected, "%r is not %r" % (found, expected)


def body_of(key, **more):
    return cos.get_object(Bucket=BUCKET, Key=key, **more)["Body"].get_raw_stream().read()


def digest(data):
    return hashlib.sha256(data).hexdigest()


def refused(status, code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except CosServiceError as error:
        same((error.get_status_code(), error.get_error_code()), (status, code))
        assert error.get_request_id() not in ("", "Unknown"), "no request id"
        return error
    raise AssertionError("was not refused")


def file_of(name, data):
    path = os.path.join(FOLDER, name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def signed(key, method, **more):
    # With an IP the SDK would sign the address as host, and no bucket is told by that.
    return cos.get_presigned_url(Bucket=BUCKET, Key=key, Method=method, SignHost=WAY != "IP", **more)


def plain(method, url, **more):
    """What curl would do with a URL that the SDK has signed."""
    if WAY == "Proxies":
        more["proxies"] = PROXIES
    if WAY == "IP":
        more["headers"] = {"Host": "%s.cos.%s.myqcloud.com" % (BUCKET, REGION)}
    return requests.request(method, url, **more)


def buckets():
    cos.create_bucket(Bucket=OTHER)
    cos.head_bucket(Bucket=OTHER)
    same(cos.bucket_exists(OTHER), True)
    same(cos.get_bucket_location(Bucket=OTHER)["LocationConstraint"], REGION)
    if WAY != "IP":  # With an IP the SDK sends no Host of the service, but the address.
        found = cos.list_buckets()
        same([bucket["Name"] for bucket in found["Buckets"]["Bucket"]], [BUCKET, OTHER])
    refused(409, "BucketAlreadyOwnedByYou", cos.create_bucket, Bucket=OTHER)
    cos.delete_bucket(Bucket=OTHER)
    same(cos.bucket_exists(OTHER), False)


def objects():
    data = content(300001, "object")
    stored = cos.put_object(
        Bucket=BUCKET, Key="object", Body=data, EnableMD5=True, ContentType="text/x", Metadata={"x-cos-meta-a": "1 2"}
    )
    same(stored["ETag"], '"%s"' % hashlib.md5(data).hexdigest())
    found = cos.get_object(Bucket=BUCKET, Key="object")
    same(digest(found["Body"].get_raw_stream().read()), digest(data))
    same(found["Content-Type"], "text/x")
    head = cos.head_object(Bucket=BUCKET, Key="object")
    same((head["Content-Length"], head["x-cos-meta-a"], head["ETag"]), ("300001", "1 2", stored["ETag"]))
    same(body_of("object", Range="bytes=10-19"), data[10:20])
    cos.put_object(Bucket=BUCKET, Key="object", Body=b"")
    same(body_of("object"), b"")
    cos.delete_object(Bucket=BUCKET, Key="object")
    same(cos.object_exists(BUCKET, "object"), False)


def streams():
    data = content(2 * MIB + 3, "stream")
    with open(file_of("stream", data), "rb") as body:
        cos.put_object(Bucket=BUCKET, Key="stream", Body=body)
    same(digest(body_of("stream")), digest(data))
    out = os.path.join(FOLDER, "stream.out")
    cos.get_object(Bucket=BUCKET, Key="stream")["Body"].get_stream_to_file(out)
    with open(out, "rb") as file:
        same(digest(file.read()), digest(data))


KEYS = [
    "folder/sub folder/with spaces.txt",
    "a+b=c&d",
    "100% %25 %2F",
    "question?mark#hash",
    "quotes'\"and<tags>",
    u"\u62a5\u544a\uff08\u7ec8\u7a3f\uff09 \U0001f600.txt",
    "double//slash",
    "dots/.././file",
    "!'()*~;:@,$[]{}|\\^`",
]


def keys():
    for key in KEYS:
        data = key.encode()
        cos.put_object(Bucket=BUCKET, Key=key, Body=data)
        same(body_of(key), data)
        cos.head_object(Bucket=BUCKET, Key=key)
        listed = cos.list_objects(Bucket=BUCKET, Prefix=key)["Contents"]
        same([one["Key"] for one in listed], [key])
        same(plain("GET", signed(key, "GET")).content, data)
        cos.copy_object(Bucket=BUCKET, Key="copied key", CopySource=source_of(key))
        same(body_of("copied key"), data)
        cos.delete_object(Bucket=BUCKET, Key=key)
        same(cos.object_exists(BUCKET, key), False)


def lists():
    names = ["list/%02d/file" % n for n in range(12)] + ["list/file", "list/z"]
    for name in names:
        cos.put_object(Bucket=BUCKET, Key=name, Body=b"x")
    found, marker = [], ""
    for _ in range(20):
        page = cos.list_objects(Bucket=BUCKET, Prefix="list/", MaxKeys=5, Marker=marker)
        found += [one["Key"] for one in page.get("Contents", [])]
        if page["IsTruncated"] == "false":
            break
        marker = page["NextMarker"]
    same(found, names)
    page = cos.list_objects(Bucket=BUCKET, Prefix="list/", Delimiter="/", EncodingType="url")
    same([one["Prefix"] for one in page["CommonPrefixes"]], ["list/%02d/" % n for n in range(12)])
    same([one["Key"] for one in page["Contents"]], ["list/file", "list/z"])
    answer = cos.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": name} for name in names], "Quiet": "false"})
    same(sorted(one["Key"] for one in answer["Deleted"]), sorted(names))
    same("Contents" in cos.list_objects(Bucket=BUCKET, Prefix="list/"), False)


def multipart():
    parts = [content(MIB, "1"), content(MIB + 1, "2"), content(5, "3")]
    begun = cos.create_multipart_upload(Bucket=BUCKET, Key="parts", Metadata={"x-cos-meta-a": "1"})
    upload = {"Bucket": BUCKET, "Key": "parts", "UploadId": begun["UploadId"]}
    done = []
    for number, part in enumerate(parts, 1):
        etag = cos.upload_part(Body=part, PartNumber=number, EnableMD5=True, **upload)["ETag"]
        done.append({"PartNumber": number, "ETag": etag})
    listed = cos.list_parts(**upload)["Part"]
    same([(int(one["PartNumber"]), int(one["Size"]), one["ETag"]) for one in listed],
         [(part["PartNumber"], len(parts[part["PartNumber"] - 1]), part["ETag"]) for part in done])
    uploads = cos.list_multipart_uploads(Bucket=BUCKET, Prefix="parts")["Upload"]
    same([(one["Key"], one["UploadId"]) for one in uploads], [("parts", begun["UploadId"])])
    cos.complete_multipart_upload(MultipartUpload={"Part": done}, **upload)
    same(digest(body_of("parts")), digest(b"".join(parts)))
    same(cos.head_object(Bucket=BUCKET, Key="parts")["x-cos-meta-a"], "1")

    again = cos.create_multipart_upload(Bucket=BUCKET, Key="aborted")
    cos.abort_multipart_upload(Bucket=BUCKET, Key="aborted", UploadId=again["UploadId"])
    refused(404, "NoSuchUpload", cos.list_parts, Bucket=BUCKET, Key="aborted", UploadId=again["UploadId"])


def transfers():
    data = content(5 * MIB + 7, "transfer")
    cos.upload_file(
        Bucket=BUCKET, Key="transfer", LocalFilePath=file_of("up", data), PartSize=1, MAXThread=4, EnableMD5=True
    )
    assert cos.head_object(Bucket=BUCKET, Key="transfer")["ETag"].endswith('-6"')
    down = os.path.join(FOLDER, "down")
    cos.download_file(Bucket=BUCKET, Key="transfer", DestFilePath=down, PartSize=1, MAXThread=4, EnableCRC=True)
    with open(down, "rb") as file:
        same(digest(file.read()), digest(data))
    with open(os.path.join(FOLDER, "up"), "rb") as body:
        cos.upload_file_from_buffer(Bucket=BUCKET, Key="buffer", Body=body, PartSize=1)
    same(digest(body_of("buffer")), digest(data))
    source = source_of("transfer")
    begun = cos.create_multipart_upload(Bucket=BUCKET, Key="part copy")
    upload = {"Bucket": BUCKET, "Key": "part copy", "UploadId": begun["UploadId"]}
    first = cos.upload_part_copy(PartNumber=1, CopySource=source, CopySourceRange="bytes=0-%d" % (3 * MIB - 1), **upload)
    rest = cos.upload_part_copy(
        PartNumber=2, CopySource=source, CopySourceRange="bytes=%d-%d" % (3 * MIB, len(data) - 1), **upload
    )
    parts = [{"PartNumber": 1, "ETag": first["ETag"]}, {"PartNumber": 2, "ETag": rest["ETag"]}]
    cos.complete_multipart_upload(MultipartUpload={"Part": parts}, **upload)
    same(digest(body_of("part copy")), digest(data))
    if WAY != "IP":  # The SDK looks for the size of the source under its real name, whatever the IP.
        cos.copy(Bucket=BUCKET, Key="copied", CopySource=source)
        same(digest(body_of("copied")), digest(data))


def appends():
    cos.append_object(Bucket=BUCKET, Key="log", Position=0, Data=b"one\n")
    cos.append_object(Bucket=BUCKET, Key="log", Position=4, Data=b"two\n")
    same(body_of("log"), b"one\ntwo\n")
    refused(409, "AppendPositionErr", cos.append_object, Bucket=BUCKET, Key="log", Position=1, Data=b"x")


def signed_urls():
    cos.put_object(Bucket=BUCKET, Key="signed", Body=b"shared")
    url = signed("signed", "GET", Params={"response-content-type": "text/x shared"})
    found = plain("GET", url)
    same((found.status_code, found.content, found.headers["Content-Type"]), (200, b"shared", "text/x shared"))
    same(plain("DELETE", url).status_code, 403)
    url = signed("signed in", "PUT")
    same(plain("PUT", url, data=b"from outside").status_code, 200)
    same(body_of("signed in"), b"from outside")
    same(plain("GET", cos.get_object_url(Bucket=BUCKET, Key="signed")).status_code, 403)


def refusals():
    error = refused(404, "NoSuchKey", cos.get_object, Bucket=BUCKET, Key="not there")
    same(error.get_error_msg(), "The specified key does not exist.")
    assert error.get_resource_location().endswith("/not there")
    assert error.get_trace_id() not in ("", "Unknown")
    refused(404, "NoSuchResource", cos.head_object, Bucket=BUCKET, Key="not there")
    refused(404, "NoSuchBucket", cos.list_objects, Bucket="nowhere-1250000000")
    refused(416, "InvalidRange", cos.get_object, Bucket=BUCKET, Key="signed", Range="bytes=100-")
    refused(412, "PreconditionFailed", cos.get_object, Bucket=BUCKET, Key="signed", IfMatch='"other"')
    wrong = client(SecretKey="anothersecretkey0000")
    refused(403, "SignatureDoesNotMatch", wrong.get_object, Bucket=BUCKET, Key="signed")
    nobody = client(SecretId="AKIDnobodyhasthiskeyatall0000000")
    refused(403, "InvalidAccessKeyId", nobody.get_object, Bucket=BUCKET, Key="signed")


def early_refusals():
    nobody = client(SecretId="AKIDnobodyhasthiskeyatall0000000")
    data = content(MIB, "early") * 32
    for _ in range(20):
        refused(403, "InvalidAccessKeyId", nobody.put_object, Bucket=BUCKET, Key="early", Body=data)
    same(nobody.get_retry_exe_times() if hasattr(nobody, "get_retry_exe_times") else 0, 0)


for scenario in (
    buckets, objects, streams, keys, lists, multipart, transfers, appends, signed_urls, refusals, early_refusals
):
    fault = None
    try:
        scenario()
    except Exception as error:
        places = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == __file__]
        fault = "line %s: %s: %s" % (places[-1], type(error).__name__, error)
    print(json.dumps({"name": scenario.__name__, "fault": fault}))
    sys.stdout.flush()
shutil.rmtree(FOLDER)
