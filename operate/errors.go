package operate

import "errors"

// The kinds of errors that a caller may want to tell apart, with [errors.Is].
var (
	// ErrNotReady is that something which every operation needs is missing: the Pulumi CLI, credentials, a project.
	ErrNotReady = errors.New("not ready")
	// ErrNoStack is that the stack doesn't exist, or that none was named and none is selected.
	ErrNoStack = errors.New("no such stack")
	// ErrNotDeployed is that the stack exists and nothing, or not all, is deployed.
	ErrNotDeployed = errors.New("not deployed")
	// ErrLocked is that another update of the stack is running.
	ErrLocked = errors.New("the stack is locked by another update")
	// ErrCanceled is that an operation was stopped before its end.
	ErrCanceled = errors.New("canceled")
	// ErrDeployment is that Pulumi or AWS refused an operation; see [DeploymentError].
	ErrDeployment = errors.New("the operation failed")
	// ErrInput is an argument that can't be right.
	ErrInput = errors.New("wrong input")
	// ErrRefused is that AWS refused a request.
	ErrRefused = errors.New("refused by AWS")
	// ErrPulumi is that Pulumi could not do what it was asked, such as reading a stack's state.
	ErrPulumi = errors.New("refused by Pulumi")
	// ErrTimeout is that what was waited for didn't come in time.
	ErrTimeout = errors.New("waited in vain")
)
