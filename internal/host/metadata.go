package host

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path"
	"time"
)

const (
	// environmentMetadata holds the address at which ECS tells a container of its task.
	//
	// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-metadata-endpoint-v4-fargate.html
	environmentMetadata = "ECS_CONTAINER_METADATA_URI_V4"
	metadataTimeout     = 2 * time.Second

	// environmentLogGroup and environmentLogStream are Lambda's names of its own log.
	//
	// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
	environmentLogGroup  = "AWS_LAMBDA_LOG_GROUP_NAME"
	environmentLogStream = "AWS_LAMBDA_LOG_STREAM_NAME"
)

// taskMetadata is the part of a task's metadata that is needed here.
type taskMetadata struct {
	TaskARN    string
	Containers []struct{ LogOptions map[string]string }
}

// readMetadata asks ECS which task this is. Outside of ECS, and if it doesn't answer, it is nobody knows which.
func readMetadata(ctx context.Context, lookup func(string) (string, bool)) (taskMetadata, error) {
	var out taskMetadata
	base, _ := lookup(environmentMetadata)
	if base == "" {
		return out, nil
	}
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/task", nil)
	if err != nil {
		return out, fmt.Errorf("asking for the task's metadata: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return out, fmt.Errorf("asking for the task's metadata: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(&out); err != nil {
		return taskMetadata{}, fmt.Errorf("reading the task's metadata: %w", err)
	}
	return out, nil
}

// id is the task's id; empty if it isn't known.
func (m taskMetadata) id() string {
	if m.TaskARN == "" {
		return ""
	}
	return path.Base(m.TaskARN)
}

// logs is where the log driver awslogs writes to.
func (m taskMetadata) logs() logs {
	for _, container := range m.Containers {
		if group := container.LogOptions["awslogs-group"]; group != "" {
			return logs{group: group, stream: container.LogOptions["awslogs-stream"]}
		}
	}
	return logs{}
}

// lambdaLogs is where a function's log lines go.
func lambdaLogs(lookup func(string) (string, bool)) logs {
	group, _ := lookup(environmentLogGroup)
	stream, _ := lookup(environmentLogStream)
	return logs{group: group, stream: stream}
}
