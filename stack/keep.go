package stack

import (
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"

	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/location"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/internal/settings"
)

// executionLogs is what the state machine writes.
const executionLogs = "executions"

// keep makes what the rest writes to, and the key that encrypts it.
func keep(
	ctx *pulumi.Context, name string, cfg *settings.Settings, at location.Location,
) (*encryption.Encryption, *logs.Logs, error) {
	key, err := encryption.New(ctx, name+"-encryption", encryptionArgs(cfg, at, name))
	if err != nil {
		return nil, nil, err
	}
	log, err := logs.New(ctx, name+"-logs", logsArgs(cfg, name, key))
	return key, log, err
}

func encryptionArgs(cfg *settings.Settings, at location.Location, name string) *encryption.Args {
	args := &encryption.Args{Location: at, KeyARN: cfg.KMSKeyARN, LogGroups: []string{name + "-logs-*", executionLogGroup(name)}}
	if cfg.Encryption == settings.EncryptionCustomer {
		args.Queues = name + "-*"
		if cfg.NotifyTopicARN == "" {
			args.Topics = name + "-*"
		}
		args.ExecutionLogs = cfg.ExecutionLogLevel != settings.LogOff
	}
	return args
}

// customerKey is the key for what is encrypted with a key of the account's own only
// if the configuration says so; nil if it doesn't.
func customerKey(cfg *settings.Settings, key *encryption.Encryption) pulumi.StringInput {
	if cfg.Encryption != settings.EncryptionCustomer {
		return nil
	}
	return key.KeyARN
}

// executionLogGroup is the name of the log group of the executions. Every such name
// has this beginning (requirement C13), so it can't be made from the group's own.
func executionLogGroup(name string) string { return "/aws/vendedlogs/states/" + name }

func logsArgs(cfg *settings.Settings, name string, key *encryption.Encryption) *logs.Args {
	groups := []string{functionLogs, taskLogs}
	if cfg.FlowLogs {
		groups = append(groups, connectionLogs)
	}
	if cfg.ExecutionLogLevel != settings.LogOff {
		groups = append(groups, executionLogs)
	}
	return &logs.Args{
		Groups:        groups,
		Names:         map[string]string{executionLogs: executionLogGroup(name)},
		RetentionDays: cfg.LogRetentionDays,
		KMSKeyARN:     key.KeyARN,
	}
}
