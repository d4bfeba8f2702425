package operate

import "context"

// pause looks whether the stack's file and AWS agree on whether uploads are paused: a deployment would change both rules at once, and
// events would be lost until EventBridge has followed.
func (d *doctor) pause(ctx context.Context) {
	if d.outputs == nil || d.outputs.PausedRuleName == "" {
		return // nothing is deployed that could be paused
	}
	const name = "Pause"
	const why = "`up` would change the rules at once, and EventBridge takes its time to follow: events would be lost in between"
	state, err := Connect(*d.aws, *d.outputs).PauseState(ctx)
	switch {
	case err != nil:
		d.unasked(name, "", actionRule+" and "+actionQueue, err)
	case d.settings.Paused && !state.Paused():
		d.failed(name, "the stack's file says paused: true, and uploads aren't paused, or not yet wholly", why, "upload-router pause")
	case !d.settings.Paused && !state.Running():
		d.failed(name, "uploads are paused, and the stack's file says they aren't", why,
			"upload-router resume, or, if they are to stay so: upload-router pause")
	case state.Paused():
		d.ok(name, "uploads are paused: "+plural(state.Waiting, "event")+" waiting for `upload-router resume`")
	case state.Waiting > 0:
		d.failed(name, plural(state.Waiting, "event")+" of a pause waiting, and nothing starts executions for them",
			"SQS deletes them 14 days after they came", "upload-router resume")
	default:
		d.ok(name, "uploads are processed")
	}
}
