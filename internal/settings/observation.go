package settings

import "fmt"

// LogLevel says which of an execution's events are logged.
//
// https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html#cloudwatch-log-level
type LogLevel string

// The log levels; LogError is the default.
const (
	// LogOff logs nothing.
	LogOff LogLevel = "OFF"
	// LogError logs the events of errors, those that are tried again among them.
	LogError LogLevel = "ERROR"
	// LogFatal logs the events that end an execution badly.
	LogFatal LogLevel = "FATAL"
	// LogAll logs every event.
	LogAll LogLevel = "ALL"
)

const (
	keyExecutionLogLevel = "executionLogLevel"
	keyExecutionLogData  = "executionLogData"
	keyTracing           = "tracing"
)

// observationKeys are what of the executions can be seen afterwards.
func observationKeys() []Key {
	return []Key{
		{
			Name: keyExecutionLogLevel, Type: TypeString, Default: string(LogError), Example: string(LogAll),
			Doc: "Which events of the executions are logged: OFF, FATAL (what ends one badly), ERROR (what goes wrong, although it is tried " +
				"again) or ALL.",
		},
		{
			Name: keyExecutionLogData, Type: TypeBoolean, Default: false, Example: "true",
			Doc: "Whether the log of the executions has their input and output as well, which hold the names of the files.",
		},
		{
			Name: keyTracing, Type: TypeBoolean, Default: false, Example: "true",
			Doc: "Whether X-Ray traces the state machine, the function and the task, all in one trace.",
		},
	}
}

// observation reads the keys of observationKeys.
func (l *loader) observation(s *Settings) {
	s.ExecutionLogLevel = LogLevel(l.choice(keyExecutionLogLevel, string(LogOff), string(LogFatal), string(LogError), string(LogAll)))
	s.ExecutionLogData = l.boolean(keyExecutionLogData)
	s.Tracing = l.boolean(keyTracing)
	if s.ExecutionLogData && s.ExecutionLogLevel == LogOff {
		shown := display(l.raw(keyExecutionLogLevel))
		if l.isSecret(keyExecutionLogLevel) {
			shown = hidden
		}
		l.reportAt(keyExecutionLogData, keyExecutionLogData, l.raw(keyExecutionLogData),
			fmt.Sprintf("goes with a log only, and %s is %s", keyExecutionLogLevel, shown), removeCommand(keyExecutionLogData))
	}
}
