package sweep

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	_ "golang.org/x/crypto/x509roots/fallback" // As the processor's binaries have them.

	"example.com/upload-router/internal/host/limits"
	"example.com/upload-router/internal/host/reader"
	"example.com/upload-router/internal/ledger"
	"example.com/upload-router/internal/ledger/client"
	"example.com/upload-router/upload"
)

// The environment variables by which the stack tells the sweep what it looks after, besides those of the ledger.
const (
	// EnvironmentMachine and EnvironmentTopic are the ARNs of the state machine and of the topic.
	EnvironmentMachine = "UPLOAD_STATE_MACHINE_ARN"
	EnvironmentTopic   = "UPLOAD_TOPIC_ARN"
	// EnvironmentBackfill is the ARN of the state machine of backfills.
	EnvironmentBackfill = "UPLOAD_BACKFILL_STATE_MACHINE_ARN"
	// EnvironmentRoutes are the names of the routes with task slots, with commas between; empty for none.
	EnvironmentRoutes = "UPLOAD_SLOT_ROUTES"
)

// Main is the whole main function of the Lambda function. It doesn't return.
func Main() {
	limits.Set()
	logger := slog.New(slog.NewJSONHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: lambdacontext.ReplaceAttr}))
	slog.SetDefault(logger)
	s, err := FromEnvironment(os.LookupEnv, logger)
	if err != nil {
		logger.Error("the sweep cannot start", slog.String("cause", upload.MessageOf(err)))
		os.Exit(upload.ExitCode(err))
	}
	lambda.Start(s)
}

// FromEnvironment makes a Sweep of the function's variables. An error has code [upload.Invalid] for a wrong variable, and
// [upload.Failed] if the host gives no Region or no credentials.
func FromEnvironment(lookup func(string) (string, bool), logger *slog.Logger) (*Sweep, error) {
	c, err := ledger.FromEnvironment(lookup)
	if err != nil {
		return nil, &upload.Error{Code: upload.Invalid, Err: err}
	}
	s := &Sweep{Logger: logger}
	for name, into := range map[string]*string{
		EnvironmentMachine: &s.MachineARN, EnvironmentBackfill: &s.BackfillARN, EnvironmentTopic: &s.TopicARN,
	} {
		if *into, _ = lookup(name); *into == "" {
			return nil, &upload.Error{Code: upload.Invalid, Err: fmt.Errorf(
				"the environment variable %s is not set; the stack sets it", name)}
		}
	}
	if routes, _ := lookup(EnvironmentRoutes); routes != "" {
		s.Routes = strings.Split(routes, ",")
	}
	cfg, err := reader.NewConfig()
	if err != nil {
		return nil, err //nolint:wrapcheck // It has its code.
	}
	s.Ledger = &client.Client{API: dynamodb.NewFromConfig(cfg), Table: c.Table, Lease: c.Lease, Retention: c.Retention}
	s.States, s.Topic = sfn.NewFromConfig(cfg), sns.NewFromConfig(cfg)
	return s, nil
}
