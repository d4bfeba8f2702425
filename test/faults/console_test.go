package faults_test

import (
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/stretchr/testify/require"

	"example.com/upload-router/internal/awstest"
	"example.com/upload-router/internal/local"
	"example.com/upload-router/internal/local/localtest"
	"example.com/upload-router/operate"
)

// console gives package operate, which is behind `upload-router redrive`, the local run to work on: by AWS's own protocols.
type console struct {
	*operate.System

	aws  *awstest.Server
	turn sync.Mutex // to read the queue: each test has a message of its own
}

func (b *bench) console(t *testing.T) *console {
	t.Helper()
	c := &console{aws: awstest.Serve(t, b.system, b.Router)}
	outputs, err := operate.ParseOutputs(c.aws.Outputs())
	require.NoError(t, err)
	c.System = operate.Connect(aws.Config{
		BaseEndpoint: aws.String(c.aws.Endpoint()), Region: localtest.Region,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, outputs)
	return c
}

// redrive runs an execution again, and gives the one that it is by then.
func (c *console) redrive(t *testing.T, ended *local.Execution, want operate.RedriveAction) *local.Execution {
	t.Helper()
	c.aws.Know(ended)
	plan, err := c.PlanRedrive(t.Context(), operate.RedriveOptions{Executions: []string{ended.ARN}})
	require.NoError(t, err)
	return c.do(t, plan, want)
}

// replay has a message's event processed.
func (c *console) replay(t *testing.T, message local.DeadLetter) *local.Execution {
	t.Helper()
	c.turn.Lock()
	defer c.turn.Unlock()
	c.aws.Only(func(other local.DeadLetter) bool { return other.MessageID == message.MessageID })
	plan, err := c.PlanRedrive(t.Context(), operate.RedriveOptions{DeadLetters: true})
	require.NoError(t, err)
	return c.do(t, plan, operate.RedriveReplay)
}

// do does a plan of one.
func (c *console) do(t *testing.T, plan *operate.RedrivePlan, want operate.RedriveAction) *local.Execution {
	t.Helper()
	require.Len(t, plan.Items, 1)
	require.Equal(t, want, plan.Items[0].Action, plan.Items[0].Reason)
	require.NoError(t, plan.Run(t.Context(), nil))
	require.NoError(t, plan.Close(t.Context()))
	require.Empty(t, plan.Items[0].Error)
	require.True(t, plan.Items[0].Done)
	return c.aws.Ended(t, plan.Items[0].Name)
}
