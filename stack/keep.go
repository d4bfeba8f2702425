package stack

import (
	"example.com/upload-router/components/encryption"
	"example.com/upload-router/components/flowlogs"
	"example.com/upload-router/components/ledger"
	"example.com/upload-router/components/logs"
	"example.com/upload-router/internal/settings"
)

// What writes to the log groups.
const (
	functionLogs   = "function"
	taskLogs       = "task"
	sweepLogs      = "sweep"
	connectionLogs = "connections"
	executionLogs  = "executions" // of the state machine
)

// executionLogGroup is the name of the log group of the executions. Every such name
// has this beginning (requirement C13), so it can't be made from the group's own.
func (s *system) executionLogGroup() string { return "/aws/vendedlogs/states/" + s.name }

func (s *system) encryption() (err error) {
	args := &encryption.Args{
		Location: s.at, KeyARN: s.cfg.KMSKeyARN, LogGroups: []string{s.name + "-logs-*", s.executionLogGroup()},
	}
	if s.cfg.Encryption == settings.EncryptionCustomer {
		args.Queues = s.name + "-*"
		if s.cfg.NotifyTopicARN == "" {
			args.Topics = s.name + "-*"
		}
		args.ExecutionLogs = s.cfg.ExecutionLogLevel != settings.LogOff
	}
	s.key, err = encryption.New(s.ctx, s.name+"-encryption", args)
	return err
}

func (s *system) logs() (err error) {
	groups := []string{functionLogs, taskLogs, sweepLogs}
	if s.cfg.FlowLogs {
		groups = append(groups, connectionLogs)
	}
	if s.cfg.ExecutionLogLevel != settings.LogOff {
		groups = append(groups, executionLogs)
	}
	s.log, err = logs.New(s.ctx, s.name+"-logs", &logs.Args{
		Groups:        groups,
		Names:         map[string]string{executionLogs: s.executionLogGroup()},
		RetentionDays: s.cfg.LogRetentionDays,
		KMSKeyARN:     s.key.KeyARN,
	})
	return err
}

func (s *system) ledger() (err error) {
	s.table, err = ledger.New(s.ctx, s.name+"-ledger", &ledger.Args{
		KMSKeyARN:        s.customerKey(),
		Protect:          s.cfg.Protect,
		ExecutionTimeout: s.cfg.ExecutionTimeout,
		RetentionDays:    s.cfg.LedgerRetentionDays,
	})
	return err
}

// flowLogs logs what connects to what in the stack's VPC, if it is to.
func (s *system) flowLogs() error {
	if !s.cfg.FlowLogs {
		return nil
	}
	_, err := flowlogs.New(s.ctx, s.name+"-flow", &flowlogs.Args{
		Location: s.at, VPCID: s.net.VPCID, LogGroupARN: s.log.Groups[connectionLogs].ARN,
	})
	return err
}
