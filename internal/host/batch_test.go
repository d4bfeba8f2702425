package host

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/host/request"
	"example.com/upload-router/internal/host/uploadtest"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/upload"
)

// readsThen is a processor that reads and ends with an error, or without one.
func readsThen(end error) Processor {
	return func(_ context.Context, in *upload.Input, _ *upload.Output) (json.RawMessage, error) {
		if _, err := io.Copy(io.Discard, in); err != nil {
			return nil, err
		}
		return json.RawMessage(`1`), end
	}
}

// The object says which batch it belongs to; the event of a backfill goes before it.
func TestTheBatchOfAnUpload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header  []string
		process Processor
		event   string
		want    string
		state   ledger.State
	}{
		"none":                      {nil, readsThen(nil), "", "", ledger.Succeeded},
		"of the object":             {[]string{"X-Amz-Meta-Upload-Router-Batch", "march"}, readsThen(nil), "", "march", ledger.Succeeded},
		"of an object nobody reads": {[]string{"X-Amz-Meta-Upload-Router-Batch", "march"}, answers(`1`), "", "march", ledger.Succeeded},
		"of one that fails": {
			[]string{"X-Amz-Meta-Upload-Router-Batch", "march"}, readsThen(errors.New("no")), "", "march", ledger.Running,
		},
		"no name": {[]string{"X-Amz-Meta-Upload-Router-Batch", "a b"}, readsThen(nil), "", "", ledger.Succeeded},
		"too long": {
			[]string{"X-Amz-Meta-Upload-Router-Batch", strings.Repeat("x", 81)}, readsThen(nil), "", "", ledger.Succeeded,
		},
		"other metadata": {[]string{"X-Amz-Meta-Batch", "march"}, readsThen(nil), "", "", ledger.Succeeded},
		"of a backfill":  {[]string{"X-Amz-Meta-Upload-Router-Batch", "march"}, readsThen(nil), "again", "again", ledger.Succeeded},
		"a backfill's that fails": {
			[]string{"X-Amz-Meta-Upload-Router-Batch", "march"}, readsThen(errors.New("no")), "again", "again", ledger.Running,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := warm(t, c.process)
			served := uploadtest.Serve(t, uploadtest.Content([]byte(text), append([]string{"ETag", `"e1"`}, c.header...)...))
			i.storage.reader = uploadtest.Client(served)
			var event map[string]any
			require.NoError(t, json.Unmarshal(uploadtest.Event(t, object("report.txt")), &event))
			if c.event != "" {
				event["batch"] = c.event
			}
			payload, err := json.Marshal(map[string]any{
				"event": event, "execution": execution, "started": ledger.Time(startedAt), "route": "small",
			})
			require.NoError(t, err)
			_, _ = i.Invoke(lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "r"}), payload)
			item := i.keeper.item(t)
			assert.Equal(t, c.want, item.Batch)
			assert.Equal(t, c.state, item.State)
		})
	}
}

func TestTheBatchOfATask(t *testing.T) {
	t.Parallel()
	k, table := onLedger(t)
	content := uploadtest.Content([]byte(text), "ETag", `"e1"`, "X-Amz-Meta-Upload-Router-Batch", "march")
	got := runTask(t, content, append(variables("report.txt"), append(table, request.EnvironmentRoute+"=large")...))
	require.Zero(t, got.exit, got.stderr)
	assert.Equal(t, "march", k.item(t).Batch)
}
