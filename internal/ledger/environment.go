package ledger

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// The environment variables by which the stack tells the worker, in the function and in the task alike, of the ledger.
const (
	// EnvironmentTable is the table's name.
	EnvironmentTable = "UPLOAD_LEDGER_TABLE"
	// EnvironmentLease is for how many seconds an execution can live: its time-out and [LeaseMargin].
	EnvironmentLease = "UPLOAD_LEDGER_LEASE_SECONDS"
	// EnvironmentRetention is for how many days an item is kept; 0 is for good.
	EnvironmentRetention = "UPLOAD_LEDGER_RETENTION_DAYS"
	// EnvironmentLogGroup is the log group that the worker writes to, where Lambda doesn't say it, and EnvironmentLogRetention for how many
	// days that keeps a line; 0 is for good.
	EnvironmentLogGroup     = "UPLOAD_LOG_GROUP"
	EnvironmentLogRetention = "UPLOAD_LOG_RETENTION_DAYS"
)

// Configuration is what these variables say.
type Configuration struct {
	// Table is the table's name.
	Table string
	// Lease is for how long an execution can live, the margin included; Retention for how long an item is kept, 0 is for good.
	Lease, Retention time.Duration
	// LogGroup is empty if it isn't said, LogDays 0 if a line is kept for good.
	LogGroup string
	LogDays  int
}

// FromEnvironment reads them; lookup is [os.LookupEnv] in a real host. The error names each that is missing or wrong.
func FromEnvironment(lookup func(string) (string, bool)) (Configuration, error) {
	var c Configuration
	var errs []error
	number := func(name string) int {
		text, _ := lookup(name)
		if text == "" {
			return 0
		}
		whole, err := strconv.ParseUint(text, 10, 31)
		if err != nil {
			errs = append(errs, fmt.Errorf("the environment variable %s is not a number: %w", name, err))
		}
		return int(whole)
	}
	if c.Table, _ = lookup(EnvironmentTable); c.Table == "" {
		return c, fmt.Errorf("the environment variable %s is not set: in a function and in a task it is the name of the ledger's table, "+
			"and whatever runs the worker elsewhere has to set it", EnvironmentTable)
	}
	if c.Lease = time.Duration(number(EnvironmentLease)) * time.Second; c.Lease == 0 && errs == nil {
		errs = append(errs, fmt.Errorf("the environment variable %s is not set; want the seconds for which an execution can live",
			EnvironmentLease))
	}
	c.Retention = time.Duration(number(EnvironmentRetention)) * 24 * time.Hour
	c.LogGroup, _ = lookup(EnvironmentLogGroup)
	c.LogDays = number(EnvironmentLogRetention)
	return c, errors.Join(errs...)
}
