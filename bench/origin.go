package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// originHandler is what the project's origin deploys: one Python function with boto3. It does the work of this project's function but for
// the CRC-64/NVME, for which Python has no module of its own. If it is given a table, it makes the two writes of Powertools' idempotency
// besides, as [recorded] does. The loop at its end is what AWS's runtime for Python does.
const originHandler = `import hashlib, http.client, json, mimetypes, os, sys, time

import boto3
from botocore.config import Config

s3 = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
table = os.environ.get("` + environmentIdempotency + `")
dynamodb = boto3.client("dynamodb") if table else None


def handler(event, context):
    detail = event["detail"]
    bucket, announced = detail["bucket"]["name"], detail["object"]
    answer = s3.get_object(Bucket=bucket, Key=announced["key"], IfMatch=announced["etag"])
    sha, lines, size = hashlib.sha256(), 0, 0
    for chunk in answer["Body"].iter_chunks(262144):
        sha.update(chunk)
        lines += chunk.count(b"\n")
        size += len(chunk)
    kind = mimetypes.guess_type(announced["key"])[0]
    return {"bucket": bucket, "key": announced["key"], "size": size, "sha256": sha.hexdigest(), "lines": lines, "mediaType": kind}


def once(event, context):
    if not table:
        return handler(event, context)
    announced, now = event["detail"]["object"], int(time.time())
    key, expiry = {"S": "bench#" + announced["key"] + "#" + announced["etag"]}, {"N": str(now + 3600)}
    dynamodb.put_item(
        TableName=table,
        Item={"id": key, "expiration": expiry, "status": {"S": "INPROGRESS"}},
        ConditionExpression="attribute_not_exists(#id) OR #expiry < :now",
        ExpressionAttributeNames={"#id": "id", "#expiry": "expiration"},
        ExpressionAttributeValues={":now": {"N": str(now)}},
    )
    answer = handler(event, context)
    dynamodb.update_item(
        TableName=table,
        Key={"id": key},
        UpdateExpression="SET #data = :data, #expiry = :expiry, #status = :status",
        ExpressionAttributeNames={"#data": "data", "#expiry": "expiration", "#status": "status"},
        ExpressionAttributeValues={":data": {"S": json.dumps(answer)}, ":expiry": expiry, ":status": {"S": "COMPLETED"}},
    )
    return answer


if "AWS_LAMBDA_RUNTIME_API" not in os.environ:
    events, answer = [json.loads(line) for line in sys.stdin], None
    once(events[0], None)
    began = time.perf_counter()
    for event in events[1:]:
        answer = json.dumps(once(event, None))
    print((len(events) - 1) / (time.perf_counter() - began), answer)
    sys.exit()

api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
base = "/2018-06-01/runtime/invocation/"
while True:
    api.request("GET", base + "next")
    invocation = api.getresponse()
    request_id, event = invocation.headers["Lambda-Runtime-Aws-Request-Id"], json.loads(invocation.read())
    api.request("POST", base + request_id + "/response", json.dumps(once(event, None)).encode())
    api.getresponse().read()
`

var errNoPython = errors.New("python3 with boto3 is not installed")

// writeOrigin writes the handler as an executable for the local Lambda, in a folder.
func writeOrigin(ctx context.Context, folder string) (string, error) {
	text, err := exec.CommandContext(ctx, "python3", "-c", "import boto3, sys; print(sys.executable)").Output()
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoPython, err)
	}
	path := filepath.Join(folder, "origin")
	if err := os.WriteFile(path, []byte("#!"+strings.TrimSpace(string(text))+"\n"+originHandler), 0o700); err != nil {
		return "", fmt.Errorf("writing the handler: %w", err)
	}
	return path, nil
}
